package patch

import (
	"context"
	"encoding/json"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// maxHeavy is how many heavy checks run at the same time. Each takes up to some 60 MB of memory and a part of a second of a
// processor: more at once would take both from the other reviews.
const maxHeavy = 2

// isHeavy reports whether the check of ops may take a hundred times what a usual one takes.
func isHeavy(pod json.RawMessage, ops []review.Op) bool {
	const heavyBytes, heavyOps = 64 << 10, 500
	if len(ops) > heavyOps {
		return true
	}
	size := len(pod)
	for i := range ops {
		size += len(ops[i].Value)
	}
	return size > heavyBytes
}

// run calls f for a tenant, and returns when ctx ends: f heeds ctx, but may be in a library that does not. f keeps its place
// until it ends, so that there are never more than maxHeavy of them. A panic of f is one of run.
func run[T any](ctx context.Context, places *share.Pool, tenant string, ops int, f func() (T, error)) (value T, err error) {
	place := places.Hold(tenant, share.Forever)
	if place.Grow(ctx, 1) != nil { // ctx ended
		return value, apply.Late(ctx, ops)
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
