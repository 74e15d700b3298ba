package emit

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/txn2/amp/internal/review"
)

type panicking struct{ *script }

func (panicking) encode(*event.Event) (*message, error) { panic("s3cret") }

func TestAPanicCostsOneEvent(t *testing.T) {
	w, s := scripted(t, 1, nil)
	w.Events.to = panicking{s}
	w.Events.log = slog.New(slog.NewTextHandler(w.log, nil))
	if sent, err := w.Deliver(t.Context(), required(t, 0)); err == nil || err.Error() != "an error in amp itself: making the event: string" || sent {
		t.Error(sent, err)
	}
	w.flush(t)
	if n := testutil.ToFloat64(w.Metrics.panics); n != 1 || strings.Contains(w.log.String(), "s3cret") {
		t.Error(n, w.log)
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	r := newReceiver(t, slices.Repeat([]func(http.ResponseWriter, *http.Request){status(503)}, 5)...)
	w := open(t, EventsConfig{Sink: parseURL(t, r.URL)})
	var delivered atomic.Int64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				rec := required(t, 100*g+i)
				if i%2 == 0 {
					rec.Verdict = review.Verdict{Outcome: review.OutcomeUnchanged}
				}
				if err := answered(t.Context(), w.Recorder, rec); err != nil {
					t.Error(err)
				}
				delivered.Add(1)
			}
		})
	}
	wg.Wait()
	w.flush(t)
	if ids := r.ids(); len(ids) != 160 || len(slices.Compact(ids)) != 160 || delivered.Load() != 160 {
		t.Errorf("%d events", len(ids))
	}
}

// TestTheAccountIsOfRealMemory compares the accounted sizes of records and messages with the memory that they keep.
func TestTheAccountIsOfRealMemory(t *testing.T) {
	body, err := os.ReadFile("../review/testdata/jupyterhub-user.review.json")
	if err != nil {
		t.Fatal(err)
	}
	const n = 500
	var records [n]*review.Record
	var messages [n]*message
	heap := func() int64 {
		for range 3 { // a sync.Pool keeps its objects for one more collection: other tests filled some
			runtime.GC()
		}
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	check := func(what string, kept, accounted int64) {
		t.Logf("%s: %d bytes kept, %d accounted for", what, kept/n, accounted/n)
		if accounted < kept*8/10 || accounted > kept*3/2 {
			t.Errorf("%s: %d bytes kept, %d accounted for", what, kept/n, accounted/n)
		}
	}

	before, accounted := heap(), int64(0)
	for i := range records {
		r, err := review.Read(bytes.Clone(body), review.Mutate)
		if err != nil {
			t.Fatal(err)
		}
		ops := []review.Op{{Op: "add", Path: "/spec/volumes/-", Value: json.RawMessage(`{"name":"` + strings.Repeat("x", 300) + `"}`)}}
		records[i] = &review.Record{Review: r, Run: review.Run{Steps: []review.Step{{Ops: ops}}, Patch: ops}}
		accounted += recordSize(records[i])
	}
	check("records", heap()-before, accounted)

	before, accounted = heap(), 0
	for i := range messages {
		rec := aMutation(t)
		rec.Review = records[i].Review
		e, err := newEvent(rec, aSource, nil)
		if err != nil {
			t.Fatal(err)
		}
		if messages[i], err = (&sink{}).encode(&e); err != nil {
			t.Fatal(err)
		}
		accounted += messages[i].size()
	}
	check("messages", heap()-before, accounted)
	runtime.KeepAlive(records)
	runtime.KeepAlive(messages)
}

func BenchmarkRecord(b *testing.B) {
	for _, mode := range []string{"off", "async", "required"} {
		b.Run(mode, func(b *testing.B) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				_, _ = io.Copy(io.Discard, req.Body)
				w.WriteHeader(http.StatusAccepted)
			}))
			defer server.Close()
			w := &Recorder{Metrics: NewMetrics(prometheus.NewRegistry(), "", func() int64 { return 0 }), Log: slog.New(slog.DiscardHandler)}
			if mode != "off" {
				w.Events = NewEvents(EventsConfig{Sink: parseURL(b, server.URL), Source: aSource, Metrics: w.Metrics, Log: w.Log})
			}
			rec := aReview(b)
			rec.Plan.Event, rec.Plan.Required = strconv.Itoa(1), mode == "required"
			b.ReportAllocs()
			for b.Loop() {
				if err := answered(b.Context(), w, rec); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			w.Events.Flush(b.Context())
			b.ReportMetric(testutil.ToFloat64(w.Metrics.events[eventDropped])/float64(b.N), "dropped/op")
		})
	}
}
