package patch

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/review"
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

// slots are places for heavy checks. A tenant that has many gets the next place only if no tenant with fewer waits.
type slots struct {
	mu      sync.Mutex
	taken   map[string]int // by the tenants
	total   int
	waiting []*waiter // the longest first
}

type waiter struct {
	tenant string
	ready  chan struct{} // closed when the waiter has a place
}

// take waits for a place. It reports whether it has one; if not, ctx ended.
func (s *slots) take(ctx context.Context, tenant string) bool {
	s.mu.Lock()
	if s.total < maxHeavy {
		s.total++
		s.taken[tenant]++
		s.mu.Unlock()
		return true
	}
	w := &waiter{tenant, make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
	select {
	case <-w.ready:
		return true
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.Index(s.waiting, w)
	if at < 0 { // it got a place just now
		s.give(tenant)
		return false
	}
	s.waiting = slices.Delete(s.waiting, at, at+1)
	return false
}

// free gives a place of a tenant to the next one.
func (s *slots) free(tenant string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.give(tenant)
}

// give is free for a caller that holds the lock.
func (s *slots) give(tenant string) {
	if s.taken[tenant]--; s.taken[tenant] == 0 {
		delete(s.taken, tenant)
	}
	if len(s.waiting) == 0 {
		s.total--
		return
	}
	next := 0
	for i, w := range s.waiting {
		if s.taken[w.tenant] < s.taken[s.waiting[next].tenant] {
			next = i
		}
	}
	w := s.waiting[next]
	s.waiting = slices.Delete(s.waiting, next, next+1)
	s.taken[w.tenant]++
	close(w.ready)
}

// run calls f for a tenant, and returns when ctx ends: f heeds ctx, but may be in a library that does not. f keeps its place
// until it ends, so that there are never more than maxHeavy of them. A panic of f is one of run.
func run[T any](ctx context.Context, s *slots, tenant string, ops int, f func() (T, error)) (value T, err error) {
	if !s.take(ctx, tenant) {
		return value, apply.Late(ctx, ops)
	}
	type result struct {
		value    T
		err      error
		panicked any
	}
	results := make(chan result, 1)
	go func() {
		defer s.free(tenant)
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
