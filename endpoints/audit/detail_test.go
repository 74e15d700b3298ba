package audit

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/events"
)

func TestOneEvent(t *testing.T) { eachStore(t, checkOneEvent) }

func checkOneEvent(t *testing.T, newServer func(testing.TB, Config) *Server) {
	s := newServer(t, Config{})
	cluster(t, s)
	d := get[Detail](t, s, "/api/events/w1")
	if len(d.Seen) != 1 || d.Seen[0].Name != "web-6d4cf56db6-x8k2p" || d.Seen[0].UID != "u1" || len(d.Item.Seen) != 1 {
		t.Errorf("seen %+v: a stamp of another namespace or name must not count", d.Seen)
	}
	if l := get[listed](t, s, "/api/events?outcome=mutated"); cmp.Diff(l.Items[1].Seen, []string{"web-6d4cf56db6-x8k2p"}) != "" || l.Items[0].Seen != nil {
		t.Errorf("the list says %v and %v", l.Items[0].Seen, l.Items[1].Seen)
	}
	if d := get[Detail](t, s, "/api/events/v1"); d.Mutation == nil || d.Mutation.Item == nil || d.Mutation.Item.ID != "w1" {
		t.Errorf("the stamp leads to %+v", d.Mutation)
	}
	if d := get[Detail](t, s, "/api/events/v2"); d.Mutation == nil || d.Mutation.Item != nil || !strings.Contains(d.Mutation.Reason, "another Pod") {
		t.Errorf("the forged stamp leads to %+v", d.Mutation)
	}
	var event struct {
		SpecVersion, ID, Source, Type string
		Data                          events.Data
	}
	if err := json.Unmarshal(d.Event, &event); err != nil || event.SpecVersion != "1.0" || event.ID != "w1" || event.Data.Pod.GenerateName != "web-6d4cf56db6-" {
		t.Errorf("the raw event is %s, %v", d.Event, err)
	}

	// Another cluster may have the same ids.
	post(t, s, ev{id: "w1", source: "urn:other", at: 5})
	w := do(t, s, "GET", "/api/events/w1", nil, nil)
	if w.Code != http.StatusMultipleChoices || !strings.Contains(w.Body.String(), "urn:other") || !strings.Contains(w.Body.String(), source) {
		t.Errorf("an id of two sources: %d %s", w.Code, w.Body)
	}
	if d := get[Detail](t, s, "/api/events/w1?source=urn:other"); d.Item.Source != "urn:other" || len(d.Seen) != 0 {
		t.Errorf("got %+v", d.Item)
	}
}

func TestADenialIsAPolicyDecision(t *testing.T) { eachStore(t, checkADenialIsAPolicyDecision) }

func checkADenialIsAPolicyDecision(t *testing.T, newServer func(testing.TB, Config) *Server) {
	s := newServer(t, Config{})
	post(t, s, denied("d", 1), ev{id: "r", at: 2, typ: events.Rejected, data: events.Data{Endpoints: []events.Endpoint{{URL: "http://hook.svc", Error: "late"}}}},
		ev{id: "alone", at: 3, typ: events.Denied, data: events.Data{Endpoints: []events.Endpoint{{URL: "http://hook.svc", Status: 200}}}})
	l := get[listed](t, s, "/api/events?outcome=denied")
	if l.ids() != "alone d" {
		t.Fatalf("denied are %q", l.ids())
	}
	d := l.Items[1]
	if d.Gist != denied("d", 1).data.Message {
		t.Errorf("the list says %q", d.Gist)
	}
	for i, want := range []store.Call{{URL: "http://labels.batch.svc/validate", DurationMS: 1.5}, {URL: "http://images.platform.svc/require", DurationMS: 3.25, Denied: true}} {
		if d.Endpoints[i] != want {
			t.Errorf("call %d is %+v, want %+v", i, d.Endpoints[i], want)
		}
	}
	if !l.Items[0].Endpoints[0].Denied {
		t.Error("the only endpoint did not deny")
	}
	if r := get[listed](t, s, "/api/events?outcome=rejected").Items[0]; r.Endpoints[0].Denied || !r.Endpoints[0].Failed {
		t.Errorf("a failure is %+v", r.Endpoints[0])
	}
	full := get[Detail](t, s, "/api/events/d")
	if full.Diff.Reason != "amp answered no patch." || len(full.Changes) != 0 {
		t.Errorf("the detail has %+v", full.Diff)
	}
	for q, want := range map[string]int64{"": 2, "&namespace=web": 1} {
		st := get[store.Charts](t, s, "/api/stats?from=2h"+q)
		if n := st.Buckets[0].Counts["denied"]; n != want {
			t.Errorf("the charts count %d with %q", n, q)
		}
		for _, e := range st.Endpoints {
			if e.URL == "http://images.platform.svc/require" && (e.Calls != 1 || e.Errors != 0) {
				t.Errorf("a denial counts as a failed call: %+v", e)
			}
		}
	}
	if v := get[struct{ Outcomes []string }](t, s, "/api/values"); !slices.Contains(v.Outcomes, "denied") {
		t.Errorf("one can filter by %q", v.Outcomes)
	}
}

// TestAFinalVerdictHidesNothing: it marks the one that it supersedes. A forged one must not hide what amp sent.
func TestAFinalVerdictHidesNothing(t *testing.T) { eachStore(t, checkAFinalVerdictHidesNothing) }

func checkAFinalVerdictHidesNothing(t *testing.T, newServer func(testing.TB, Config) *Server) {
	base := ev{id: "u1", at: 1}
	verdict := ev{id: "u1/final", at: 2, typ: events.Rejected, data: events.Data{Pod: events.Pod{Name: "pod-u1"}, Message: "the sink did not answer"}}
	for name, order := range map[string][]ev{"in order": {base, verdict}, "in the other order": {verdict, base}} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, Config{})
			empty := get[listed](t, s, "/api/events").After
			post(t, s, ev{id: "u1", source: "urn:other", at: 0}) // of another cluster
			for _, e := range order {
				post(t, s, e)
				post(t, s, e) // again, as a Broker may
			}
			for _, q := range []string{"", "pod=pod-u1", "namespace=jhub", "from=2h"} {
				l := get[listed](t, s, "/api/events?"+q)
				if l.ids() != "u1/final u1 u1" || l.Items[0].Superseded || !l.Items[1].Superseded || l.Items[1].Source != source || l.Items[2].Superseded {
					t.Errorf("%q lists %q: %+v", q, l.ids(), l.Items)
				}
			}
			if l := get[listed](t, s, "/api/events?outcome=mutated&user=alice"); l.ids() != "u1 u1" {
				t.Errorf("by the earlier outcome there is %q", l.ids())
			}
			if all := streamOf(t, s, store.Filter{}, empty); len(all) != 3 {
				t.Errorf("streamed: %+v", all)
			}
			d := get[Detail](t, s, "/api/events/u1%2Ffinal")
			if d.Superseded || len(d.Verdicts) != 1 || d.Verdicts[0].ID != "u1" || d.Verdicts[0].Source != source {
				t.Errorf("the final one: %+v", d)
			}
			d = get[Detail](t, s, "/api/events/u1?source="+source)
			if !d.Superseded || len(d.Verdicts) != 1 || d.Verdicts[0].Outcome != "rejected" {
				t.Errorf("the earlier one: %+v", d)
			}
			for _, q := range []string{"", "&namespace=jhub"} {
				stats := get[store.Charts](t, s, "/api/stats?from=2h"+q)
				if len(stats.Buckets) != 1 || cmp.Diff(stats.Buckets[0].Counts, map[string]int64{"mutated": 2, "rejected": 1}) != "" || stats.Buckets[0].Calls != 3 {
					t.Errorf("the charts count %+v", stats.Buckets[0])
				}
			}
		})
	}
}
