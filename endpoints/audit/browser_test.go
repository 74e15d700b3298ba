package audit

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/events"
)

// serve mounts a server below a prefix, as behind an ingress: the page must not need to know.
func serve(t *testing.T, s *Server) string {
	t.Helper()
	return serveBy(t, s, s)
}

// serveBy mounts a handler in front of a server.
func serveBy(t *testing.T, s *Server, h http.Handler) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/tools/audit/", http.StripPrefix("/tools/audit", h))
	host := httptest.NewServer(mux)
	// Registered after the browser's own, this would wait for its streams; the server ends them first.
	t.Cleanup(func() {
		_ = s.Close()
		host.Close()
	})
	return host.URL + "/tools/audit"
}

func TestANewEventAppearsOnTheOpenPage(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	base := serve(t, s)
	b := newBrowser(t, 1280, 900)
	b.open(base + "/")
	b.wait(`document.querySelector("#empty").innerText.includes("No events yet") && document.querySelector("#state").textContent === "Live"`)
	if text := fmt.Sprint(b.eval(`document.querySelector("#empty").innerText`)); !strings.Contains(text, "K_SINK="+base+"/") {
		t.Errorf("the empty page does not say where to send events: %s", text)
	}
	b.eval(`window.same = true`) // gone with a reload

	post(t, s, worker("w1", 1))
	b.wait(`document.querySelectorAll("#rows tr").length === 1 && window.same`)
	b.wait(`document.querySelector("#rows").innerText.includes("web-6d4cf56db6-*") && document.querySelector("#rows").innerText.includes("1 change: init container fetch")`)
	b.wait(`document.querySelector("#say").textContent.includes("New: mutated, Pod web-6d4cf56db6-* in web")`)
	post(t, s, seenWorker("v1", "w1", "web-6d4cf56db6-x8k2p", 2))
	b.wait(`document.querySelectorAll("#rows tr").length === 2 && document.querySelector("#rows").innerText.includes("seen as web-6d4cf56db6-x8k2p")`)

	// While the reader is further down nothing moves: new events wait.
	var many []ev
	for i := range 60 {
		many = append(many, worker(fmt.Sprintf("m%d", i), float64(10+i)))
	}
	post(t, s, many...)
	b.wait(`document.querySelectorAll("#rows tr").length === 62`)
	b.eval(`scrollTo(0, 1200)`)
	b.wait(`scrollY > 1000`)
	// Where a row is drawn, not how far the page is scrolled: a chart above may grow, and then the browser scrolls along.
	b.eval(`window.place = () => (row => [row.innerText, row.getBoundingClientRect().top])(document.querySelector("#rows tr")); window.before = place()`)
	post(t, s, worker("n1", 100), worker("n2", 101), worker("n3", 102))
	b.wait(`!document.querySelector("#pill").hidden && document.querySelector("#pill").textContent === "3 new"`)
	// The browser scrolls by whole pixels, and a chart may grow by a part of one.
	if b.eval(`place()[0] === before[0] && Math.abs(place()[1] - before[1]) <= 1`) != true {
		t.Errorf("the page moved under its reader: %v", b.eval(`[before, place()].join(", now ")`))
	}
	b.shot("pill", false)
	b.eval(`document.querySelector("#pill").click()`)
	b.wait(`document.querySelectorAll("#rows tr").length === 65 && document.querySelector("#pill").hidden`)

	// Paused, nothing comes in at all.
	b.eval(`document.activeElement.blur(); scrollTo(0, 0); document.querySelector("#pause").click()`)
	post(t, s, worker("p1", 200))
	b.wait(`document.querySelector("#pill").textContent === "1 new" && document.querySelector("#state").textContent === "Paused"`)
	b.eval(`document.querySelector("#pause").click()`)
	b.wait(`document.querySelectorAll("#rows tr").length === 66`)
	b.clean()
}

func TestFiltersWorkAndAreInTheAddress(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	post(t, s, notebook(t, "n1", 1), worker("w1", 2), seenWorker("v1", "w1", "web-6d4cf56db6-x8k2p", 3),
		ev{id: "r1", at: 4, typ: events.Rejected, data: events.Data{Namespace: "team", Pod: events.Pod{Name: "big"}, Message: "amp: no"}})
	base := serve(t, s)
	b := newBrowser(t, 1280, 900)
	b.open(base + "/")
	b.wait(`document.querySelectorAll("#rows tr").length === 4`)

	b.eval(`document.querySelector("[name=pod]").focus()`)
	b.typeText("web-6d4cf56db6-x8k2p")
	b.wait(`document.querySelectorAll("#rows tr").length === 2 && location.search === "?pod=web-6d4cf56db6-x8k2p"`)
	b.eval(`document.querySelector(".chip.o-mutated input").click()`)
	b.wait(`document.querySelectorAll("#rows tr").length === 1 && location.search === "?pod=web-6d4cf56db6-x8k2p&outcome=mutated" && document.querySelector("#rows a").textContent === "web-6d4cf56db6-*"`)
	// The export follows.
	if href := fmt.Sprint(b.eval(`document.querySelector("#export").href`)); !strings.Contains(href, "pod=web-6d4cf56db6-x8k2p&outcome=mutated&format=ndjson") {
		t.Errorf("export leads to %s", href)
	}
	// What does not fit does not come in; what does, does.
	post(t, s, notebook(t, "n2", 5), worker("w2", 6))
	b.wait(`document.querySelectorAll("#rows tr").length === 2`)
	b.eval(`document.querySelector("#clear").click()`)
	b.wait(`document.querySelectorAll("#rows tr").length === 6 && location.search === ""`)

	// A colleague opens the address.
	b.open(address(base, "namespace", "team", "outcome", "rejected,failedopen", "from", "2026-03-01T00:00:00Z"))
	b.wait(`document.querySelectorAll("#rows tr").length === 1 && document.querySelector("[name=namespace]").value === "team"`)
	b.wait(`document.querySelector(".chip.o-rejected input").checked && document.querySelector(".chip.o-failedopen input").checked && document.querySelector("[name=range]").value === "between" && document.querySelector("[name=from]").value.startsWith("2026-03-01T00:00")`)
	b.open(address(base, "namespace", "nowhere"))
	b.wait(`document.querySelector("#empty").innerText.includes("No event matches these filters")`)
	b.eval(`document.querySelector("#empty button").click()`)
	b.wait(`document.querySelectorAll("#rows tr").length === 6 && location.search === ""`)
	b.clean()
}

func TestAnEventInFull(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	post(t, s, notebook(t, "n1", 1), worker("w1", 2), seenWorker("v1", "w1", "web-6d4cf56db6-x8k2p", 3))
	base := serve(t, s)
	b := newBrowser(t, 1280, 1100)
	b.open(base + "/")
	b.wait(`document.querySelectorAll("#rows tr").length === 3`)

	// By keyboard, without a focus: down to the last row, into it, and out again to where one was.
	b.key("ArrowDown")
	b.key("ArrowDown")
	b.key("ArrowDown")
	b.wait(`document.activeElement.textContent === "jupyter-alice"`)
	b.key("Enter")
	b.wait(`document.querySelector("#detail").open && location.search.includes("event=n1")`)
	text := fmt.Sprint(b.eval(`document.querySelector("#detail").innerText`))
	for _, want := range []string{
		"jupyter-alice", "system:serviceaccount:jhub:hub", "amp answered with a patch of 8 operations, after 14.3 ms.", "No event of /validate belongs to this one",
		"and 1 operation of amp’s own", `{"name":"PROJECT","value":"genome"}`,
		"http://profiles.jhub.svc/mutate", "9.5 ms", "HTTP 200",
		"Adds environment variable PROJECT to container notebook", "Sets label team to \"science\"", "Replaces the tolerations with toleration gpu", "Changes image of container notebook from",
		"Adds mount of volume home at /home/jovyan to container notebook",
	} {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(want)) {
			t.Errorf("the detail lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "amp changed") {
		t.Error("it says changed; amp only answered")
	}
	plus := fmt.Sprint(b.eval(`[...document.querySelectorAll(".diff .plus")].map((e) => e.innerText).join("\n")`))
	minus := fmt.Sprint(b.eval(`[...document.querySelectorAll(".diff .minus")].map((e) => e.innerText).join("\n")`))
	for _, want := range []string{"name: PROJECT", "value: genome", "team: science", "image: quay.io/jupyter/scipy-notebook:2026-02-16", "claimName: home-alice"} {
		if !strings.Contains(plus, want) {
			t.Errorf("the diff does not add %q:\n%s", want, plus)
		}
	}
	if !strings.Contains(minus, "image:") {
		t.Errorf("the diff removes no image:\n%s", minus)
	}
	if raw := fmt.Sprint(b.eval(`document.querySelector(".raw pre").textContent`)); !strings.Contains(raw, `"specversion": "1.0"`) {
		t.Errorf("the raw event is %.200s", raw)
	}
	b.key("Escape")
	b.wait(`!document.querySelector("#detail").open && !location.search.includes("event=") && document.activeElement.textContent === "jupyter-alice"`)

	// From a Pod's final name to what was answered for it.
	b.open(address(base, "event", "v1", "source", source))
	b.wait(`document.querySelector("#detail").open && document.querySelector("#detail").innerText.includes("let this Pod pass")`)
	b.eval(`document.querySelector("#detail .note a").click()`)
	b.wait(`location.search.includes("event=w1") && document.querySelector("#detail").innerText.includes("Seen by /validate as web-6d4cf56db6-x8k2p (uid 5b1c1f0e")`)
	b.wait(`document.querySelector("#detail").innerText.includes("An event of level Patch does not hold the Pod")`)
	// Back goes back.
	b.eval(`history.back()`)
	b.wait(`location.search.includes("event=v1") && document.querySelector("#detail").innerText.includes("let this Pod pass")`)
	b.clean()
}

func TestADenialNamesItsEndpoint(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	post(t, s, denied("d1", 1), ev{id: "r1", at: 2, typ: events.Rejected, data: events.Data{Message: "amp: no"}})
	base := serve(t, s)
	b := newBrowser(t, 1280, 900)
	b.open(base + "/")
	b.wait(`document.querySelectorAll("#rows tr").length === 2 && document.querySelectorAll("#outcomechart rect.stack.o-denied").length === 1`)
	// Its colour is not that of an outage.
	const colour = `getComputedStyle(document.querySelector(%q)).getPropertyValue("--c").trim()`
	if denied, rejected := b.eval(fmt.Sprintf(colour, ".badge.o-denied")), b.eval(fmt.Sprintf(colour, ".badge.o-rejected")); denied == rejected || denied == "" {
		t.Errorf("denied is %v, rejected is %v", denied, rejected)
	}
	b.wait(`document.querySelectorAll("#rows tr")[1].innerText.includes("images.platform.svc/require") && document.querySelectorAll("#rows tr")[1].innerText.includes("denied")`)
	b.eval(`document.querySelector(".chip.o-denied input").click()`)
	b.wait(`document.querySelectorAll("#rows tr").length === 1 && location.search === "?outcome=denied"`)
	b.eval(`document.querySelector("#rows a").click()`)
	b.wait(`document.querySelector("#detail").open`)
	if lead := fmt.Sprint(b.eval(`document.querySelector(".lead").innerText`)); lead != "http://images.platform.svc/require denied this Pod: "+denied("", 0).data.Message {
		t.Errorf("the panel says %q", lead)
	}
	if steps := fmt.Sprint(b.eval(`[...document.querySelectorAll(".steps li")].map((li) => li.innerText.includes("denied the Pod")).join()`)); steps != "false,true" {
		t.Errorf("the steps that denied are %s", steps)
	}
	if text := fmt.Sprint(b.eval(`document.querySelector("#detail").innerText`)); strings.Contains(text, "failed") || !strings.Contains(text, "a decision of the endpoint") {
		t.Errorf("the panel says\n%s", text)
	}
	b.clean()
}

func TestHostileValuesDoNothing(t *testing.T) {
	t.Parallel()
	const evil = `<script>alert(1)</script><img src=x onerror=alert(2)>"'&{{7*7}}` + "\u202e\u2028`${alert(3)}`"
	s := newServer(t, Config{})
	value, _ := json.Marshal(evil)
	hostile := func(id string, typ string, at float64) ev {
		return ev{id: evil + id, source: "urn:x:" + "%3Cscript%3E", typ: typ, at: at, data: events.Data{
			Level: events.LevelFull, Namespace: evil, Pod: events.Pod{Name: evil, UID: evil}, User: evil, Message: evil, Mutation: evil,
			Owner:     &events.Controller{APIVersion: evil, Kind: evil, Name: evil, UID: evil},
			Endpoints: []events.Endpoint{{URL: "javascript:alert(4)//" + evil, Status: 200, DurationMS: 1, Ops: 1, Error: evil}},
			Patch:     []events.Op{{Step: 1, Op: "add", Path: "/metadata/annotations/" + evil, Value: value}, {Step: 1, Op: evil, Path: evil, From: evil, Value: value}},
			Object:    json.RawMessage(`{"metadata":{"name":` + string(value) + `,"annotations":{` + string(value) + `:"x"}}}`),
		}}
	}
	var all []ev
	for i, typ := range events.Types {
		e := hostile(fmt.Sprint(i), typ, float64(i))
		if typ == events.Compared {
			e.data.Comparison = &events.Comparison{Result: "different", Answered: evil, Candidate: evil, Differing: 1,
				Differences: []events.Difference{{Kind: evil, Path: evil, Where: evil, Answered: value, Candidate: value}}}
		}
		all = append(all, e)
	}
	post(t, s, all[:3]...)
	base := serve(t, s)
	b := newBrowser(t, 1280, 900)
	b.open(address(base, "namespace", evil))
	b.wait(`document.querySelectorAll("#rows tr").length === 3 && document.querySelector("#state").textContent === "Live"`)
	post(t, s, all[3:]...)
	b.wait(fmt.Sprintf(`document.querySelectorAll("#rows tr").length === %d`, len(all)))
	// What turns the direction of writing is spelt out.
	shown := strings.NewReplacer("\u202e", `\u202e`, "\u2028", `\u2028`).Replace(evil)
	if name := b.eval(`document.querySelector("#rows a").textContent`); name != shown {
		t.Errorf("the Pod is shown as %q", name)
	}
	for i := range all {
		b.eval(fmt.Sprintf(`document.querySelectorAll("#rows a")[%d].click()`, i))
		b.wait(`document.querySelector("#detail").open && document.querySelector("#detailtitle").textContent.includes("<script>alert(1)</script>")`)
		b.shot(fmt.Sprintf("hostile-%d", i), false)
		b.eval(`document.querySelector("#detail").close()`)
	}
	if n := b.eval(`document.querySelectorAll("#rows img, #rows script, dialog img, dialog script, body > script, main script, .charts img").length`); n != float64(0) {
		t.Errorf("%v elements were made of values", n)
	}
	if n := b.eval(`document.querySelectorAll("a[href^='javascript']").length`); n != float64(0) {
		t.Errorf("%v links were made of values", n)
	}
	b.shot("hostile", true)
	b.clean()
}

func TestAColleagueLogsIn(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/token"
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServerAt(t, Config{ReadTokenFile: file, Retention: 100 * 365 * 24 * time.Hour}, time.Now) // the browser's clock
	post(t, s, worker("w1", 1))
	base := serve(t, s)
	b := newBrowser(t, 1280, 900)
	b.open(base + "/")
	b.wait(`document.querySelector("#login").open`)
	b.shot("login", false)
	b.eval(`document.querySelector("[name=token]").focus()`)
	b.typeText("wrong")
	b.key("Enter")
	b.wait(`document.querySelector("#loginproblem").textContent === "That is not the token."`)
	b.eval(`document.querySelector("[name=token]").value = ""`)
	b.typeText("s3cret")
	b.key("Enter")
	b.wait(`!document.querySelector("#login").open && document.querySelectorAll("#rows tr").length === 1 && document.querySelector("#state").textContent === "Live"`)
	if cookie := b.eval(`document.cookie`); cookie != "" {
		t.Errorf("scripts can read the cookie: %v", cookie)
	}
	b.wait(`!document.querySelector("#logout").hidden`)
	b.eval(`setTimeout(() => document.querySelector("#logout").click())`)
	b.wait(`document.querySelector("#login").open && document.querySelectorAll("#rows tr").length === 0`)
	for _, p := range b.seen() {
		if !strings.Contains(p, "401") { // Chromium logs each of them
			t.Errorf("the browser reports %s", p)
		}
	}
}
