package proxy

import (
	"context"
	"sync/atomic"
	"time"
)

// quiet is how long no review must have arrived before a drain ends. A Service's rules reach the nodes some time after
// the Pod has begun to end, and until then new reviews arrive.
const quiet = 2 * time.Second

// lifecycle counts the reviews in flight, and drains.
type lifecycle struct {
	draining atomic.Bool
	inFlight atomic.Int64
	last     atomic.Int64 // when a review last began or ended, Unix nanoseconds
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

// InFlight is the number of reviews that amp works on.
func (l *lifecycle) InFlight() int64 { return l.inFlight.Load() }

// drain turns /readyz to 503, asks every caller to close its connection, and returns when no review is in flight and none
// has arrived for two seconds, or when ctx ends. It works from within the function, and so under any host. It does not
// stop the host's server.
func (l *lifecycle) drain(ctx context.Context) {
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
