package audit

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/sqlite"
	"github.com/txn2/amp/endpoints/events"
)

// large are events of n bytes, by the field that is large. All of them are taken: what is large may be genuine.
func large(n int) map[string]func(i int) ev {
	text := func(size int) string { return strings.Repeat("x", size) }
	urls := func() (all []events.Endpoint) {
		for range n / 4096 {
			all = append(all, events.Endpoint{URL: "http://" + text(4000)})
		}
		return all
	}()
	return map[string]func(i int) ev{
		"URLs":      func(i int) ev { return ev{data: events.Data{Endpoints: urls}} },
		"one URL":   func(i int) ev { return ev{data: events.Data{Endpoints: []events.Endpoint{{URL: text(n)}}}} },
		"a name":    func(i int) ev { return ev{data: events.Data{Pod: events.Pod{Name: text(n)}}} },
		"a prefix":  func(i int) ev { return ev{data: events.Data{Pod: events.Pod{GenerateName: text(n)}}} },
		"a user":    func(i int) ev { return ev{data: events.Data{User: text(n)}} },
		"a message": func(i int) ev { return ev{typ: events.Rejected, data: events.Data{Message: text(n)}} },
		"a stamp":   func(i int) ev { return ev{typ: events.Validated, data: events.Data{Mutation: text(n)}} },
		"a Pod": func(i int) ev {
			return ev{data: events.Data{Level: events.LevelFull, Object: json.RawMessage(`[` + strings.Repeat("1,", n/2) + `1]`)}}
		},
		"an operation": func(i int) ev {
			return ev{data: events.Data{Patch: []events.Op{{Step: 1, Op: "add", Path: "/metadata/labels/" + text(n), Value: json.RawMessage(`1`)}}}}
		},
		"a namespace": func(i int) ev { return ev{data: events.Data{Namespace: text(n)}} },
	}
}

// TestLargeEventsAreListedShort: what the list, the stream and the charts answer is bounded, however large events are.
func TestLargeEventsAreListedShort(t *testing.T) {
	for name, newServer := range stores { // not at the same time as other tests, whose memory it would count
		t.Run(name, func(t *testing.T) { checkLargeEventsAreListedShort(t, newServer) })
	}
}

func checkLargeEventsAreListedShort(t *testing.T, newServer func(testing.TB, Config) *Server) {
	const each, size = 3, 192 << 10
	for name, make := range large(size) {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, Config{})
			empty := get[listed](t, s, "/api/events").After
			for i := range each {
				e := make(i)
				e.id, e.at = fmt.Sprint(i), float64(i)
				if w := do(t, s, "POST", "/", map[string]string{"Content-Type": structured}, e.json(t)); w.Code != http.StatusNoContent {
					t.Fatalf("posting: %d %.300s", w.Code, w.Body)
				}
			}
			for _, target := range []string{"/api/events?limit=200", "/api/stats?from=2h", "/api/values"} {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				w := do(t, s, "GET", target, nil, nil)
				runtime.ReadMemStats(&after)
				if w.Code != 200 || w.Body.Len() > each*size/2 || after.TotalAlloc-before.TotalAlloc > 8*each*size {
					t.Errorf("%s: %d, %d bytes, %d allocated", target, w.Code, w.Body.Len(), after.TotalAlloc-before.TotalAlloc)
				}
			}
			if l := get[listed](t, s, "/api/events"); l.ids() != "2 1 0" {
				t.Errorf("there is %q", l.ids())
			}
			if all := streamOf(t, s, store.Filter{}, empty); len(all) != each {
				t.Errorf("%d are streamed", len(all))
			}
			// The event itself is whole.
			if w := do(t, s, "GET", "/api/events/0", nil, nil); w.Code != 200 || w.Body.Len() < size*9/10 {
				t.Errorf("in full: %d, %d bytes", w.Code, w.Body.Len())
			}
			lines := 0
			w := do(t, s, "GET", "/api/events?format=ndjson", nil, nil)
			for line := range strings.Lines(w.Body.String()) {
				if lines++; !json.Valid([]byte(line)) {
					t.Error("a line is no JSON")
				}
			}
			if lines != each {
				t.Errorf("%d are exported", lines)
			}
		})
	}
}

// TestManyEventsAtTheirBoundsArePages: a page ends before it is too large, and the next one goes on there.
func TestManyEventsAtTheirBoundsArePages(t *testing.T) {
	eachStore(t, checkManyEventsAtTheirBoundsArePages)
}

func checkManyEventsAtTheirBoundsArePages(t *testing.T, newServer func(testing.TB, Config) *Server) {
	s := newServer(t, Config{})
	var calls []events.Endpoint
	for range maxCalls {
		calls = append(calls, events.Endpoint{URL: strings.Repeat("\x01", 4000)})
	}
	const n = 16
	for i := range n {
		post(t, s, ev{id: fmt.Sprint(i), at: float64(i), data: events.Data{Endpoints: calls}})
	}
	seen, pages := 0, 0
	for next := ""; pages == 0 || next != ""; pages++ {
		w := do(t, s, "GET", "/api/events?limit=200&cursor="+next, nil, nil)
		var l listed
		if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil || w.Body.Len() > 2<<20 || len(l.Items) == 0 {
			t.Fatalf("%v, %d items in %d bytes", err, len(l.Items), w.Body.Len())
		}
		for _, item := range l.Items {
			if seen++; item.ID != fmt.Sprint(n-seen) {
				t.Fatalf("event %d is %s", seen, item.ID)
			}
		}
		next = l.Next
	}
	if seen != n || pages < 4 {
		t.Errorf("%d events on %d pages", seen, pages)
	}
}

// TestLargeItemsOfEarlierReleasesAreListedShort: they are in the database already, and a restart does not help.
func TestLargeItemsOfEarlierReleasesAreListedShort(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	db, err := sqlite.Open(sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	var calls []store.Call
	for range 3000 {
		calls = append(calls, store.Call{URL: "http://" + strings.Repeat("x", 4000)})
	}
	for i := range 3 {
		item := &store.Item{ID: fmt.Sprint(i), Source: source, Type: events.Mutated, Time: start, Outcome: "mutated", Namespace: "jhub", Name: "web", Endpoints: calls}
		raw := ev{id: fmt.Sprint(i)}.json(t)
		if err := db.Add(t.Context(), []*store.Event{{Item: item, Raw: raw}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, Config{Path: path})
	for _, target := range []string{"/api/events", "/api/events?pod=web", "/api/events/2"} {
		if w := do(t, s, "GET", target, nil, nil); w.Code != 200 || w.Body.Len() > 20_000 || !strings.Contains(w.Body.String(), `"endpoints":[]`) {
			t.Errorf("%s: %d, %d bytes", target, w.Code, w.Body.Len())
		}
	}
}
