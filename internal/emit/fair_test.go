package emit

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/txn2/amp/internal/review"
)

// aPod is a Pod of so many bytes.
func aPod(size int) json.RawMessage {
	return json.RawMessage(`{"x":"` + strings.Repeat("x", size) + `"}`)
}

// from is a record of a namespace, with a Pod.
func from(t testing.TB, namespace string, i int, pod json.RawMessage) *review.Record {
	rec := numbered(t, i)
	r := *rec.Review
	r.Namespace, r.Pod = namespace, pod
	rec.Review, rec.Plan.Event = &r, fmt.Sprintf("%s-%04d", namespace, i)
	rec.Plan.Level = review.LevelFull
	return rec
}

// slow is a sink that takes 200 ms.
func slow(ctx context.Context, _ string, _ int) attempt { return hang(ctx, 200*time.Millisecond) }

// TestAFloodTakesNoRoomOfOthers: namespace a floods the queue of a slow sink, first alone. Every event of namespace b is
// delivered, and none waits for all that a has in the queue.
func TestAFloodTakesNoRoomOfOthers(t *testing.T) {
	for name, size := range map[string]int{"many events": 10, "large events": 500 << 10} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, s := scripted(t, concurrency, slow)
				flood, start, pod, small := 0, time.Now(), aPod(size), aPod(10)
				put := func(n int) {
					for range n {
						w.Record(t.Context(), from(t, "a", flood, pod))
						flood++
					}
				}
				put(1500)
				alone := w.counts()[3]
				for i := range 99 {
					w.Record(t.Context(), from(t, "b", i, small))
					put(20)
					time.Sleep(10 * time.Millisecond)
				}
				w.flush(t)
				delivered := 0
				for _, id := range s.taken {
					if strings.HasPrefix(id, "b-") {
						delivered++
					}
				}
				if delivered != 99 {
					t.Errorf("%d of 99 events of b are delivered", delivered)
				}
				for _, try := range s.tries {
					at, id, _ := strings.Cut(try, " ")
					if d, err := time.ParseDuration(at); err != nil || size == 10 && id == "b-0098" && d > time.Since(start)/2 {
						t.Errorf("the last event of b is tried after %s of %s", at, time.Since(start))
					}
				}
				if size == 10 && alone != maxQueued {
					t.Errorf("alone, a fills %d places of %d", alone, maxQueued)
				}
				dropped := w.counts()[2]
				if got := strings.Count(w.log.String(), `msg="event dropped" event=a-`); got != dropped || dropped == 0 {
					t.Errorf("%d events are dropped, %d of a", dropped, got)
				}
			})
		})
	}
}

// TestHalfOfTheQueue: while another namespace waits, one fills at most half of the queue. Alone it may fill all of it.
func TestHalfOfTheQueue(t *testing.T) {
	for name, test := range map[string]struct {
		size       int
		line       int
		half, full int
	}{
		"by number": {10, toEncode, maxQueued / 2, maxQueued},
		"by size":   {1 << 20, toEncodeLarge, 7, 15}, // a record of it counts somewhat more than 1 MiB
	} {
		t.Run(name, func(t *testing.T) {
			q, pod := newQueue(func(int) {}), aPod(test.size)
			count := func(namespace string) int { return q.tenantOf(namespace).count }
			put := func(namespace string, n int) (evicted int) {
				for i := range n {
					_, out := q.put(from(t, namespace, i, pod))
					evicted += len(out)
				}
				return evicted
			}
			put("b", 1)
			put("a", 2000)
			if count("a") != test.half || count("b") != 1 {
				t.Errorf("a fills %d places and b %d, want %d and 1", count("a"), count("b"), test.half)
			}

			q = newQueue(func(int) {})
			put("a", 2000)
			if count("a") != test.full {
				t.Errorf("alone, a fills %d places, want %d", count("a"), test.full)
			}
			// What a has above its half makes room, the newest first, whether it is encoded or not.
			for range test.full / 4 {
				e := q.nextRecord(test.line)
				q.encoded(e, &message{id: e.id(), body: make([]byte, e.size-1024)})
			}
			evicted := put("b", 2000)
			if count("b") > test.full-test.half || count("b") < test.half-1 || count("a") < test.half || evicted != test.full-count("a") {
				t.Errorf("a keeps %d places, b has %d; evicted: %d", count("a"), count("b"), evicted)
			}
			if e := q.nextRecord(test.line); count("a") > 0 && e.id() > "a-1500" {
				t.Errorf("%s is still there", e.id())
			}
			// A third tenant has to wait: no tenant has more than half.
			before := count("b")
			put("c", 1)
			if test.size == 10 && (count("c") != 0 || count("b") != before) {
				t.Errorf("c has %d places", count("c"))
			}
			q.close()
			q.abandon()
			if len(q.tenants) != 0 && q.count != 1 { // one is being encoded
				t.Errorf("%d tenants and %d entries are left", len(q.tenants), q.count)
			}
		})
	}
}

// TestCandidatesLeaveHalfOfTheQueue: their events take none of the second half, and no event has to make room for them.
func TestCandidatesLeaveHalfOfTheQueue(t *testing.T) {
	for name, test := range map[string]struct{ size, candidates, mutations int }{
		"by number": {10, maxQueued / 2, maxQueued},
		"by size":   {1 << 20, 7, 15},
	} {
		t.Run(name, func(t *testing.T) {
			q, pod := newQueue(func(int) {}), aPod(test.size)
			for i := range 2000 {
				if _, evicted := q.putCandidate("a", &message{id: fmt.Sprint(i), body: make([]byte, test.size)}); evicted != nil {
					t.Fatalf("%d are evicted", len(evicted))
				}
			}
			if q.count != test.candidates {
				t.Errorf("candidates fill %d places, want %d", q.count, test.candidates)
			}
			for i := range 2000 {
				_, _ = q.put(from(t, "a", i, pod))
			}
			if q.count != test.mutations {
				t.Errorf("with mutations there are %d, want %d", q.count, test.mutations)
			}
			if refused, evicted := q.putCandidate("b", &message{id: "b", body: make([]byte, test.size)}); refused == "" || evicted != nil {
				t.Errorf("another candidate: %q, %d evicted", refused, len(evicted))
			}
			q.close()
		})
	}
}
