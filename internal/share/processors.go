package share

import "context"

// maxLarge is how much large work is done at the same time, whatever the number of processors: each check of a large patch
// takes up to some 60 MB of memory.
const maxLarge = 2

// Large is the size, in bytes, from which work is large: what is read or checked then takes up to a part of a second of a
// processor, a hundred times what a usual review takes.
const Large = 64 << 10

// Crowd is more than usually wait for a processor at the same time.
const Crowd = 64

// Processors divides the machine's processors among tenants. Go's scheduler knows no tenants: it lets all that can run take
// their turns, so that each review of one tenant would wait for all those of another.
//
// Work that is large has places of its own, fewer than there are processors (one, if there is only one). So one is left for
// small work, however much large work there is. Who is next, [Pool] says.
type Processors struct {
	small, large *Pool
}

// NewProcessors returns what divides n processors, n > 0.
func NewProcessors(n int) *Processors {
	// Two for each processor: who has a place may wait for a moment, as for a line of the log to be written.
	return &Processors{NewPlaces(2 * int64(n)), NewPlaces(max(1, min(int64(n)-1, maxLarge)))}
}

// OnCrowd lets crowd be called each time that small work has to wait, and more than Crowd pieces wait then. crowd must not wait.
// Call OnCrowd before any Take.
func (p *Processors) OnCrowd(crowd func()) { p.small.crowd = crowd }

// Apart returns Processors for work that must not slow down the work of p: a single processor's for what is small. What is
// large shares the places of p, because their number bounds the memory. Nil Processors return nil.
func (p *Processors) Apart() *Processors {
	if p == nil {
		return nil
	}
	return &Processors{NewPlaces(1), p.large}
}

// Take waits until the tenant may do work on so many bytes, or until ctx ends: then the error is that of ctx. The work ends
// with Release of the hold. It must not wait for the network, nor take another place. Nil Processors have no bound, and nil
// Holds.
func (p *Processors) Take(ctx context.Context, tenant string, size int) (*Hold, error) {
	if p == nil {
		return nil, nil
	}
	pool := p.small
	if size > Large {
		pool = p.large
	}
	h := pool.Hold(tenant, Forever)
	return h, h.Grow(ctx, 1)
}
