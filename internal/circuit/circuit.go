package circuit

import (
	"fmt"
	"time"

	"github.com/txn2/amp/internal/review"
)

// When a circuit opens, and for how long.
const (
	inARow  = 10               // so many failures, one after the other, open it
	calls   = 20               // so do half of so many calls,
	window  = 10 * time.Second // all within this time
	openFor = 5 * time.Second  // without a call; then one call at a time tries the endpoint
)

// circuit is what amp knows of one endpoint that failed of late. It is closed at first.
type circuit struct {
	began   time.Time     // when it opened or closed last, zero if never: calls that began before prove nothing now
	used    time.Time     // when a call last asked for it, or ended
	cause   string        // of the last failure that counts
	settles time.Duration // after this time without a failure it can be forgotten

	// While it is closed: the calls that ended last.
	row    int              // failures since the last success
	ended  [calls]time.Time // a ring
	failed [calls]bool
	next   int // where in the ring the next call goes

	// While it is open.
	open bool
	why  string // what opened it

	retry  time.Time // when it may be tried
	probe  int       // number of the last probe
	trying bool      // that probe has not ended
	brief  bool      // that probe has so little time that it may prove nothing
	doubts int       // namespaces in a row that vouched for the endpoint, and then got no answer
}

// newCircuit returns a closed circuit with so many successes before its first failure. The first of them came at first.
func newCircuit(settles time.Duration, first time.Time, successes int) *circuit {
	c := &circuit{settles: settles, next: successes % calls}
	for i := range successes {
		c.ended[i] = first
	}
	return c
}

// admit reports whether a call may be made, and sets its role.
func (c *circuit) admit(t *call) bool {
	c.used = t.start
	switch {
	case !c.open:
	case !t.start.Before(c.retry) && (!c.trying || c.brief && !t.brief):
		// A call with a whole timeout takes over from one that may prove nothing. Otherwise a namespace with a timeout of
		// 1ms could keep the others from trying.
		c.probe++
		c.trying, c.brief = true, t.brief
		t.role, t.probe = probing, c.probe
	case c.doubts < inARow && t.answered.last.Load():
		t.role = vouching
	default:
		return false
	}
	return true
}

// change is what a result did to a circuit.
type change int

const (
	unchanged change = iota
	opened
	closed
	forgettable // it says nothing any more
)

// take takes the result of a call that ended now.
func (c *circuit) take(t *call, p proof, now time.Time, cause func() string) change {
	c.used = now
	switch {
	case t.role == probing:
		return c.tried(t, p, now, cause)
	case p == proofNone || t.start.Before(c.began) || c.open != (t.role == vouching):
		return unchanged // a result of the time before
	case c.open && p == proofWorks:
		// It does not close the circuit: others still fail, perhaps because of what they send.
		c.doubts = 0
		return unchanged
	case c.open:
		// A namespace counts once, however many calls it had under way: alone, it must not end the vouching of the others.
		if t.doubt {
			c.doubts++
		}
		return unchanged
	}
	return c.count(p, now, cause)
}

// count is take while the circuit is closed.
func (c *circuit) count(p proof, now time.Time, cause func() string) change {
	c.ended[c.next], c.failed[c.next] = now, p == proofFails
	c.next = (c.next + 1) % calls
	if p == proofFails {
		c.row++
		c.cause = cause()
	} else {
		c.row = 0
	}
	all, failures := c.recent(now)
	switch {
	case c.row >= inARow:
		c.why = fmt.Sprintf("%d failures in a row", c.row)
	case all == calls && failures >= calls/2:
		c.why = fmt.Sprintf("%d of %d calls within %s failed", failures, all, window)
	case c.row == 0 && failures == 0 && now.Sub(c.began) > c.settles:
		return forgettable
	default:
		return unchanged
	}
	c.open, c.began = true, now
	c.retry, c.trying, c.doubts = now.Add(openFor), false, 0
	return opened
}

// tried is take for a probe.
func (c *circuit) tried(t *call, p proof, now time.Time, cause func() string) change {
	if !c.open || t.probe != c.probe {
		return unchanged // another one took over
	}
	c.trying = false
	switch p {
	case proofFails:
		c.cause, c.retry = cause(), now.Add(openFor)
	case proofWorks:
		*c = circuit{began: now, used: now, settles: c.settles, probe: c.probe}
		return closed
	}
	return unchanged // with neither, the next call may try
}

// recent counts the calls of the ring within the window before now, and their failures.
func (c *circuit) recent(now time.Time) (all, failures int) {
	for i, at := range c.ended {
		if !at.IsZero() && now.Sub(at) <= window {
			all++
			if c.failed[i] {
				failures++
			}
		}
	}
	return all, failures
}

// failure says why a call is not made. Its text stays the same as long as it can, because the API server and people who
// read many of them fold equal ones.
func (c *circuit) failure() *review.Failure {
	return &review.Failure{Result: review.ResultCircuit, Cause: fmt.Sprintf(
		"not called: its circuit is open since %s, after %s, the last: %s; amp tries again within %s",
		c.began.UTC().Format("15:04:05Z"), c.why, c.cause, openFor)}
}
