package serve

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestACrowdEndsWhenNoneCameForAWhile: each call makes it longer, and after its end the next one begins another.
func TestACrowdEndsWhenNoneCameForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var begun, ended atomic.Int64
		crowd := inCrowds(ctx, func() { begun.Add(1) }, func() { ended.Add(1) })
		is := func(when string, wantBegun, wantEnded int64) {
			t.Helper()
			synctest.Wait()
			if b, e := begun.Load(), ended.Load(); b != wantBegun || e != wantEnded {
				t.Errorf("%s: %d have begun and %d ended, want %d and %d", when, b, e, wantBegun, wantEnded)
			}
		}
		is("at first", 0, 0)
		crowd()
		is("after a call", 1, 0)
		for range 5 {
			time.Sleep(crowdLull - time.Second)
			crowd()
			crowd()
			is("while calls come", 1, 0)
		}
		time.Sleep(2*crowdLull + time.Second)
		is("without a call", 1, 1)
		crowd()
		is("after another call", 2, 1)
		cancel()
		is("when amp ends", 2, 1)
	})
}
