package emit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/txn2/amp/internal/review"
)

// TestBackoff: each wait is twice as long as the one before, up to a bound. During a backoff one event is tried at a time.
// Retry-After goes before. After one success all workers send again.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := scripted(t, 8, func(ctx context.Context, _ string, try int) attempt {
			switch {
			case try <= 8:
				hang(ctx, time.Millisecond) // all eight are under way by now
				return failed
			case try == 12:
				return attempt{again: true, busy: true, after: 42 * time.Second, cause: "answered 503"}
			case try <= 20:
				return failed
			}
			return taken
		})
		for i := range 10 {
			w.Record(t.Context(), numbered(t, i))
		}
		synctest.Wait()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		w.want(t, 10, 20, 0, 0)

		var at []time.Duration
		for _, try := range s.tries {
			text, _, _ := strings.Cut(try, " ")
			d, err := time.ParseDuration(text)
			if err != nil {
				t.Fatal(err)
			}
			at = append(at, d)
		}
		for i, want := range map[int][2]time.Duration{ // the wait before a try, at least and at most
			0: {0, 0}, 7: {0, 0},
			8:  {51 * time.Millisecond, 101 * time.Millisecond}, // the eight are one failure
			9:  {100 * time.Millisecond, 200 * time.Millisecond},
			10: {200 * time.Millisecond, 400 * time.Millisecond},
			11: {400 * time.Millisecond, 800 * time.Millisecond},
			12: {42 * time.Second, 42 * time.Second},
			15: {5 * time.Second, 10 * time.Second},
			19: {5 * time.Second, 10 * time.Second},
			20: {5 * time.Second, 10 * time.Second},
			21: {0, 0}, 29: {0, 0},
		} {
			got := at[i] - at[max(i-1, 0)]
			if got < want[0] || got > want[1] {
				t.Errorf("wait before try %d: %s, want %s; all: %v", i, got, want, s.tries)
			}
		}
		log := w.log.String()
		if strings.Count(log, "event sink fails") != 1 || strings.Count(log, "takes events again") != 1 {
			t.Error(log)
		}
		w.flush(t)
	})
}

// TestAnEventThatTheSinkChokesOn does not block the others, and amp does not try it for ever.
func TestAnEventThatTheSinkChokesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := scripted(t, 8, func(_ context.Context, id string, _ int) attempt {
			if id == "uid-0000" {
				return failed
			}
			return taken
		})
		for i := range 200 {
			w.Record(t.Context(), numbered(t, i))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		w.want(t, 199, int(w.counts()[1]), 1, 0)
		if len(s.taken) != 199 || !strings.Contains(w.log.String(), `event=uid-0000 sink=http://sink cause="answered 500 every time, while other events were taken"`) {
			t.Error(len(s.taken), w.log)
		}
		w.flush(t)
	})
}

// TestABusySinkLosesNothing: a sink that accepts one event a second and answers 429 to the others has all of them in the
// end.
func TestABusySinkLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last time.Time
		var mu sync.Mutex
		w, s := scripted(t, 8, func(context.Context, string, int) attempt {
			mu.Lock()
			defer mu.Unlock()
			if time.Since(last) < time.Second {
				return attempt{again: true, busy: true, cause: "answered 429"}
			}
			last = time.Now()
			return taken
		})
		for i := range 300 {
			w.Record(t.Context(), numbered(t, i))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if c := w.counts(); c[0] != 300 || c[2] != 0 || len(s.taken) != 300 {
			t.Error(c)
		}
		w.flush(t)
	})
}

// TestOutage: the sink is down for an hour. Then it gets as many events as the queue holds; the others are counted as
// dropped.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w, s := scripted(t, 8, func(context.Context, string, int) attempt {
			if time.Since(start) < time.Hour {
				return attempt{again: true, cause: "cannot be reached"}
			}
			return taken
		})
		for i := range 1100 {
			w.Record(t.Context(), numbered(t, i))
			synctest.Wait()
		}
		if c := w.counts(); c[0] != 0 || c[2] != 1100-1024 || c[3] != 1024 {
			t.Error(c)
		}
		if n := strings.Count(w.log.String(), `cause="the queue is full"`); n != 76 {
			t.Errorf("%d events are logged as dropped", n)
		}
		time.Sleep(time.Hour + maxBackoff)
		synctest.Wait()
		if c := w.counts(); c[0] != 1024 || c[2] != 76 || c[3] != 0 || len(s.taken) != 1024 {
			t.Error(c)
		}
		w.flush(t)
	})
}

func TestTheQueueIsBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := scripted(t, 8, func(ctx context.Context, _ string, _ int) attempt { return hang(ctx, time.Minute) })
		big := json.RawMessage(`{"spec":"` + strings.Repeat("x", 1<<20) + `"}`)
		for i := range 20 {
			rec := numbered(t, i)
			rec.Plan.Level, rec.Review.Pod = review.LevelFull, big
			w.Record(t.Context(), rec)
			synctest.Wait() // becomes a message
		}
		// A record of a Pod counts somewhat more than the Pod, and so does its message.
		if c := w.counts(); c[3] != 15 || c[2] != 5 {
			t.Error(c)
		}
		if q := w.Events.queue; q.bytes > maxQueuedBytes || q.bytes < 15<<20 {
			t.Errorf("%d bytes", q.bytes)
		}
		w.flush(t)
		if q := w.Events.queue; q.bytes != 0 {
			t.Errorf("%d bytes are left", q.bytes)
		}
	})
}

func TestFlush(t *testing.T) {
	t.Run("what is queued is delivered, whatever the sink asked for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, s := scripted(t, 8, func(ctx context.Context, _ string, try int) attempt {
				if try <= 3 {
					return attempt{again: true, busy: true, after: time.Minute, cause: "answered 503"}
				}
				return hang(ctx, 10*time.Millisecond)
			})
			for i := range 100 {
				w.Record(t.Context(), numbered(t, i))
			}
			time.Sleep(time.Second)
			start := time.Now()
			w.flush(t)
			if took := time.Since(start); took > 2*time.Second || len(s.taken) != 100 {
				t.Errorf("%d after %s", len(s.taken), took)
			}
		})
	})
	t.Run("what cannot be delivered in time is dropped", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, _ := scripted(t, 8, func(context.Context, string, int) attempt { return failed })
			for i := range 100 {
				w.Record(t.Context(), numbered(t, i))
			}
			start := time.Now()
			w.flush(t)
			if took := time.Since(start); took != 10*time.Second {
				t.Error(took)
			}
			if c := w.counts(); c[0] != 0 || c[2] != 100 || c[3] != 0 {
				t.Error(c)
			}
			for i := range 100 {
				if !strings.Contains(w.log.String(), fmt.Sprintf(`event=uid-%04d sink=http://sink cause="amp ended`, i)) {
					t.Errorf("%d is not in the log", i)
				}
			}
		})
	})
	t.Run("a request under way is called off in the end", func(t *testing.T) {
		closed := make(chan struct{})
		r := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-closed })
		defer close(closed)
		w := open(t, EventsConfig{Sink: parseURL(t, r.URL)})
		w.Record(t.Context(), numbered(t, 0))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		w.Events.Flush(ctx)
		w.want(t, 0, 0, 1, 0)
	})
}

// TestABlockedOutput: a write to a pipe without a reader cannot be cancelled, and amp ends nevertheless.
func TestABlockedOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, output := io.Pipe()
		w, _ := scripted(t, 1, nil)
		w.Events.to = writer{output}
		for i := range 10 {
			w.Record(t.Context(), numbered(t, i))
		}
		start := time.Now()
		w.flush(t)
		if took := time.Since(start); took != 10*time.Second+flushGrace {
			t.Error(took)
		}
		w.want(t, 0, 0, 10, 0)
		reader.Close() // lets the worker go
		synctest.Wait()
		if c := w.counts(); c[3] != 0 {
			t.Error(c)
		}
	})
}

// TestRecordNeverWaits, neither for a sink that does not answer nor for a full queue.
func TestRecordNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := scripted(t, 8, func(ctx context.Context, _ string, _ int) attempt { return hang(ctx, time.Hour) })
		start := time.Now()
		for i := range 5000 {
			w.Record(t.Context(), numbered(t, i))
		}
		if time.Since(start) != 0 { // in a bubble, time passes only while all goroutines wait
			t.Error(time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w.Events.Flush(ctx)
	})
}
