package patch

import (
	"context"
	"encoding/json"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// size is how much work a check is, in bytes, so that [share.Large] says whether it is large. The work for an op is at least
// that for a hundred bytes.
func size(pod json.RawMessage, ops []review.Op) int {
	size := len(pod)
	for i := range ops {
		size += max(len(ops[i].Value), 128)
	}
	return size
}

// run calls f when the tenant may do that much work. If it is large, run returns when ctx ends: f heeds ctx, but may be in a
// library that does not. f keeps its place until it ends, so that there are never more of them than places: a large check
// takes up to some 60 MB of memory. A panic of f is one of run.
func run[T any](ctx context.Context, processors *share.Processors, tenant string, size, ops int, f func() (T, error)) (value T, err error) {
	place, err := processors.Take(ctx, tenant, size)
	if err != nil { // ctx ended
		return value, apply.Late(ctx, ops)
	}
	if size <= share.Large {
		defer place.Release()
		return f()
	}
	type result struct {
		value    T
		err      error
		panicked any
	}
	results := make(chan result, 1)
	go func() {
		defer place.Release()
		var r result
		defer func() {
			r.panicked = recover()
			results <- r
		}()
		r.value, r.err = f()
	}()
	select {
	case r := <-results:
		if r.panicked != nil {
			panic(r.panicked)
		}
		return r.value, r.err
	case <-ctx.Done():
		return value, apply.Late(ctx, ops)
	}
}
