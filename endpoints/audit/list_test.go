package audit

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/events"
)

func TestPagesAreStableUnderInserts(t *testing.T) { eachStore(t, checkPagesAreStableUnderInserts) }

func checkPagesAreStableUnderInserts(t *testing.T, newServer func(testing.TB, Config) *Server) {
	s := newServer(t, Config{})
	var all []ev
	for i := range 25 {
		all = append(all, ev{id: fmt.Sprintf("e%02d", i), at: float64(i)})
	}
	post(t, s, all...)
	var got []string
	next := ""
	for page := 0; ; page++ {
		l := get[listed](t, s, "/api/events?limit=10&outcome=mutated&cursor="+next)
		for _, item := range l.Items {
			got = append(got, item.ID)
		}
		// Newer ones come in meanwhile, and one that is late.
		post(t, s, ev{id: fmt.Sprintf("new%d", page), at: float64(100 + page)})
		if next = l.Next; next == "" {
			break
		}
	}
	var want []string
	for i := 24; i >= 0; i-- {
		want = append(want, fmt.Sprintf("e%02d", i))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestExportCanBePostedAgain(t *testing.T) { eachStore(t, checkExportCanBePostedAgain) }

func checkExportCanBePostedAgain(t *testing.T, newServer func(testing.TB, Config) *Server) {
	for name, tc := range map[string]struct {
		target string
		accept string
		lines  int
	}{
		"by format":        {"/api/events?format=ndjson", "", 8},
		"by Accept":        {"/api/events", "application/x-ndjson", 8},
		"filtered":         {"/api/events?format=ndjson&namespace=jhub", "", 3},
		"so many":          {"/api/events?format=ndjson&limit=2", "", 2},
		"more than a page": {"/api/events?format=ndjson&namespace=many", "", maxLimit + 10},
		"none":             {"/api/events?format=ndjson&namespace=nowhere", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, Config{})
			cluster(t, s)
			if tc.lines > maxLimit {
				var all []ev
				for i := range tc.lines {
					all = append(all, ev{id: fmt.Sprint("many", i), at: -float64(i), data: events.Data{Namespace: "many"}})
				}
				post(t, s, all...)
			}
			w := do(t, s, "GET", tc.target, map[string]string{"Accept": tc.accept}, nil)
			lines := strings.Split(strings.TrimSuffix(w.Body.String(), "\n"), "\n")
			if tc.lines == 0 && w.Body.Len() == 0 {
				return
			}
			if len(lines) != tc.lines || w.Header().Get("Content-Type") != "application/x-ndjson" {
				t.Fatalf("%d lines of %s", len(lines), w.Header().Get("Content-Type"))
			}
			other := newServer(t, Config{})
			for _, line := range lines[:min(tc.lines, 10)] {
				if w := do(t, other, "POST", "/", map[string]string{"Content-Type": structured}, []byte(line)); w.Code != http.StatusNoContent {
					t.Fatalf("posting %s: %d %s", line, w.Code, w.Body)
				}
			}
			if w := do(t, other, "POST", "/", map[string]string{"Content-Type": batched}, []byte("["+strings.Join(lines, ",")+"]")); w.Code != http.StatusNoContent {
				t.Fatalf("posting them as a batch: %d %s", w.Code, w.Body)
			}
			if l := get[listed](t, other, "/api/events?limit=200"); len(l.Items) != min(tc.lines, 200) {
				t.Errorf("%d arrived", len(l.Items))
			}
		})
	}
}

func TestManyEventsOfOneMomentKeepApart(t *testing.T) {
	eachStore(t, checkManyEventsOfOneMomentKeepApart)
}

func checkManyEventsOfOneMomentKeepApart(t *testing.T, newServer func(testing.TB, Config) *Server) {
	const many = 300
	s := newServer(t, Config{})
	var all []ev
	for i := range many { // more than a microsecond has room for
		all = append(all, ev{id: fmt.Sprint(i), at: 1})
	}
	post(t, s, all...)
	seen := map[string]bool{}
	for next := ""; ; {
		l := get[listed](t, s, "/api/events?limit=200&cursor="+next)
		for _, i := range l.Items {
			seen[i.ID] = true
		}
		if next = l.Next; next == "" {
			break
		}
	}
	if len(seen) != many {
		t.Errorf("%d of %d", len(seen), many)
	}
}

func TestAClockThatIsAheadDoesNotHoldTheTop(t *testing.T) {
	eachStore(t, checkAClockThatIsAheadDoesNotHoldTheTop)
}

func checkAClockThatIsAheadDoesNotHoldTheTop(t *testing.T, newServer func(testing.TB, Config) *Server) {
	s := newServer(t, Config{})
	post(t, s, ev{id: "ahead", at: 365 * 86400}, ev{id: "now", at: 3600})
	post(t, s, ev{id: "later", at: 3630})
	if l := get[listed](t, s, "/api/events"); l.Items[0].ID != "later" {
		t.Errorf("the list is %q", l.ids())
	}
}

// aging is a store that notes what is to be deleted.
type aging struct {
	store.Store
	before []time.Time
}

func (a *aging) DeleteBefore(_ context.Context, t time.Time) error {
	a.before = append(a.before, t)
	return nil
}
func (*aging) Close() error { return nil }

// TestOldEventsAreDeletedEveryMinute, and at the start: a Pod that Knative started may end within a minute.
func TestOldEventsAreDeletedEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, a := time.Now(), &aging{}
		s := newWithStore(Config{Retention: time.Hour, Log: slog.New(slog.DiscardHandler)}, a, time.Now)
		time.Sleep(2*time.Minute + time.Second)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if len(a.before) != 3 || !a.before[0].Equal(began.Add(-time.Hour)) || !a.before[2].Equal(began.Add(2*time.Minute-time.Hour)) {
			t.Errorf("after two minutes it deleted what is before %v", a.before)
		}
	})
}

func TestRetention(t *testing.T) { eachStore(t, checkRetention) }

func checkRetention(t *testing.T, newServer func(testing.TB, Config) *Server) {
	s := newServer(t, Config{Retention: time.Hour})
	s.now = func() time.Time { return start.Add(4 * time.Hour) }
	cluster(t, s)
	post(t, s, ev{id: "young", at: 3000, data: events.Data{Namespace: "young"}})
	deleteAsAt := func(at time.Time) {
		t.Helper()
		if err := s.store.DeleteBefore(t.Context(), at.Add(-s.config.Retention)); err != nil {
			t.Fatal(err)
		}
	}
	deleteAsAt(start.Add(time.Hour + 2*time.Minute + time.Second))
	if l := get[listed](t, s, "/api/events"); l.ids() != "young v3 v2 v1 w2 w1" {
		t.Errorf("after two minutes more: %q", l.ids())
	}
	deleteAsAt(start.Add(3 * time.Hour))
	if l := get[listed](t, s, "/api/events"); l.ids() != "" {
		t.Errorf("after all: %q", l.ids())
	}
	// The same values come again, and are found.
	post(t, s, ev{id: "d", at: 2.5 * 3600, typ: events.Rejected, data: events.Data{Namespace: "web", Pod: events.Pod{Name: "jupyter-alice"}, User: "carol"}})
	for _, q := range []string{"pod=jupyter-alice&namespace=web", "user=aro", "endpoint=hook"} {
		if l := get[listed](t, s, "/api/events?"+q); l.ids() != "d" {
			t.Errorf("again by %s: %q", q, l.ids())
		}
	}
}
