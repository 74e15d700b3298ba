package patch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlotsAreShared: a tenant with a hundred heavy checks waits for one with a single check, not the other way round.
func TestSlotsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slots{taken: map[string]int{}}
		var mu sync.Mutex
		var order []string
		check := func(ctx context.Context, tenant string) {
			go func() {
				if s.take(ctx, tenant) {
					mu.Lock()
					order = append(order, tenant)
					mu.Unlock()
					time.Sleep(time.Second)
					s.free(tenant)
				}
			}()
			synctest.Wait()
		}
		for range 100 {
			check(t.Context(), "greedy")
		}
		gone, leave := context.WithCancel(t.Context())
		check(gone, "impatient")
		leave()
		check(t.Context(), "modest")
		check(t.Context(), "modest")
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		mu.Lock()
		if len(order) != 4 || !slices.Contains(order, "modest") { // the second two begin at the same time
			t.Errorf("the first are %q", order)
		}
		mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(order) != 102 || s.total != 0 || len(s.taken) != 0 || len(s.waiting) != 0 {
			t.Errorf("%d checks ran; %d places are taken, by %v, and %d wait", len(order), s.total, s.taken, len(s.waiting))
		}
	})
}

// TestAPanicIsTheCallers: the barrier against panics is around the caller.
func TestAPanicIsTheCallers(t *testing.T) {
	s := &slots{taken: map[string]int{}}
	for range maxHeavy + 1 {
		func() {
			defer func() {
				if p := recover(); p != "a bug" {
					t.Errorf("recovered %v", p)
				}
			}()
			_, _ = run(t.Context(), s, "a", 1, func() (int, error) { panic("a bug") })
		}()
	}
	if value, err := run(t.Context(), s, "a", 1, func() (int, error) { return 7, errors.ErrUnsupported }); value != 7 || err != errors.ErrUnsupported {
		t.Errorf("%d, %v", value, err)
	}
}
