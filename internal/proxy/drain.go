package proxy

import (
	"context"
	"sync/atomic"
	"time"
)

// quiet is how long no review may have come before a drain ends. A Service's rules reach the nodes some
// time after the Pod has begun to end, and until then new reviews arrive.
const quiet = 2 * time.Second

// lifecycle counts the reviews under way and ends their coming.
type lifecycle struct {
	draining atomic.Bool
	inFlight atomic.Int64
	last     atomic.Int64 // when a review last came or went, Unix nanoseconds
}

// begin counts a review until the returned function is called.
func (l *lifecycle) begin() (end func()) {
	l.inFlight.Add(1)
	l.last.Store(time.Now().UnixNano())
	return func() {
		l.last.Store(time.Now().UnixNano())
		l.inFlight.Add(-1)
	}
}

// InFlight is the number of reviews under way.
func (l *lifecycle) InFlight() int64 { return l.inFlight.Load() }

// Drain turns /readyz to 503, asks every caller to close its connection, and returns when no review is
// under way and none has come for two seconds, or when ctx ends. It works from within the function, so
// that it does under any host; stopping the host's server is not the function's to do.
func (l *lifecycle) Drain(ctx context.Context) {
	l.draining.Store(true)
	start := time.Now()
	tick := time.NewTicker(quiet / 40)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			since := time.Unix(0, l.last.Load())
			if since.Before(start) {
				since = start
			}
			if l.inFlight.Load() == 0 && now.Sub(since) >= quiet {
				return
			}
		}
	}
}
