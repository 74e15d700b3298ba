package serve

import (
	"context"
	"os"
	"runtime"
	"time"
)

const (
	// crowdThreads is how many threads Go uses in a crowd.
	crowdThreads = 8
	// crowdLull is how long at least there is no crowd before Go uses one thread for each processor again.
	crowdLull = 10 * time.Second
)

// spreadCrowds lets Go use more threads than there are processors while there is a crowd, that is, for a while after each call of
// the function that it returns. Then the kernel decides what runs next, and it prefers who has waited for the network. Go's
// own scheduler looks at the network only every 10 ms when no processor is idle, and lets all others go first. More threads
// cost more CPU for each review. So usually there are not more. See docs/adr/20261129-processors.md.
//
// It does nothing if there are as many processors, if the operator has set GOMAXPROCS, or if a CPU limit leaves Go fewer
// processors than there are: with more threads amp would use up its limit sooner, and then stand still.
func spreadCrowds(ctx context.Context) (crowd func()) {
	usual := runtime.GOMAXPROCS(0)
	if usual >= crowdThreads || usual < runtime.NumCPU() || os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	return inCrowds(ctx, func() { runtime.GOMAXPROCS(crowdThreads) }, runtime.SetDefaultGOMAXPROCS)
}

// inCrowds returns a function of which the first call begins a crowd. The crowd ends when there was no call for crowdLull.
func inCrowds(ctx context.Context, begin, end func()) (crowd func()) {
	calls := make(chan struct{}, 1)
	go func() {
		for {
			select {
			case <-calls:
			case <-ctx.Done():
				return
			}
			begin()
			for calm := false; !calm; {
				select {
				case <-time.After(crowdLull):
				case <-ctx.Done():
					return
				}
				select {
				case <-calls: // since the last look
				default:
					calm = true
				}
			}
			end()
		}
	}()
	return func() {
		select {
		case calls <- struct{}{}:
		default: // a call is there already
		}
	}
}
