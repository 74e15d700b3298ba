// Package load measures how fast an endpoint answers when it is called as the proxy calls it. It judges no answer beyond
// what the proxy's client does. It is bounded in time and in requests.
package load

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/shapes"
)

// Bounds of a measurement. Each answer takes 8 bytes of memory.
const (
	MaxDuration    = 10 * time.Minute
	MaxRequests    = 5_000_000
	MaxConcurrency = 1000
)

// Config says what is measured.
type Config struct {
	Endpoint review.Endpoint
	Client   *callout.Client
	// Shapes are sent in turn; there must be at least one.
	Shapes []shapes.Shape
	// Timeout is the time for one answer, and the budget of a namespace.
	Timeout time.Duration
	// Concurrency is how many requests are in flight at most.
	Concurrency int
	// Duration ends the measurement.
	Duration time.Duration
	// Requests ends it too, after so many; 0 means that only Duration does.
	Requests int
	// Rate is how many requests begin in a second; 0 means that each begins when another one has ended.
	Rate float64
}

// Result is what was measured. The times are of the answers without error; they begin when a request should have begun, so
// that a slow answer also counts for those that waited for it.
type Result struct {
	Took    time.Duration
	Times   []time.Duration // sorted
	Refused int             // denials, which are answers
	Errors  map[review.Result]Failures
}

// Failures are the failed calls of one kind.
type Failures struct {
	Count   int
	Example string // the message of the first one
}

// Run measures. Its error says that the very first call found no server; ctx ends the measurement early.
func Run(ctx context.Context, c Config) (*Result, error) {
	dry := make([]*review.Review, len(c.Shapes))
	for i, s := range c.Shapes {
		own := *s.Review
		own.DryRun = true // no side effect: see the contract
		dry[i] = &own
	}
	var started atomic.Int64
	workers := make([]*worker, c.Concurrency)
	for i := range workers {
		workers[i] = &worker{config: &c, reviews: dry, errors: map[review.Result]Failures{}}
	}
	// One call before, which also tells whether there is an endpoint.
	first := &worker{config: &c, reviews: dry, errors: map[review.Result]Failures{}}
	first.call(ctx, 0, time.Now())
	if f, unreachable := first.errors[review.ResultUnreachable]; unreachable {
		return nil, errors.New(f.Example)
	}

	begin := time.Now()
	ctx, cancel := context.WithDeadline(ctx, begin.Add(c.Duration))
	defer cancel()
	next := func() (n int, at time.Time, more bool) {
		n = int(started.Add(1))
		return n, time.Now(), (c.Requests == 0 || n <= c.Requests) && n <= MaxRequests && ctx.Err() == nil
	}
	if c.Rate > 0 {
		next = paced(ctx, next, c.Rate)
	}
	var wait sync.WaitGroup
	for _, w := range workers {
		wait.Go(func() {
			for {
				n, at, more := next()
				if !more {
					return
				}
				// The end of the measurement does not cut a call off: that would count as a late answer.
				w.call(context.WithoutCancel(ctx), n, at)
			}
		})
	}
	wait.Wait()
	return sum(workers, time.Since(begin)), nil
}

// paced gives each request the time at which it is due, whether or not a worker is free then.
func paced(ctx context.Context, next func() (int, time.Time, bool), perSecond float64) func() (int, time.Time, bool) {
	begin, step := time.Now(), time.Duration(float64(time.Second)/perSecond)
	return func() (int, time.Time, bool) {
		n, _, more := next()
		if !more {
			return n, begin, false
		}
		due := begin.Add(time.Duration(n-1) * step)
		timer := time.NewTimer(time.Until(due)) // at once if it is past
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return n, due, false
		}
		return n, due, true
	}
}

// worker makes one call after the other, and notes what came.
type worker struct {
	config  *Config
	reviews []*review.Review
	times   []time.Duration
	refused int
	errors  map[review.Result]Failures
}

// call makes call number n. It is a review of its own, as each is that amp gets: an endpoint may know one again by its ce-id.
func (w *worker) call(ctx context.Context, n int, due time.Time) {
	r := *w.reviews[n%len(w.reviews)]
	r.UID = shapes.UID(n)
	ctx, cancel := context.WithTimeout(ctx, w.config.Timeout)
	defer cancel()
	answer, err := w.config.Client.Call(ctx, w.config.Endpoint, &r, 1, time.Now(), json.RawMessage(r.Pod))
	took := time.Since(due)
	if err == nil {
		w.times = append(w.times, took)
		if answer.Refused {
			w.refused++
		}
		return
	}
	kind := review.ResultInvalid
	var f *review.Failure
	if errors.As(err, &f) {
		kind = f.Result
	}
	failures := w.errors[kind]
	if failures.Count++; failures.Example == "" {
		failures.Example = err.Error()
	}
	w.errors[kind] = failures
}

// sum puts together what the workers noted.
func sum(workers []*worker, took time.Duration) *Result {
	all := &Result{Took: took, Errors: map[review.Result]Failures{}}
	for _, w := range workers {
		all.Times = append(all.Times, w.times...)
		all.Refused += w.refused
		for kind, f := range w.errors {
			known := all.Errors[kind]
			if known.Count += f.Count; known.Example == "" {
				known.Example = f.Example
			}
			all.Errors[kind] = known
		}
	}
	slices.Sort(all.Times)
	return all
}

// Failed is how many calls failed.
func (r *Result) Failed() int {
	n := 0
	for _, f := range r.Errors {
		n += f.Count
	}
	return n
}

// Percentile returns the time within which so many per cent of the answers came: 50 is the median. It is 0 without answers.
func (r *Result) Percentile(p float64) time.Duration {
	if len(r.Times) == 0 {
		return 0
	}
	return r.Times[min(int(p/100*float64(len(r.Times))), len(r.Times)-1)]
}
