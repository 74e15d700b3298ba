package emit

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

func TestWhetherASinkTakesBatches(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.Header
		want   bool
	}{
		"it says nothing":                 {http.Header{}, false},
		"it names the media type":         {http.Header{"Accept-Post": {"application/cloudevents-batch+json"}}, true},
		"among others":                    {http.Header{"Accept-Post": {"application/json, application/cloudevents-batch+json; charset=utf-8"}}, true},
		"in a second line":                {http.Header{"Accept-Post": {"text/plain", "application/cloudevents-batch+json"}}, true},
		"in capitals":                     {http.Header{"Accept-Post": {"Application/CloudEvents-Batch+JSON"}}, true},
		"it takes structured events only": {http.Header{"Accept-Post": {"application/cloudevents+json"}}, false},
		"it takes anything":               {http.Header{"Accept-Post": {"*/*"}}, false}, // which need not mean batches
		"what it says cannot be read":     {http.Header{"Accept-Post": {";;,"}}, false},
		"another header names it":         {http.Header{"Accept": {"application/cloudevents-batch+json"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := takesBatches(test.answer); got != test.want {
				t.Error(got)
			}
		})
	}
}

// batching is a world with one worker, whose sink takes batches from the beginning.
func batching(t *testing.T, answer func(ctx context.Context, ids string, try int) attempt) (*world, *script) {
	w, s := scripted(t, 1, answer)
	s.batch.Store(true)
	return w, s
}

func TestBatches(t *testing.T) {
	all := func(context.Context, string, int) attempt { return taken }
	for name, test := range map[string]struct {
		answer func(ctx context.Context, ids string, try int) attempt
		do     func(t *testing.T, w *world)
		tries  string
		counts [4]int // delivered, retried, dropped, queue
	}{
		"an event waits for others, for a moment": {all, func(t *testing.T, w *world) {
			w.Record(t.Context(), numbered(t, 1))
			time.Sleep(15 * time.Millisecond)
			w.Record(t.Context(), numbered(t, 2))
			time.Sleep(time.Second)
			w.Record(t.Context(), numbered(t, 3))
		}, "20ms uid-0001+uid-0002, 1.035s uid-0003", [4]int{3, 0, 0, 0}},
		"nothing waits when amp ends": {all, func(t *testing.T, w *world) {
			w.Record(t.Context(), numbered(t, 1))
			w.Record(t.Context(), numbered(t, 2))
			synctest.Wait()
			w.flush(t)
		}, "0s uid-0001+uid-0002", [4]int{2, 0, 0, 0}},
		"after a failure one is tried, and then the rest": {func(_ context.Context, _ string, try int) attempt {
			if try == 1 {
				return attempt{again: true, cause: "answered 503", after: time.Second}
			}
			return taken
		}, func(t *testing.T, w *world) {
			for i := range 3 {
				w.Record(t.Context(), numbered(t, i))
			}
		}, "20ms uid-0000+uid-0001+uid-0002, 1.02s uid-0000, 1.04s uid-0001+uid-0002", [4]int{3, 3, 0, 0}},
		"a sink that refuses a batch gets its events one by one, and only the bad one is lost": {func(_ context.Context, ids string, _ int) attempt {
			if strings.Contains(ids, "uid-0001") {
				return attempt{cause: "answered 400"}
			}
			return taken
		}, func(t *testing.T, w *world) {
			for i := range 3 {
				w.Record(t.Context(), numbered(t, i))
			}
		}, "20ms uid-0000+uid-0001+uid-0002, 20ms uid-0000, 20ms uid-0001, 20ms uid-0002", [4]int{2, 0, 1, 0}},
		"a large event goes alone": {all, func(t *testing.T, w *world) {
			w.Record(t.Context(), numbered(t, 1))
			synctest.Wait() // large events are encoded beside the others
			large := numbered(t, 2)
			large.Run.Patch[0].Value = json.RawMessage(`"` + strings.Repeat("x", maxBatchBytes) + `"`)
			large.Run.Steps[0].Ops[0].Value = large.Run.Patch[0].Value
			large.Plan.Level = "Full"
			w.Record(t.Context(), large)
			synctest.Wait()
			w.Record(t.Context(), numbered(t, 3))
		}, "20ms uid-0001, 40ms uid-0002, 60ms uid-0003", [4]int{3, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, s := batching(t, test.answer)
				test.do(t, w)
				time.Sleep(5 * time.Second)
				w.flush(t) // the worker has ended
				if got := strings.Join(s.tries, ", "); got != test.tries {
					t.Errorf("tries: %s\nwant:  %s", got, test.tries)
				}
				if w.counts() != test.counts {
					t.Errorf("delivered, retried, dropped, queue: %v, want %v", w.counts(), test.counts)
				}
			})
		})
	}
}

// TestABatchThatFailsCostsNoOtherEvent: what the sink takes alone is delivered, however often it fails in a batch.
func TestABatchThatFailsCostsNoOtherEvent(t *testing.T) {
	const many = 60
	for name, fails := range map[string]func(ids string) bool{
		"it fails every batch":  func(ids string) bool { return strings.Contains(ids, "+") },
		"it fails on one event": func(ids string) bool { return strings.Contains(ids, "uid-0059") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mended atomic.Bool
				w, _ := batching(t, func(_ context.Context, ids string, _ int) attempt {
					if fails(ids) && !mended.Load() {
						return failed
					}
					return taken
				})
				w.Record(t.Context(), numbered(t, 9999))
				time.Sleep(time.Second) // the sink has accepted an event before
				for i := range many {
					w.Record(t.Context(), numbered(t, i))
				}
				time.Sleep(10 * time.Minute)
				counts := w.counts()
				mended.Store(true)
				time.Sleep(time.Minute)
				w.flush(t)
				if delivered, dropped := counts[0], counts[2]; dropped > 0 || delivered < many {
					t.Errorf("%d events delivered, %d dropped", delivered, dropped)
				}
			})
		})
	}
}

// TestARefusedBatchWaitsWhileTheSinkFails: its events go one by one, and not all of them to a sink that fails meanwhile.
func TestARefusedBatchWaitsWhileTheSinkFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := batching(t, func(_ context.Context, ids string, _ int) attempt {
			if strings.Contains(ids, "+") {
				return attempt{cause: "answered 413"}
			}
			return attempt{again: true, busy: true, cause: "answered 503", after: time.Minute}
		})
		for i := range 50 {
			w.Record(t.Context(), numbered(t, i))
		}
		time.Sleep(30 * time.Second)
		s.mu.Lock()
		if len(s.tries) != 2 {
			t.Errorf("%d tries, want the batch and one event: the sink asked to wait for a minute", len(s.tries))
		}
		s.mu.Unlock()
		w.flush(t)
	})
}

// TestManyEventsAreFullBatches: what does not fit in one batch follows at once, or waits for others again.
func TestManyEventsAreFullBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		w, s := batching(t, func(context.Context, string, int) attempt { <-hold; return taken })
		for i := range 1 + 2*maxBatch + 50 {
			w.Record(t.Context(), numbered(t, i))
			if i == 0 {
				time.Sleep(2 * linger) // the first is under way, and the others wait for the worker
			}
		}
		synctest.Wait()
		close(hold)
		time.Sleep(time.Second)
		w.flush(t)
		var sizes []int
		for _, try := range s.tries {
			sizes = append(sizes, 1+strings.Count(try, "+"))
		}
		if want := []int{1, maxBatch, maxBatch, 50}; !slices.Equal(sizes, want) {
			t.Errorf("batches of %v, want %v", sizes, want)
		}
	})
}

// TestABatchOnTheWire: to a sink that says so, events go in batches, with what each has alone; and no longer when it stops to
// say so.
func TestABatchOnTheWire(t *testing.T) {
	var mu sync.Mutex
	single, batched := map[string]event.Event{}, map[string]event.Event{}
	says := "application/cloudevents-batch+json"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if says != "" {
			w.Header().Set("Accept-Post", says)
		}
		if req.Header.Get("Content-Type") != "application/cloudevents-batch+json" {
			single[req.Header.Get("Ce-Id")] = event.Event{DataEncoded: body}
			return
		}
		if req.Header.Get("User-Agent") != "amp/v1" || req.Header.Get("Ce-Id") != "" {
			t.Errorf("header %v", req.Header)
		}
		var all []event.Event
		if err := json.Unmarshal(body, &all); err != nil {
			t.Errorf("%v: %s", err, body)
		}
		for _, e := range all {
			checkEvent(t, e)
			batched[e.ID()] = e
		}
	}))
	defer server.Close()
	w := open(t, EventsConfig{Sink: parseURL(t, server.URL)})
	delivered := func(n int) {
		t.Helper()
		for w.counts()[0] < n {
			if t.Context().Err() != nil || w.counts()[2] > 0 {
				t.Fatal(w.counts(), w.log)
			}
			time.Sleep(time.Millisecond)
		}
	}
	w.Record(t.Context(), numbered(t, 0))
	delivered(1)
	const many = 200 // of which some go together, however slow the machine is
	for i := range many {
		w.Record(t.Context(), numbered(t, 1+i))
	}
	delivered(1 + many)
	mu.Lock()
	if _, ok := single["uid-0000"]; !ok || len(batched) == 0 {
		t.Errorf("%d alone, %d in batches", len(single), len(batched))
	}
	for id, e := range batched {
		rec := aMutation(t)
		rec.Plan.Event = id
		want, err := newEvent(rec, aSource, nil)
		if err != nil {
			t.Fatal(err)
		}
		if e.Source() != "https://amp.example/a" || e.Type() != want.Type() || e.Subject() != want.Subject() || e.DataSchema() != want.DataSchema() ||
			!reflect.DeepEqual(e.Extensions(), want.Extensions()) || e.DataContentType() != "application/json" {
			t.Errorf("in a batch: %v\nalone: %v", e, want)
		}
		if string(e.Data()) != string(single["uid-0000"].Data()) {
			t.Errorf("in a batch: %s\nalone: %s", e.Data(), single["uid-0000"].Data())
		}
	}
	says = ""
	clear(single)
	clear(batched)
	mu.Unlock()
	for i := range 4 {
		w.Record(t.Context(), numbered(t, many+1+2*i))
		w.Record(t.Context(), numbered(t, many+2+2*i))
		delivered(many + 3 + 2*i)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(batched) > 2 || len(single) < 6 {
		t.Errorf("it does not say so any more: %d alone, %d in batches", len(single), len(batched))
	}
}
