package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// TestWhatOnlyDeletedEventsNeededMakesRoom: what is kept beside the events may not crowd them out.
func TestWhatOnlyDeletedEventsNeededMakesRoom(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 500)
	for name, test := range map[string]struct {
		memory  int64
		seconds float64 // between two events
		change  func(n int, i *store.Item)
	}{
		"each event has endpoints of its own": {2 << 20, 0.01, func(n int, i *store.Item) {
			i.Endpoints = nil
			for e := range 32 {
				i.Endpoints = append(i.Endpoints, store.Call{URL: fmt.Sprintf("http://hook/%d/%d/%s", n, e, long), DurationMS: 3})
			}
		}},
		"each event has a generateName of its own": {512 << 10, 0.01, func(n int, i *store.Item) {
			i.Name, i.GenerateName = "", fmt.Sprintf("a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r-s-t-%d-", n)
		}},
		"each event has a namespace, a user and a source of its own": {512 << 10, 0.01, func(n int, i *store.Item) {
			i.Source, i.Namespace, i.User = fmt.Sprintf("urn:%d:%s", n, long), fmt.Sprint("n", n), fmt.Sprintf("%d:%s", n, long)
		}},
		"each event has a minute of its own": {512 << 10, 60, func(n int, i *store.Item) {
			i.Endpoints = nil
			for e := range 32 {
				i.Endpoints = append(i.Endpoints, store.Call{URL: fmt.Sprintf("http://hook/%d", e), DurationMS: float64(n % 97)})
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, Config{MaxMemory: test.memory})
			const chunk = 10
			n, full := 0, 0
			for ; full == 0 || n < 3*full; n += chunk {
				var events []*store.Event
				for i := n; i < n+chunk; i++ {
					events = append(events, event(fmt.Sprint(i), float64(i)*test.seconds, func(item *store.Item) { test.change(i, item) }))
				}
				add(t, s, events...)
				left := rowsOf(t, s, "events")
				if left < chunk {
					t.Fatalf("%d events were added, %d of them in one go, and %d are left", n+chunk, chunk, left)
				}
				if full == 0 && left < n+chunk {
					full = n
				}
			}
			if left := rowsOf(t, s, "events"); left < full/3 {
				t.Errorf("there was room for %d events, and now %d are left", full, left)
			}
			checkNeeded(t, s)
		})
	}
}

// checkNeeded checks that the newest and the oldest events are found by all that they have, and that what belongs to a deleted
// value went with it.
func checkNeeded(t *testing.T, s *Store) {
	t.Helper()
	for _, order := range []string{"DESC", "ASC"} {
		var id string
		if err := s.tx.conn.QueryRowContext(t.Context(), "SELECT eid FROM events ORDER BY id "+order).Scan(&id); err != nil {
			t.Fatal(err)
		}
		d, err := s.Detail(t.Context(), id, "")
		if err != nil {
			t.Fatal(err)
		}
		at := store.Filter{From: d.Item.Time, To: d.Item.Time.Add(time.Microsecond)}
		by := map[string]store.Filter{"time": at}
		for name, f := range map[string]store.Filter{
			"user": {User: d.Item.User}, "namespace": {Namespace: d.Item.Namespace}, "endpoint": {Endpoint: d.Item.Endpoints[0].URL}, "Pod": {Pod: d.Item.Name + d.Item.GenerateName},
		} {
			f.From, f.To = at.From, at.To
			by[name] = f
		}
		for name, f := range by {
			if got := ids(t, s, f); got != id {
				t.Errorf("by its %s, %q is found instead of %s", name, got, id)
			}
		}
		if _, err := s.Detail(t.Context(), id, d.Item.Source); err != nil {
			t.Errorf("by its source: %v", err)
		}
	}
	for _, query := range []string{
		"SELECT count(*) FROM words WHERE term NOT IN (SELECT id FROM terms)",
		"SELECT count(*) FROM latencies WHERE endpoint > 0 AND endpoint NOT IN (SELECT id FROM terms)",
	} {
		if n, _, err := s.tx.number(query); err != nil || n > 0 {
			t.Errorf("%s: %d, %v", query, n, err)
		}
	}
}

func rowsOf(t *testing.T, s *Store, table string) (n int) {
	t.Helper()
	if err := s.tx.conn.QueryRowContext(context.Background(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAValueThatIsStillNeededStays although it was seen first long ago, as the dictionary notes it.
func TestAValueThatIsStillNeededStays(t *testing.T) {
	t.Parallel()
	s := open(t, Config{MaxMemory: 2 << 20})
	for i := range 100 { // all within the hour for which the dictionary does not note that a value was seen again
		e := event(fmt.Sprint(i), float64(i), func(item *store.Item) { item.Name, item.GenerateName = "", "web-6d4cf56db6-" })
		e.Raw = json.RawMessage(`"` + noise(100<<10) + `"`)
		add(t, s, e)
	}
	all := ids(t, s, store.Filter{})
	if all == "" || strings.HasSuffix(all, " 0") {
		t.Fatalf("there is %q", all)
	}
	for _, f := range []store.Filter{{Namespace: "jhub"}, {User: "alice"}, {Endpoint: "http://hook.jhub.svc/mutate"}, {Pod: "web-6d4cf56db6-x8k2p"}} {
		if got := ids(t, s, f); got != all {
			t.Errorf("%+v finds %q, want %q", f, got, all)
		}
	}
	values, err := s.Values(t.Context())
	if err != nil || len(values.Namespaces) != 1 || len(values.Endpoints) != 1 || len(values.Users) != 1 {
		t.Errorf("suggested are %+v, %v", values, err)
	}
}
