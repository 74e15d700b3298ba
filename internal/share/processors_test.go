package share_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/txn2/amp/internal/share"
)

// TestSmallWorkDoesNotWaitForLargeWork: however much large work there is, a processor is left.
func TestSmallWorkDoesNotWaitForLargeWork(t *testing.T) {
	for _, n := range []int{1, 2, 16} {
		processors := share.NewProcessors(n)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nothing waits
		large := 0
		for {
			if _, err := processors.Take(ctx, "greedy", share.Large+1); err != nil {
				break
			}
			large++
		}
		if want := min(2, max(1, n-1)); large != want { // two large checks fit into memory
			t.Errorf("%d processors: %d large pieces of work at once, want %d", n, large, want)
		}
		if _, err := processors.Take(ctx, "modest", share.Large); err != nil {
			t.Errorf("%d processors: small work waits: %v", n, err)
		}
	}
}

// TestTenantsTakeTurns: there is one place, and it is free when the next tenant is chosen. So a tenant with much work does not
// go before the others again and again.
func TestTenantsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		processors := share.NewProcessors(1)
		var order names
		for _, tenant := range []string{"greedy", "greedy", "greedy", "greedy", "modest", "other", "modest"} {
			go func() {
				place, err := processors.Take(t.Context(), tenant, share.Large+1)
				defer place.Release()
				if err == nil {
					order.add(tenant)
					time.Sleep(time.Second)
				}
			}()
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		if want := []string{"greedy", "modest", "other", "greedy", "modest", "greedy", "greedy"}; !slices.Equal(order.all(), want) {
			t.Errorf("the order is %q, want %q", order.all(), want)
		}
	})
}

// TestAPlaceIsWaitedForUntilTheContextEnds: with an error there is no place, and its release does nothing.
func TestAPlaceIsWaitedForUntilTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		processors := share.NewProcessors(1)
		first, err := processors.Take(t.Context(), "a", share.Large+1)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		second, err := processors.Take(ctx, "b", share.Large+1)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		second.Release()
		first.Release()
		if _, err := processors.Take(t.Context(), "b", share.Large+1); err != nil {
			t.Error(err)
		}
	})
}

// TestACrowdIsTold: who calls learns of a crowd of small work, as soon as one more waits than usual.
func TestACrowdIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		processors := share.NewProcessors(1)
		crowds := 0
		processors.OnCrowd(func() { crowds++ })
		ctx, cancel := context.WithCancel(t.Context())
		begin := func(size int) {
			go func() { _, _ = processors.Take(ctx, "tenant", size) }()
			synctest.Wait()
		}
		for range 2 + share.Crowd { // two have places
			begin(1)
			begin(share.Large + 1)
		}
		begin(share.Large + 1)
		if crowds != 0 {
			t.Errorf("%d waiting are a crowd", share.Crowd)
		}
		begin(1)
		if crowds != 1 {
			t.Errorf("one more: %d crowds", crowds)
		}
		cancel()
		synctest.Wait()
	})
}
