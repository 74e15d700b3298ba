package audit

import (
	"fmt"
	"strings"
	"testing"
)

// TestAReaderInAHurry reads the page as someone on call does: what failed, where, and who decided it.
func TestAReaderInAHurry(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	failed := worker("f1", 5)
	failed.typ, failed.data.Endpoints[0].Error, failed.data.Message = "com.txn2.amp.pod.failedopen.v1", "no answer within 1.2s", "amp: no answer"
	post(t, s, notebook(t, "n1", 1), worker("w1", 2), denied("d1", 3), failed)
	base := serve(t, s)
	b := newBrowser(t, 1280, 900)
	b.open(base + "/")
	b.wait(`document.querySelectorAll("#rows tr").length === 4 && document.querySelector("#latencychart .line, #latencychart .dot")`)

	rows := fmt.Sprint(b.eval(`document.querySelector("#rows").innerText`))
	for _, want := range []string{
		"8 changes: env PROJECT, label team, toleration gpu, image of notebook, volume home", "let through unchanged",
		"Denied by images.platform.svc/require", "no answer within 1.2s",
	} {
		if !strings.Contains(rows, want) {
			t.Errorf("the list lacks %q:\n%s", want, rows)
		}
	}
	if text := fmt.Sprint(b.eval(`document.body.innerText`)); strings.Contains(text, "failedopen") {
		t.Errorf("the page says failedopen:\n%s", text)
	}
	if zone := fmt.Sprint(b.eval(`document.querySelector("#zone").textContent`)); zone != "Times: UTC" {
		t.Errorf("the time zone is %q", zone)
	}
	// Each endpoint has a line of its own.
	if lines := fmt.Sprint(b.eval(`[...document.querySelectorAll("#lines button")].map((e) => e.textContent).sort().join()`)); lines != "images.platform.svc/require,labels.batch.svc/validate,profiles.jhub.svc/mutate,sidecar.web.svc/mutate" {
		t.Errorf("latencies are drawn of %s", lines)
	}
	// A part of a namespace is enough, and so is a part of a Pod's name.
	b.wait(`document.querySelectorAll("#namespaces option").length > 0`)
	if offered := fmt.Sprint(b.eval(`[...document.querySelectorAll("#namespaces option")].map((o) => o.value).sort().join()`)); offered != "jhub,web" {
		t.Errorf("the namespaces that are suggested: %s", offered)
	}
	for name, text := range map[string]string{"namespace": "jh", "pod": "lice"} {
		b.eval(fmt.Sprintf(`document.querySelector("[name=%s]").focus()`, name))
		b.typeText(text)
		b.wait(fmt.Sprintf(`document.querySelectorAll("#rows tr").length === 1 && location.search === "?%s=%s" && document.querySelector("#rows a").textContent === "jupyter-alice"`, name, text))
		b.eval(`document.querySelector("#clear").click()`)
		b.wait(`document.querySelectorAll("#rows tr").length === 4`)
	}
	b.clean()
}

func TestThePanelSaysEachThingOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	post(t, s, notebook(t, "n1", 1), worker("w1", 2))
	base := serve(t, s)
	b := newBrowser(t, 1280, 900)
	b.open(address(base, "event", "n1", "source", source))
	b.wait(`document.querySelector("#detail").open`)
	// Values are there without a click. The stamp is not among the changes of endpoints.
	if n := b.eval(`document.querySelectorAll("section > .changes > li details, section > .changes > li summary").length`); n != float64(0) {
		t.Errorf("%v values are hidden", n)
	}
	if text := fmt.Sprint(b.eval(`document.querySelector("section > .changes").innerText`)); strings.Contains(text, "amp.txn2.com/event") || !strings.Contains(text, `"claimName"`) {
		t.Errorf("the changes are\n%s", text)
	}
	if facts := fmt.Sprint(b.eval(`document.querySelector(".facts").innerText`)); strings.Contains(facts, "Namespace") || strings.Contains(facts, "When") {
		t.Errorf("the facts repeat the head:\n%s", facts)
	}
	if at := fmt.Sprint(b.eval(`document.querySelector(".dhead time").textContent`)); !strings.HasSuffix(at, " UTC") {
		t.Errorf("the time has no zone: %s", at)
	}
	if where := fmt.Sprint(b.eval(`[...document.querySelectorAll(".diff .hunk")].map((e) => e.innerText).join()`)); !strings.Contains(where, "spec › containers[0]") {
		t.Errorf("the diff is at %s", where)
	}
	if note := b.eval(`document.querySelectorAll(".stackv .note").length`); note != float64(0) {
		t.Errorf("%v boxes beside the answer", note)
	}
	if copies := b.eval(`document.querySelectorAll("#detail .copy").length`); copies.(float64) < 4 {
		t.Errorf("%v values can be copied", copies)
	}
	for name, value := range map[string]string{"namespace": "jhub", "user": "system:serviceaccount:jhub:hub", "endpoint": "http://profiles.jhub.svc/mutate"} {
		b.open(address(base, "event", "n1", "source", source))
		b.wait(`document.querySelector("#detail").open`)
		b.eval(fmt.Sprintf(`document.querySelector("#detail [data-filter=%s]").click()`, name))
		b.wait(fmt.Sprintf(`!document.querySelector("#detail").open && new URLSearchParams(location.search).get("%s") === %q && !location.search.includes("event=") && document.querySelectorAll("#rows tr").length === 1`, name, value))
	}
	b.clean()
}

func TestAPhoneShowsTheListFirst(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	post(t, s, notebook(t, "n1", 1))
	b := newBrowser(t, 360, 740)
	b.open(serve(t, s) + "/")
	b.wait(`document.querySelectorAll("#rows tr").length === 1`)
	if bottom := b.eval(`document.querySelector("#rows tr").getBoundingClientRect().bottom`); bottom.(float64) > 740 {
		t.Errorf("the first row ends at %v", bottom)
	}
	if user := fmt.Sprint(b.eval(`(({ offsetHeight, innerText }) => (offsetHeight ? innerText : "nobody"))(document.querySelector("#rows td:nth-child(6)"))`)); !strings.Contains(user, "hub") {
		t.Errorf("a row says it was created by %q", user)
	}
	b.clean()
}

func TestFromAndToFit(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	post(t, s, worker("w1", 1))
	base := serve(t, s)
	for _, width := range []int{320, 500, 700, 990, 1280} {
		b := newBrowser(t, width, 800)
		b.open(address(base, "from", "2026-03-01T00:00:00Z", "to", "2026-03-02T00:00:00Z"))
		b.wait(`!document.querySelector("#between").hidden`)
		b.eval(`document.querySelector("#filterbox").open = true`)
		if fits := b.eval(`(() => {
			const box = (q) => document.querySelector(q).getBoundingClientRect(), card = box("#filterbox"), from = box("[name=from]"), to = box("[name=to]");
			const whole = [...document.querySelectorAll("#between input")].every((e) => e.scrollWidth <= e.clientWidth);
			return whole && from.left >= card.left && to.right <= card.right && (to.left >= from.right || to.top >= from.bottom);
		})()`); fits != true {
			t.Errorf("at %d, From and To overlap or stick out", width)
		}
	}
}

func TestWhatFailsAndWhatChanged(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	post(t, s, worker("w1", 0), notebook(t, "n1", 30), failing("f1", 600), failing("f2", 610), denied("d1", 620))
	base := serve(t, s)
	b := newBrowser(t, 1280, 900)
	b.open(address(base, "from", "2026-03-01T11:00:00Z"))
	b.wait(`document.querySelector("#failures").innerText.includes("2 failures")`)
	if top := fmt.Sprint(b.eval(`[...document.querySelectorAll("#failures li")].map((e) => e.innerText.replace(/\s+/g, " ")).join()`)); top != "sidecar.web.svc/mutate 2,web 2" {
		t.Errorf("it fails at %s", top)
	}
	b.eval(`document.querySelector("#compare").open = true; document.querySelector("[name=at]").value = "2026-03-01T12:05:00"; document.querySelector("#compareform button").click()`)
	b.wait(`document.querySelectorAll("#comparison tr").length > 3`)
	rows := comparison(b)
	for _, want := range []string{
		"mutated | 2 | 0", "rejected, worse | 0 | 2", "denied, worse | 0 | 1", "failures of sidecar.web.svc/mutate, worse | 0 | 2", "failures in namespace web, worse | 0 | 2",
		"p99 of sidecar.web.svc/mutate, worse | 3.", "p99 of profiles.jhub.svc/mutate | 9.",
	} {
		if !strings.Contains(rows, want) {
			t.Errorf("the comparison lacks %q:\n%s", want, rows)
		}
	}
	b.shot("compare", true)
	b.eval(`document.querySelector("#failures [data-filter=namespace]").click()`)
	b.wait(`new URLSearchParams(location.search).get("namespace") === "web" && document.querySelectorAll("#rows tr").length === 4`)
	b.clean()
}

func TestAPodsWholeStoryIsOneLine(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	refused := denied("d1", 12)
	refused.data.Namespace, refused.data.Pod.Name, refused.data.Pod.GenerateName = "jhub", "jupyter-alice", ""
	post(t, s, notebook(t, "n1", 10), refused, notebook(t, "later", 4000), worker("w1", 11), seenWorker("v1", "w1", "web-6d4cf56db6-x8k2p", 13), worker("w2", 14))
	base := serve(t, s)
	b := newBrowser(t, 1280, 900)
	for id, want := range map[string]string{"n1": "mutated,denied", "d1": "mutated,denied", "w1": "mutated,validated", "v1": "mutated,validated", "w2": ""} {
		b.open(address(base, "event", id, "source", source))
		b.wait(`document.querySelector("#detail").open`)
		if got := fmt.Sprint(b.eval(`[...document.querySelectorAll(".story .badge")].map((e) => e.lastChild.textContent).join()`)); got != want {
			t.Errorf("the story of %s is %q, want %q", id, got, want)
		}
		// Where validation denied the Pod, the panel does not say that it was not seen.
		if text := fmt.Sprint(b.eval(`document.querySelector("#detail").innerText`)); strings.Contains(text, "No event of /validate") != (id == "w2") {
			t.Errorf("the panel of %s says\n%s", id, text)
		}
	}
	b.clean()
}
