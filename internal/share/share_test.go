package share_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/txn2/amp/internal/share"
)

// grow grows a hold that must not wait.
func grow(t *testing.T, h *share.Hold, n int64) {
	t.Helper()
	if err := h.Grow(t.Context(), n); err != nil {
		t.Fatalf("growing by %d: %v", n, err)
	}
}

// most is how much a tenant gets in steps of one byte, each in a hold of its own, if it does not wait.
func most(t *testing.T, p *share.Pool, tenant string) (n int64) {
	t.Helper()
	for p.Hold(tenant, 0).Grow(t.Context(), 1) == nil {
		n++
	}
	return n
}

// TestATenantLeavesAsMuchFreeAsItHolds: one tenant gets a half, two a third each, and one that holds little always fits.
func TestATenantLeavesAsMuchFreeAsItHolds(t *testing.T) {
	for name, test := range map[string]struct {
		before []int64 // what other tenants hold
		want   int64
	}{
		"alone":                               {nil, 50},
		"beside one that has a half":          {[]int64{50}, 25},
		"beside two that have a third each":   {[]int64{33, 33}, 17},
		"beside many that have all they can":  {[]int64{50, 25, 12, 6, 3}, 2},
		"beside one with a single large hold": {[]int64{7}, 46},
	} {
		t.Run(name, func(t *testing.T) {
			p := share.NewBytes(100, 0)
			for i, n := range test.before {
				grow(t, p.Hold(fmt.Sprint("greedy", i), 0), n)
			}
			if got := most(t, p, "a"); got != test.want {
				t.Errorf("it gets %d, want %d", got, test.want)
			}
		})
	}
}

// TestOneThatIsAloneAlwaysFits: with a small pool, the largest review passes when no other one is in flight.
func TestOneThatIsAloneAlwaysFits(t *testing.T) {
	p := share.NewBytes(8, 11)
	h := p.Hold("a", 0)
	grow(t, h, 7)
	grow(t, h, 4)
	if err := h.Grow(t.Context(), 1); !errors.Is(err, share.ErrFull) {
		t.Errorf("more than it may have alone: %v", err)
	}
	other := p.Hold("b", 0)
	if err := other.Grow(t.Context(), 1); !errors.Is(err, share.ErrFull) {
		t.Errorf("beside it: %v", err)
	}
	h.Release()
	grow(t, other, 1)
	if err := p.Hold("a", 0).Grow(t.Context(), 7); !errors.Is(err, share.ErrFull) {
		t.Errorf("not alone: %v", err)
	}
}

// waits begins to grow a hold, which must wait, and appends name to order when it has grown.
func waits(t *testing.T, order *names, name string, h *share.Hold, n int64) {
	t.Helper()
	go func() {
		if h.Grow(t.Context(), n) == nil {
			order.add(name)
		}
	}()
	synctest.Wait()
	if slices.Contains(order.all(), name) {
		t.Fatalf("%s did not wait", name)
	}
}

// names are those of the holds that have grown, in this order.
type names struct {
	mu   sync.Mutex
	list []string
}

func (n *names) add(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, name)
}

func (n *names) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.list)
}

// TestWhoIsNext: of those that wait and fit, the tenant that holds least, and of one tenant the one that waits longest.
func TestWhoIsNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := share.NewBytes(100, 0)
		var order names
		rich, poor, flood := p.Hold("rich", share.Forever), p.Hold("poor", share.Forever), p.Hold("flood", share.Forever)
		grow(t, rich, 20)
		grow(t, poor, 10)
		grow(t, flood, 30) // 40 are free
		waits(t, &order, "rich", p.Hold("rich", share.Forever), 24)
		waits(t, &order, "poor, much", p.Hold("poor", share.Forever), 16)
		waits(t, &order, "poor, later", p.Hold("poor", share.Forever), 16)
		grow(t, p.Hold("poor", 0), 1) // what fits does not wait behind what does not

		flood.Release()
		synctest.Wait()
		if want := []string{"poor, much"}; !slices.Equal(order.all(), want) {
			t.Fatalf("first %q, want %q", order.all(), want)
		}
		poor.Release()
		synctest.Wait()
		if want := []string{"poor, much", "poor, later"}; !slices.Equal(order.all(), want) {
			t.Fatalf("then %q, want %q", order.all(), want)
		}
		rich.Release()
		synctest.Wait()
		if want := []string{"poor, much", "poor, later", "rich"}; !slices.Equal(order.all(), want) || p.Used() != 24+16+16+1 {
			t.Fatalf("at last %q with %d used, want %q", order.all(), p.Used(), want)
		}
	})
}

// TestTheLargestHoldIsNextOfItsTenant: an answer goes before another body. Otherwise the bodies take what each answer waits
// for, and none is ever done.
func TestTheLargestHoldIsNextOfItsTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := share.NewBytes(100, 0)
		var order names
		done, begun := p.Hold("a", share.Forever), p.Hold("a", share.Forever)
		grow(t, done, 25)
		grow(t, begun, 25)
		waits(t, &order, "new", p.Hold("a", share.Forever), 25)
		waits(t, &order, "begun", begun, 25)
		done.Release()
		synctest.Wait()
		if want := []string{"begun"}; !slices.Equal(order.all(), want) {
			t.Fatalf("next %q, want %q", order.all(), want)
		}
		begun.Release()
		synctest.Wait()
	})
}

// TestPlaces: a tenant with a hundred pieces of work waits for one with a single piece, not the other way round.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := share.NewPlaces(2)
		var order names
		work := func(ctx context.Context, tenant string) {
			go func() {
				h := p.Hold(tenant, share.Forever)
				defer h.Release()
				if h.Grow(ctx, 1) == nil {
					order.add(tenant)
					time.Sleep(time.Second)
				}
			}()
			synctest.Wait()
		}
		for range 60 {
			work(t.Context(), "greedy")
		}
		gone, leave := context.WithCancel(t.Context())
		work(gone, "impatient")
		leave()
		work(t.Context(), "modest")
		work(t.Context(), "modest")
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if all := order.all(); len(all) != 4 || !slices.Contains(all, "modest") { // the second two begin at the same time
			t.Errorf("the first are %q", all)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(order.all()); n != 62 || p.Used() != 0 {
			t.Errorf("%d ran; %d places are taken", n, p.Used())
		}
	})
}

// TestPatience: a hold waits for so long in all its life, and no longer than its context. A wait leaves nothing behind.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := share.NewBytes(100, 0)
		full := p.Hold("a", 0)
		grow(t, full, 50)

		h := p.Hold("a", 150*time.Millisecond)
		start := time.Now()
		go func() {
			time.Sleep(100 * time.Millisecond)
			full.Release()
		}()
		grow(t, h, 50)
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("it waited %v for the other one", took)
		}
		for range 2 { // the second time, its patience is at its end
			if err := h.Grow(t.Context(), 1); !errors.Is(err, share.ErrFull) {
				t.Errorf("it grows: %v", err)
			}
		}
		if took := time.Since(start); took != 150*time.Millisecond {
			t.Errorf("it waited %v in all", took)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Hold("a", share.Forever).Grow(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 1150*time.Millisecond {
			t.Errorf("with a context of a second: %v after %v", err, time.Since(start))
		}
		h.Release()
		h.Release() // once more does no harm
		if err := h.Grow(t.Context(), 1); !errors.Is(err, share.ErrFull) {
			t.Errorf("a hold that was released grows: %v", err)
		}
		if got := most(t, p, "a"); got != 50 {
			t.Errorf("%d are left of 50", got)
		}
	})
}

// TestFewOfOneTenantWait: behind a flood of its own, a review need not wait. The others still may.
func TestFewOfOneTenantWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := share.NewBytes(100, 0)
		grow(t, p.Hold("flood", 0), 50)
		var turnedAway atomic.Int64
		for range 1000 {
			go func() {
				if start := time.Now(); p.Hold("flood", time.Second).Grow(t.Context(), 1) != nil && time.Since(start) == 0 {
					turnedAway.Add(1)
				}
			}()
			synctest.Wait()
		}
		if n := turnedAway.Load(); n != 1000-64 {
			t.Errorf("%d were turned away", n)
		}
		grow(t, p.Hold("b", 0), 25)
	})
}

func TestNoHoldHasNoBound(t *testing.T) {
	var h *share.Hold
	grow(t, h, 1<<40)
	h.Release()
}
