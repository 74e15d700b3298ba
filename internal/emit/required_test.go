package emit

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/txn2/amp/internal/review"
)

func TestRequired(t *testing.T) {
	script := func(s ...func(http.ResponseWriter, *http.Request)) []func(http.ResponseWriter, *http.Request) {
		return s
	}
	always := func(one func(http.ResponseWriter, *http.Request)) []func(http.ResponseWriter, *http.Request) {
		return slices.Repeat(script(one), 100)
	}
	for name, test := range map[string]struct {
		script []func(http.ResponseWriter, *http.Request)
		want   string // the error; empty: none
		tries  int    // 0: several
	}{
		"the sink takes it":                   {nil, "", 1},
		"the sink takes it at the second try": {script(status(503)), "", 2},
		"the connection breaks once":          {script(hangUp), "", 2},
		"503 all the time":                    {always(status(503)), "event sink URL/x answered 503", 0},
		"the connection breaks all the time":  {always(hangUp), "event sink URL/x closed the connection without an answer", 0},
		"the sink wants too long a rest":      {script(status(503, "Retry-After", "30")), "event sink URL/x answered 503", 1},
		"it will never be taken":              {script(status(400)), "event sink URL/x answered 400", 1},
		"a redirect":                          {script(status(308, "Location", "/y")), "event sink URL/x answered 308", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, test.script...)
			w := open(t, EventsConfig{Sink: parseURL(t, strings.Replace(r.URL, "//", "//user:s3cret@", 1)+"/x?s3cret")})
			// The last try has a thirteenth of it at least: the rests double, give or take a half, and each leaves half as much.
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
			defer cancel()
			rec := required(t, 0)
			start := time.Now()
			sent, err := w.Deliver(ctx, rec)
			if time.Since(start) > 20*time.Second {
				t.Errorf("took %s", time.Since(start))
			}
			if (err == nil) != (test.want == "") || err != nil && strings.ReplaceAll(err.Error(), r.URL, "URL") != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
			tries := int(r.tries.Load())
			if test.tries != 0 && tries != test.tries || test.tries == 0 && tries < 3 {
				t.Errorf("%d tries, want %d", tries, test.tries)
			}
			if err != nil {
				if !sent {
					t.Error("not sent")
				}
				w.want(t, 0, tries-1, 0, 0) // none is dropped: what it tells of is not to be
				return
			}
			w.Record(t.Context(), rec) // has been delivered
			w.flush(t)
			w.want(t, 1, test.tries-1, 0, 0)
			if diff := cmp.Diff([]string{"uid-0000"}, r.ids()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequiredWithoutAnAnswer(t *testing.T) {
	closed := make(chan struct{})
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-closed })
	defer close(closed)
	w := open(t, EventsConfig{Sink: parseURL(t, r.URL)})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	rec := required(t, 1)
	sent, err := w.Deliver(ctx, rec)
	if err == nil || !strings.HasPrefix(err.Error(), "event sink "+r.URL+" gave no answer within ") {
		t.Fatal(err)
	}
	if !sent {
		t.Error("not sent: it may have arrived")
	}

	// The verdict that supersedes it has an id of its own. Its event goes through the queue.
	rec.Plan.Event += "/final"
	rec.Verdict = review.Verdict{Outcome: review.OutcomeRejected, Message: "amp: " + err.Error()}
	rec.Run.Err, rec.Run.Patch, rec.Run.Stamp = err, nil, nil
	if err := answered(t.Context(), w.Recorder, rec); err != nil {
		t.Error(err)
	}
	w.flush(t)
	w.want(t, 1, 0, 0, 0)
	if diff := cmp.Diff([]string{"uid-0001/final"}, r.ids()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestRequiredWithoutAConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	w := open(t, EventsConfig{Sink: parseURL(t, "http://"+listener.Addr().String())})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	sent, err := w.Deliver(ctx, required(t, 1))
	if err == nil || !strings.Contains(err.Error(), "cannot be reached: dial tcp 127.0.0.1:") {
		t.Error(err)
	}
	if sent {
		t.Error("sent")
	}

	over, cancel := context.WithCancel(t.Context())
	cancel()
	r := newReceiver(t)
	w = open(t, EventsConfig{Sink: parseURL(t, r.URL)})
	sent, err = w.Deliver(over, required(t, 1))
	if err == nil || sent || r.tries.Load() != 0 {
		t.Errorf("sent %t, error %v, although there was no time", sent, err)
	}
}

// TestADeadConnectionIsNoFailure: after a sink has closed a kept connection, the request is repeated on a new one, and no
// mutation fails.
func TestADeadConnectionIsNoFailure(t *testing.T) {
	twice := func() [4]int {
		r := newReceiver(t, status(202), hangUp)
		w := open(t, EventsConfig{Sink: parseURL(t, r.URL)})
		for i := range 2 {
			if _, err := w.Deliver(t.Context(), required(t, i)); err != nil {
				t.Error(err)
			}
		}
		if tries := r.tries.Load(); tries != 3 {
			t.Errorf("%d requests", tries)
		}
		return w.counts()
	}
	want := [4]int{2, 0, 0, 0}
	got := twice()
	if got != want { // net/http gives up a connection if the machine lets it wait for 50 ms after an answer
		got = twice()
	}
	if got != want {
		t.Errorf("delivered, retried, dropped, queue: %v, want %v", got, want)
	}
}

// TestRequiredIsOfMutationsOnly: the events of other records go through the queue, and a dry run has none.
func TestRequiredIsOfMutationsOnly(t *testing.T) {
	r := newReceiver(t)
	w := open(t, EventsConfig{Sink: parseURL(t, r.URL)})
	unchanged := required(t, 1)
	unchanged.Verdict = review.Verdict{Outcome: review.OutcomeUnchanged}
	dryRun := required(t, 2)
	dryRun.Plan.Event = ""
	for _, rec := range []*review.Record{unchanged, dryRun} {
		if rec.EventFirst() {
			t.Errorf("the event %q of a review that ended %s must come first", rec.Plan.Event, rec.Verdict.Outcome)
		}
		w.Record(t.Context(), rec)
	}
	w.flush(t)
	w.want(t, 1, 0, 0, 0)

	if rec := required(t, 3); !rec.EventFirst() {
		t.Error("the event of a mutation need not come first")
	}
	if rec := numbered(t, 4); rec.EventFirst() {
		t.Error("the event of a mutation must come first although that is not required")
	}
}

// TestEventsOff: without events there is nothing to wait for, and nothing that could be delivered.
func TestEventsOff(t *testing.T) {
	w := &Recorder{Metrics: NewMetrics(prometheus.NewRegistry(), "", func() int64 { return 0 }), Log: slog.New(slog.DiscardHandler)}
	rec := numbered(t, 1)
	w.Record(t.Context(), rec)
	w.Events.Flush(t.Context())
	if allocs := testing.AllocsPerRun(100, func() { w.Record(t.Context(), rec) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if sent, err := w.Deliver(t.Context(), required(t, 1)); err == nil || sent {
		t.Errorf("sent %t, error %v", sent, err)
	}
}
