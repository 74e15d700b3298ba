package audit

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/txn2/amp/endpoints/events"
)

// compared is the event about a candidate that was asked about the review of id.
func compared(id string, at float64, result string) ev {
	e := ev{id: id + "/candidate", at: at, typ: events.Compared, data: events.Data{
		Pod: events.Pod{Name: "pod-" + id}, Endpoints: []events.Endpoint{{URL: "http://new.jhub.svc/mutate", Status: 200, DurationMS: 2, Ops: 1}}, DurationMS: 2,
		Comparison: &events.Comparison{Result: result, Answered: "mutated", Candidate: "mutated"},
		Patch:      []events.Op{{Step: 1, Op: "replace", Path: "/spec/containers/0/image", Value: json.RawMessage(`"lab:2"`)}},
	}}
	if c := e.data.Comparison; result == events.ResultDifferent {
		c.Differing = 3
		c.Differences = []events.Difference{
			{Kind: events.OtherValue, Path: "/spec/containers/0/image", Where: "/spec/containers/notebook/image", Answered: json.RawMessage(`"lab:1"`), Candidate: json.RawMessage(`"lab:2"`)},
			{Kind: events.OnlyCandidate, Path: "/metadata/labels/<i>", Where: "/metadata/labels/<i>", Candidate: json.RawMessage(`"<img src=x>"`)},
		}
	}
	return e
}

func TestCandidatesAreListedApart(t *testing.T) { eachStore(t, checkCandidatesAreListedApart) }

// checkCandidatesAreListedApart: an event about a candidate has outcomes of its own, and is no second mutation of its Pod.
func checkCandidatesAreListedApart(t *testing.T, newServer func(testing.TB, Config) *Server) {
	s := newServer(t, Config{})
	post(t, s, ev{id: "a", at: 1}, compared("a", 2, events.ResultSame), ev{id: "b", at: 3}, compared("b", 4, events.ResultDifferent),
		ev{id: "c", at: 5, typ: events.Rejected, data: events.Data{Message: "x"}}, compared("c", 6, events.ResultAlone), ev{id: "d", at: 7}, compared("d", 8, events.ResultFailed), ev{id: "e", at: 9})
	for filter, want := range map[string]string{
		"mutated":                          "e d b a",
		"compared-same":                    "a/candidate",
		"compared-different":               "c/candidate b/candidate",
		"compared-failed":                  "d/candidate",
		"compared-same,compared-different": "c/candidate b/candidate a/candidate",
	} {
		if l := get[listed](t, s, "/api/events?outcome="+filter); l.ids() != want {
			t.Errorf("%s lists %q, want %q", filter, l.ids(), want)
		}
	}
	if gist := get[listed](t, s, "/api/events?outcome=compared-different").Items[1].Gist; gist != "the candidate's Pod differs at /spec/containers/notebook/image and 2 more" {
		t.Errorf("the list says %q", gist)
	}
	stats := get[struct {
		Buckets []struct{ Counts map[string]int }
	}](t, s, "/api/stats?from=2026-03-01T12:00:00Z&to=2026-03-01T12:01:00Z")
	sum := map[string]int{}
	for _, b := range stats.Buckets {
		for outcome, n := range b.Counts {
			sum[outcome] += n
		}
	}
	if got := fmt.Sprint(sum); got != "map[compared-different:2 compared-failed:1 compared-same:1 mutated:4 rejected:1]" {
		t.Errorf("counted %s", got)
	}

	// Each of the two leads to the other.
	for id, want := range map[string]string{"b": "b/candidate", "b%2Fcandidate": "b", "e": ""} {
		d := get[Detail](t, s, "/api/events/"+id)
		got := ""
		if d.Beside != nil {
			got = d.Beside.ID
		}
		if got != want {
			t.Errorf("%s leads to %q, want %q", id, got, want)
		}
	}
	post(t, s, ev{id: "b/final", at: 10, typ: events.Rejected, data: events.Data{Message: "late"}})
	if d := get[Detail](t, s, "/api/events/b%2Ffinal"); d.Beside == nil || d.Beside.ID != "b/candidate" {
		t.Errorf("the final verdict leads to %+v", d.Beside)
	}
}

func TestAComparisonMustSayWhatCameOfIt(t *testing.T) {
	s := newServer(t, Config{})
	for _, result := range []string{"", "maybe"} {
		w := do(t, s, "POST", "/", map[string]string{"Content-Type": "application/cloudevents+json"}, compared("a", 1, result).json(t))
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "want same, different, failed or alone") {
			t.Errorf("result %q: %d %s", result, w.Code, w.Body)
		}
	}
}

func TestThePageShowsCandidates(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	post(t, s, ev{id: "a", at: 1}, compared("a", 2, events.ResultSame), ev{id: "b", at: 3}, compared("b", 4, events.ResultDifferent))
	b := newBrowser(t, 1280, 900)
	b.open(serve(t, s) + "/")
	b.wait(`document.querySelectorAll("#rows tr").length === 4 && document.querySelectorAll("#candidatechart rect.stack").length === 2 && !document.querySelector("#candidatechart").hidden`)
	// The chart of answers counts the two mutations, and no candidate.
	if text := fmt.Sprint(b.eval(`document.querySelector("#outcomechart svg").getAttribute("aria-label")`)); !strings.Contains(text, "2 mutated.") || strings.Contains(text, "candidate") {
		t.Errorf("the chart of answers shows %s", text)
	}
	if text := fmt.Sprint(b.eval(`document.querySelector("#candidatechart svg").getAttribute("aria-label")`)); !strings.Contains(text, "1 candidate agrees, 1 candidate differs") {
		t.Errorf("the chart of candidates shows %s", text)
	}
	b.eval(`document.querySelector(".chip.o-compared-different input").click()`)
	b.wait(`document.querySelectorAll("#rows tr").length === 1`)
	b.eval(`document.querySelector("#rows a").click()`)
	b.wait(`document.querySelector("#detail").open && document.querySelectorAll("#detail .story li").length === 2`)
	text := fmt.Sprint(b.eval(`document.querySelector("#detail").innerText`))
	for _, want := range []string{"What differs", "/spec/containers/notebook/image another value", `"lab:1"`, `"lab:2"`, "/metadata/labels/<i> only in the candidate’s Pod", `"<img src=x>"`, "and 1 more",
		"What the candidate would have answered", "The call of the candidate", "new.jhub.svc/mutate", "the event of the review"} {
		if !strings.Contains(text, want) {
			t.Errorf("the panel does not say %q:\n%s", want, text)
		}
	}
	// The review's own event leads to the comparison.
	b.eval(`[...document.querySelectorAll("#detail .note a")].find((a) => a.innerText === "the event of the review").click()`)
	b.wait(`location.search.includes("event=b&") || location.search.endsWith("event=b")`)
	b.wait(`document.querySelector("#detail").innerText.includes("A candidate was asked, too")`)
	b.clean()
}
