package circuit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/txn2/amp/internal/circuit"
	"github.com/txn2/amp/internal/review"
)

// BenchmarkCircuit is what a Breaker adds to a call.
func BenchmarkCircuit(b *testing.B) {
	answer := caller(func(context.Context, *review.Review) (review.Answer, error) { return review.Answer{Status: 200}, nil })
	fail := caller(func(context.Context, *review.Review) (review.Answer, error) {
		return failure(503, review.ResultStatus, "answered 503")
	})
	e, other := endpoint(b, hook), endpoint(b, "http://other/")
	r := &review.Review{Namespace: "team"}
	run := func(name string, next caller, begin func(*circuit.Breaker, *caller)) {
		b.Run(name, func(b *testing.B) {
			do := next
			breaker := circuit.New(circuit.Config{Timeout: timeout,
				Next: caller(func(ctx context.Context, r *review.Review) (review.Answer, error) { return do(ctx, r) })})
			begin(breaker, &do)
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					_, _ = breaker.Call(ctx, e, r, 1, time.Time{}, nil)
				}
			})
		})
	}
	failing := func(breaker *circuit.Breaker, do *caller, n int, at review.Endpoint) {
		*do = fail
		for range n {
			_, _ = breaker.Call(context.Background(), at, r, 1, time.Time{}, nil)
		}
		*do = answer
	}
	run("no endpoint fails", answer, func(*circuit.Breaker, *caller) {})
	run("others fail", answer, func(breaker *circuit.Breaker, do *caller) {
		for i := range 1000 {
			failing(breaker, do, 1, endpoint(b, fmt.Sprintf("http://host-%d/", i)))
		}
	})
	run("it failed", answer, func(breaker *circuit.Breaker, do *caller) { failing(breaker, do, 5, e) })
	run("open", answer, func(breaker *circuit.Breaker, do *caller) {
		failing(breaker, do, 10, e)
		failing(breaker, do, 10, other)
	})
}

// TestNoMemory is the promise that an endpoint that answers costs no memory.
func TestNoMemory(t *testing.T) {
	w := newWorld(t)
	w.do = fine
	e, r := endpoint(t, hook), &review.Review{Namespace: "a"}
	if n := testing.AllocsPerRun(100, func() { _, _ = w.Call(t.Context(), e, r, 1, time.Time{}, nil) }); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}
