package audit

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/events"
)

// TestWhatHasPassedTheRetentionIsNotShown also while nothing was deleted: no replica ran for a month, or the first deletion is
// still under way.
func TestWhatHasPassedTheRetentionIsNotShown(t *testing.T) {
	eachStore(t, checkWhatHasPassedTheRetentionIsNotShown)
}

func checkWhatHasPassedTheRetentionIsNotShown(t *testing.T, newServer func(testing.TB, Config) *Server) {
	s := newServer(t, Config{Retention: Forever})
	before := get[listed](t, s, "/api/events").After
	post(t, s,
		ev{id: "old", at: -3600, typ: events.Validated, data: events.Data{Mutation: "young", Pod: events.Pod{Name: "pod"}}},
		ev{id: "old/final", at: -1800},
		ev{id: "young/final", at: -1200},
		ev{id: "young", at: 1800, data: events.Data{Pod: events.Pod{Name: "pod"}}},
		ev{id: "stamped", at: 1801, typ: events.Validated, data: events.Data{Mutation: "old/final"}},
	)
	// The same store, and a clock by which the first three are too old.
	s.store = &retained{s.store, func() time.Time { return start.Add(time.Minute) }}

	for _, q := range []string{"", "?from=5h", "?namespace=jhub", "?to=2026-03-01T12:45:00Z", "?pod=pod"} {
		if l := get[listed](t, s, "/api/events"+q); l.ids() != "stamped young" {
			t.Errorf("the list %s is %q", q, l.ids())
		}
		target := "/api/stats" + q
		if st := get[store.Charts](t, s, target); total(&st) != 2 || st.From.Before(start) {
			t.Errorf("%s counts %d from %v", target, total(&st), st.From)
		}
	}
	if l := get[listed](t, s, "/api/events?to=2026-03-01T11:30:00Z"); l.ids() != "" {
		t.Errorf("before the retention there is %q", l.ids())
	}
	for q, span := range map[string]time.Duration{"": 15 * time.Minute, "&from=2026-03-01T10:30:00Z": time.Hour, "&from=2026-03-01T10:30:00Z&namespace=jhub": time.Hour} {
		st := get[store.Charts](t, s, "/api/stats?to=2026-03-01T11:30:00Z"+q)
		if total(&st) != 0 || st.To.Sub(st.From) != span {
			t.Errorf("the charts of a time before the retention count %d, from %v to %v", total(&st), st.From, st.To)
		}
	}
	if body := do(t, s, "GET", "/api/events?format=ndjson", nil, nil).Body.String(); strings.Count(body, "\n") != 2 {
		t.Errorf("the export is %s", body)
	}
	if body := do(t, s, "GET", "/api/export", nil, nil).Body.String(); strings.Count(body, "\n") != 2 {
		t.Errorf("all records are %s", body)
	}
	arrivals, err := s.store.Arrived(t.Context(), store.Filter{}, before, streamPage)
	if err != nil || len(arrivals.Events) != 2 {
		t.Errorf("the stream has %d, %v", len(arrivals.Events), err)
	}

	for id, code := range map[string]int{"old": http.StatusNotFound, "old%2Ffinal": http.StatusNotFound, "young": http.StatusOK, "stamped": http.StatusOK} {
		if w := do(t, s, "GET", "/api/events/"+id, nil, nil); w.Code != code {
			t.Errorf("%s: %d, want %d", id, w.Code, code)
		}
	}
	if d := get[Detail](t, s, "/api/events/young"); len(d.Seen)+len(d.Verdicts)+len(d.Item.Seen) != 0 {
		t.Errorf("beside it is shown: %+v", d)
	}
	if d := get[Detail](t, s, "/api/events/stamped"); d.Mutation == nil || d.Mutation.Item != nil || !strings.Contains(d.Mutation.Reason, "no event") {
		t.Errorf("its stamp is shown as %+v", d.Mutation)
	}
}

// TestAServerStartsWithWhatItKeeps: it does not wait for the first deletion.
func TestAServerStartsWithWhatItKeeps(t *testing.T) {
	t.Parallel()
	config := Config{Path: t.TempDir() + "/events.db", Retention: Forever}
	s := newServer(t, config)
	var all []ev
	for i := range 50 {
		all = append(all, ev{id: fmt.Sprint(i), at: float64(i)})
	}
	post(t, s, all...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	config.Retention = time.Hour
	s = newServerAt(t, config, func() time.Time { return start.Add(time.Hour + 40*time.Second) })
	if l := get[listed](t, s, "/api/events"); len(l.Items) != 10 {
		t.Errorf("it shows %q", l.ids())
	}
}
