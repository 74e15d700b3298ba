// Package share divides something bounded among tenants: the bytes that reviews keep in memory, the places for heavy work.
// It does no I/O, and knows neither reviews nor what is divided.
//
// A [Hold] is what one piece of work has of a [Pool]. It grows as the work needs more, and is released once, at its end.
// What does not fit waits. Next is, of those that fit:
//  1. the tenant that holds least;
//  2. of several, the one that was served longest ago;
//  3. of its holds, the largest: that work is nearest to its end;
//  4. of equal ones, the one that waits longest.
package share

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrFull is the error of a [Hold] that cannot grow, because it has waited for as long as it may.
var ErrFull = errors.New("the pool is full")

// maxWaiting is how many holds of one tenant wait for bytes at the same time. A waiting hold already keeps memory. With 64
// holds of its tenant before it, its patience would end first.
const maxWaiting = 64

// Pool is what is divided. Any number of goroutines may use it at once.
type Pool struct {
	total int64
	spare bool  // a tenant leaves as much free as it holds
	alone int64 // what a hold that has the pool for itself may have in any case

	mu      sync.Mutex
	used    int64
	gifts   int64
	tenants map[string]*tenant // that hold or wait for something
	waiting []*waiter          // the longest first
	crowd   func()             // called when more than Crowd wait, if it is not nil
}

type tenant struct {
	name    string
	held    int64
	waiting int
	served  int64 // when it last got something, in gifts of the pool; 0: not since it began to hold or wait
}

type waiter struct {
	tenant *tenant // of the hold
	hold   *Hold
	n      int64
	ready  chan struct{} // closed when the hold has grown
}

// NewPlaces returns a pool of n places for work, of which one tenant may have all: work ends, and then others get its place.
func NewPlaces(n int64) *Pool {
	return &Pool{total: n, tenants: map[string]*tenant{}}
}

// NewBytes returns a pool of n bytes. No tenant holds more than it leaves free, because what is held cannot be taken back
// when another tenant comes. Therefore one tenant holds at most a half, two hold a third each, and one that holds little
// always fits, however many others hold much. (Switches divide their memory for packets in this way: Choudhury and Hahne,
// "Dynamic queue length thresholds for shared-memory packet switches", 1998.)
//
// A hold that has the pool for itself may always have as much as alone says, so that the largest piece of work can be done.
func NewBytes(n, alone int64) *Pool {
	return &Pool{total: n, spare: true, alone: alone, tenants: map[string]*tenant{}}
}

// Total is how much the pool divides, 0 if it is nil.
func (p *Pool) Total() int64 {
	if p == nil {
		return 0
	}
	return p.total
}

// Used is how much all holds have together, 0 if the pool is nil.
func (p *Pool) Used() int64 {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// Hold is what one piece of work has of a pool. One goroutine at a time may use it. A nil Hold has no bound.
type Hold struct {
	pool     *Pool
	tenant   string
	patience time.Duration // that is left
	held     int64
	released bool
}

// Forever is the patience of a hold that waits until its context ends.
const Forever time.Duration = -1

// Hold returns a hold of the tenant that has nothing yet. In all its life it waits no longer than patience. A nil Pool has
// nil Holds.
func (p *Pool) Hold(tenant string, patience time.Duration) *Hold {
	if p == nil {
		return nil
	}
	return &Hold{pool: p, tenant: tenant, patience: patience}
}

// Pool is what the hold is a part of, nil if the hold is.
func (h *Hold) Pool() *Pool {
	if h == nil {
		return nil
	}
	return h.pool
}

// Size is how much the hold has, 0 if it is nil.
func (h *Hold) Size() int64 {
	if h == nil {
		return 0
	}
	return h.held
}

// Grow makes the hold larger by n. If that does not fit, it waits: until it does, until the hold's patience or ctx ends.
// Then the hold is as it was, and the error is ErrFull or that of ctx.
func (h *Hold) Grow(ctx context.Context, n int64) error {
	if h == nil || n <= 0 {
		return nil
	}
	w, err := h.pool.grow(h, n)
	if w == nil {
		return err
	}
	var impatient <-chan time.Time
	if h.patience != Forever {
		timer := time.NewTimer(h.patience)
		defer timer.Stop()
		impatient = timer.C
		since := time.Now()
		defer func() { h.patience = max(0, h.patience-time.Since(since)) }()
	}
	select {
	case <-w.ready:
		return nil
	case <-impatient:
		err = ErrFull
	case <-ctx.Done():
		err = ctx.Err()
	}
	if h.pool.leave(w) {
		return err
	}
	return nil // it fitted just now
}

// Release gives back all that the hold has. The hold does not grow again.
func (h *Hold) Release() {
	if h == nil {
		return
	}
	p := h.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.released = true; h.held > 0 {
		t := p.tenants[h.tenant]
		t.held -= h.held
		p.used -= h.held
		h.held = 0
		p.forget(t)
		p.serve()
	}
}

// grow makes h larger at once, or returns a waiter or why there is none.
func (p *Pool) grow(h *Hold, n int64) (*waiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.released {
		return nil, ErrFull
	}
	t := p.tenants[h.tenant]
	if t == nil {
		// A copy: the name may be a part of something large.
		t = &tenant{name: strings.Clone(h.tenant)}
		p.tenants[t.name] = t
	}
	// Those that wait do not fit now: serve leaves none that does.
	if p.fits(t, h, n) {
		p.give(t, h, n)
		return nil, nil
	}
	if h.patience == 0 || p.spare && t.waiting == maxWaiting {
		p.forget(t)
		return nil, ErrFull
	}
	w := &waiter{t, h, n, make(chan struct{})}
	t.waiting++
	p.waiting = append(p.waiting, w)
	if len(p.waiting) > Crowd && p.crowd != nil {
		p.crowd()
	}
	return w, nil
}

// fits reports whether h, of t, may become larger by n.
func (p *Pool) fits(t *tenant, h *Hold, n int64) bool {
	switch {
	case !p.spare:
		return p.used+n <= p.total
	case p.used == h.held && h.held+n <= p.alone:
		return true
	}
	return t.held+n <= p.total-p.used-n
}

func (p *Pool) give(t *tenant, h *Hold, n int64) {
	p.used += n
	t.held += n
	h.held += n
	p.gifts++
	t.served = p.gifts
}

// serve gives to those who wait, while one of them fits.
func (p *Pool) serve() {
	for {
		next := -1
		for i, w := range p.waiting {
			if (next < 0 || w.before(p.waiting[next])) && p.fits(w.tenant, w.hold, w.n) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		w := p.waiting[next]
		p.waiting = slices.Delete(p.waiting, next, next+1)
		w.tenant.waiting--
		p.give(w.tenant, w.hold, w.n)
		close(w.ready)
	}
}

// before reports whether w goes before other, which waits longer.
func (w *waiter) before(other *waiter) bool {
	t, o := w.tenant, other.tenant
	if t == o {
		return w.hold.held > other.hold.held
	}
	return t.held < o.held || t.held == o.held && t.served < o.served
}

// leave ends a wait. It reports whether w waited until now; if not, its hold has grown.
func (p *Pool) leave(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.Index(p.waiting, w)
	if at < 0 {
		return false
	}
	p.waiting = slices.Delete(p.waiting, at, at+1)
	w.tenant.waiting--
	p.forget(w.tenant)
	return true
}

// forget drops a tenant that neither holds nor waits.
func (p *Pool) forget(t *tenant) {
	if t.held == 0 && t.waiting == 0 {
		delete(p.tenants, t.name)
	}
}
