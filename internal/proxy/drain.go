package proxy

import (
	"context"
	"sync/atomic"
	"time"
)

// quiet is how long no review must have arrived before a drain ends. A Service's rules reach the nodes some time after
// the Pod has begun to end, and until then new reviews arrive.
const quiet = 2 * time.Second

// ticks is how often a drain looks in that time.
const ticks = 40

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

// drain is [Handler.Drain] without the candidates.
func (l *lifecycle) drain(ctx context.Context) {
	l.draining.Store(true)
	tick := time.NewTicker(quiet / ticks)
	defer tick.Stop()
	c := calm{last: l.last.Load()}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if c.tick(l.inFlight.Load(), l.last.Load()) {
				return
			}
		}
	}
}

// calm counts the ticks in which no review was in flight or came. It does not go by the clock: if the process itself stood
// still for two seconds, as on a node that is too busy, reviews may have come that it has not read. A ticker drops the ticks
// of that time.
type calm struct {
	last  int64 // when a review last began or ended, at the tick before
	ticks int
}

// tick reports whether it was calm for long enough.
func (c *calm) tick(inFlight, last int64) bool {
	if inFlight > 0 || last != c.last {
		c.last, c.ticks = last, 0
		return false
	}
	c.ticks++
	return c.ticks >= ticks
}
