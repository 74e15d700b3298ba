package audit

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// shortPages answers lists as a large store does, which looks at a part of its events for each page: some pages without an
// event first, then pages of one event.
type shortPages struct {
	*Server
	empty  int           // how many pages have no event
	beyond time.Duration // how far the other pages go back behind their event
}

// emptySince is how far back the pages without an event go.
var emptySince = start.Add(30 * time.Minute)

// endless is more empty pages than any reader follows.
const endless = 1000

func (p shortPages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/api/events") {
		p.Server.ServeHTTP(w, r)
		return
	}
	q := r.URL.Query()
	text, own := strings.CutPrefix(q.Get("cursor"), "empty-")
	if own || text == "" {
		n, _ := strconv.Atoi(text)
		if n < p.empty {
			now, err := p.store.Arrived(r.Context(), store.Filter{}, "", 1)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			writeJSON(w, http.StatusOK, store.Page{Items: []*store.Item{}, Next: store.Cursor(fmt.Sprint("empty-", n+1)), Since: emptySince, After: now.Next})
			return
		}
		q.Del("cursor")
	}
	q.Set("limit", "1")
	r.URL.RawQuery = q.Encode()
	var page store.Page
	answer := httptest.NewRecorder()
	p.Server.ServeHTTP(answer, r)
	if err := json.Unmarshal(answer.Body.Bytes(), &page); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if page.Next != "" {
		page.Since = page.Since.Add(-p.beyond)
	}
	writeJSON(w, http.StatusOK, page)
}

// failing is the event of a Pod that was refused because its endpoint was late.
func failing(id string, at float64) ev {
	e := worker(id, at)
	e.typ, e.data.Endpoints[0].Error, e.data.Endpoints[0].DurationMS = "com.txn2.amp.pod.rejected.v1", "late", 900
	return e
}

func TestWhereItFailsIsFoundOnShortPages(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		empty int
		want  string // in "Where it fails"
		not   string
		row   string // of the comparison
	}{
		"pages of one event":                        {0, "3 failures", "newest", "failures of sidecar.web.svc/mutate, worse | 1 | 2"},
		"pages without an event before them":        {3, "3 failures", "newest", "failures in namespace web, worse | 1 | 2"},
		"so many empty pages that the reader stops": {endless, "No failure back to Mar 1, 12:30. What is older was not searched.", "Nothing failed", "rejected, worse | 1 | 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, Config{})
			post(t, s, failing("f0", 30), failing("f1", 600), failing("f2", 610))
			b := newBrowser(t, 1280, 900)
			b.open(address(serveBy(t, s, shortPages{Server: s, empty: tc.empty}), "from", "2026-03-01T11:00:00Z"))
			b.wait(fmt.Sprintf(`document.querySelector("#failures").innerText.includes(%q)`, tc.want))
			if text := fmt.Sprint(b.eval(`document.querySelector("#failures").innerText`)); strings.Contains(text, tc.not) {
				t.Errorf("it says %s", text)
			}
			b.eval(`document.querySelector("#compare").open = true; document.querySelector("[name=at]").value = "2026-03-01T12:05:00"; document.querySelector("#compareform button").click()`)
			b.wait(`document.querySelectorAll("#comparison tr").length > 1`)
			if rows := comparison(b); !strings.Contains(rows, tc.row) {
				t.Errorf("the comparison lacks %q:\n%s", tc.row, rows)
			}
			// Where not all failures were read, the comparison says so.
			if told := b.eval(`document.querySelector("#comparison").innerText.includes("only the newest are counted")`); told != (tc.empty == endless) {
				t.Errorf("it says that it lacks some: %v", told)
			}
			b.clean()
		})
	}
}

// comparison returns the rows of "What changed at".
func comparison(b *browser) string {
	b.t.Helper()
	return fmt.Sprint(b.eval(`[...document.querySelectorAll("#comparison tbody tr")].map((e) => [...e.cells].map((c) => c.textContent).join(" | ")).join("\n")`))
}

func TestAPodsStoryIsFoundOnShortPages(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	refused := denied("d1", 12)
	refused.data.Namespace, refused.data.Pod.Name, refused.data.Pod.GenerateName = "jhub", "jupyter-alice", ""
	post(t, s, notebook(t, "n1", 10), refused)
	b := newBrowser(t, 1280, 900)
	b.open(address(serveBy(t, s, shortPages{Server: s, empty: 2}), "event", "n1", "source", source))
	b.wait(`document.querySelector("#detail").open`)
	if got := fmt.Sprint(b.eval(`[...document.querySelectorAll(".story .badge")].map((e) => e.lastChild.textContent).join()`)); got != "mutated,denied" {
		t.Errorf("the story is %q", got)
	}
	b.clean()
}

// unfinishedCharts answers stats as a large store does that found nothing among the events it had the time for.
type unfinishedCharts struct{ *Server }

func (u unfinishedCharts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/api/stats") {
		u.Server.ServeHTTP(w, r)
		return
	}
	writeJSON(w, http.StatusOK, store.NewTally(start, start.Add(time.Hour)).Charts(false))
}

func TestChartsThatAreNotFinishedDoNotSayThatThereWasNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	b := newBrowser(t, 1280, 900)
	b.open(address(serveBy(t, s, unfinishedCharts{s}), "pod", "rare"))
	b.wait(`document.querySelectorAll(".plot .nothing").length === 2`)
	b.eval(`document.querySelectorAll("details").forEach((d) => (d.open = true)); document.querySelector("[name=at]").value = "2026-03-01T12:05:00"; document.querySelector("#compareform button").click()`)
	b.wait(`document.querySelector("#comparison p")`)
	for _, q := range []string{"#outcomechart .plot", "#outcomechart .data div", "#latencychart .plot", "#latencychart .data div", "#comparison"} {
		if text := fmt.Sprint(b.eval(fmt.Sprintf(`document.querySelector(%q).innerText`, q))); text != "None among the newest events. Older ones were not counted." {
			t.Errorf("%s says %q", q, text)
		}
	}
	b.clean()
}

// TestAnEventThatArrivesAfterAShortPage: what is younger than the list goes back is shown, and nothing else is announced.
func TestAnEventThatArrivesAfterAShortPage(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pages     shortPages
		rows      int // before anything arrives
		late, new float64
		want      string // the seconds of the rows
	}{
		"no event was found so far":                 {shortPages{empty: endless}, 0, 1700, 3000, "3000"},
		"the page ends with its event":              {shortPages{}, 1, 600, 3000, "3000 610"},
		"the page goes back further than its event": {shortPages{beyond: 200 * time.Second}, 1, 400, 500, "610 500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, Config{})
			tc.pages.Server = s
			post(t, s, failing("f0", 30), failing("f1", 610))
			b := newBrowser(t, 1280, 900)
			b.open(address(serveBy(t, s, tc.pages), "outcome", "rejected"))
			b.wait(fmt.Sprintf(`document.querySelector("#state").textContent === "Live" && document.querySelectorAll("#rows tr").length === %d`, tc.rows))
			if told := b.eval(`document.querySelector("#empty").innerText.includes("Nothing since Mar 1, 12:30 matches.")`); told != (tc.rows == 0) {
				t.Errorf("it says how far back nothing was found: %v", told)
			}
			shown := func() string {
				return fmt.Sprint(b.eval(fmt.Sprintf(`[...document.querySelectorAll("#rows tr")].map((tr) => (Date.parse(tr.item.time) - %d) / 1000).join(" ")`, start.UnixMilli())))
			}
			post(t, s, failing("late", tc.late), failing("new", tc.new))
			b.wait(`document.querySelector("#say").textContent.includes("New: rejected, Pod web-6d4cf56db6-* in web")`)
			if got := shown(); got != tc.want {
				t.Errorf("it shows %s, want %s", got, tc.want)
			}
			// While the page is paused, the same is counted and shown later.
			b.eval(`document.querySelector("#pause").click()`)
			post(t, s, failing("late2", tc.late-1), failing("new2", 3001))
			b.wait(`document.querySelector("#pill").textContent === "1 new"`)
			b.eval(`document.querySelector("#pause").click()`)
			b.wait(fmt.Sprintf(`document.querySelectorAll("#rows tr").length === %d`, tc.rows+2))
			if got := shown(); got != "3001 "+tc.want {
				t.Errorf("after the pause it shows %s, want 3001 %s", got, tc.want)
			}
			b.clean()
		})
	}
}
