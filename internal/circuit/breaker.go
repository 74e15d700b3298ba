// Package circuit keeps amp from calling an endpoint that does not answer: a [Breaker] stands before the calls and decides
// the endpoint's reviews at once while its circuit is open.
//
//	breaker.go  what happens before and after a call. START HERE
//	circuit.go  when a circuit opens, and what it lets through. It reads no clock
//	judge.go    what a call proves about its endpoint
//	answers.go  who was answered of late
package circuit

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/txn2/amp/internal/review"
)

// Caller calls one endpoint. An error is a *[review.Failure].
type Caller interface {
	Call(ctx context.Context, e review.Endpoint, r *review.Review, step int, at time.Time, pod json.RawMessage) (review.Answer, error)
}

// Config is what a [Breaker] needs.
type Config struct {
	// Next makes the calls; it must not be nil.
	Next Caller
	// Timeout is the longest that a review may take (AMP_TIMEOUT). A call that was given less than a quarter of it proves
	// nothing by being late. With 0, each late call does.
	Timeout time.Duration
	// Log gets one line when a circuit opens and one when it closes; nil discards them.
	Log *slog.Logger
	// Changed is told that a circuit of a host (see [review.Endpoint]) opened or closed. It must return at once and must
	// not call the Breaker; nil if no one wants to know.
	Changed func(host string, open bool)
}

// Breaker makes calls, except those of endpoints whose circuit is open. It is safe for concurrent use.
type Breaker struct {
	next    Caller
	log     *slog.Logger
	changed func(host string, open bool)
	timeout time.Duration
	answers *answers

	mu       sync.RWMutex // of circuits and of all that they hold
	circuits map[key]*circuit
	sweep    *time.Timer // calls forget; nil while circuits is empty
}

// key is an endpoint for its circuit: the host is in one spelling and has the port, unless that is the scheme's.
type key struct{ scheme, host string }

func keyOf(e *review.Endpoint) key { return key{e.URL.Scheme, e.Host} }

// maxCircuits bounds the circuits, because tenants choose the hosts.
const maxCircuits = 1024

// maxIdle is how long a circuit is kept without a call.
const maxIdle = 10 * time.Minute

// New returns a Breaker without circuits: each one begins with the first failure of its endpoint.
func New(config Config) *Breaker {
	b := &Breaker{next: config.Next, log: config.Log, changed: config.Changed, timeout: config.Timeout,
		answers: newAnswers(), circuits: make(map[key]*circuit)}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.changed == nil {
		b.changed = func(string, bool) {}
	}
	return b
}

// Call makes the call or, if the endpoint's circuit is open, returns a *[review.Failure] that says since when, and why. A
// call is one result for the circuit, whether or not it was repeated.
func (b *Breaker) Call(
	ctx context.Context, e review.Endpoint, r *review.Review, step int, at time.Time, pod json.RawMessage,
) (answer review.Answer, err error) {
	c := call{key: keyOf(&e), namespace: r.Namespace, start: time.Now(), answered: b.answers.of(&e, r.Namespace)}
	c.brief = tooBrief(ctx, c.start, b.timeout)
	if f := b.enter(&c); f != nil {
		return review.Answer{}, f
	}
	proof := proofNone // of a panic, too
	defer func() { b.leave(&c, proof, answer.Status, err) }()
	answer, err = b.next.Call(ctx, e, r, step, at, pod)
	proof = judge(ctx, &answer, err, c.brief)
	return answer, err
}

// call is one call of an endpoint, as far as circuits are concerned.
type call struct {
	key
	namespace string
	start     time.Time
	brief     bool // it has so little time that it proves nothing by being late
	answered  answered
	doubt     bool // it failed, and is the first of its namespace since an answer
	role      role
	probe     int // number of the probe, if it is one
}

// role is why a circuit lets a call through.
type role int

const (
	usual    role = iota // the circuit is closed
	probing              // the circuit is open, and the call tries whether the endpoint is back
	vouching             // the circuit is open, but the endpoint answered the call's namespace
)

// enter returns a failure if the call must not be made, because the circuit is open.
func (b *Breaker) enter(c *call) *review.Failure {
	if !b.has(c.key) {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	circuit := b.circuits[c.key]
	if circuit == nil || circuit.admit(c) {
		return nil
	}
	return circuit.failure()
}

// leave takes the result of a call that was made.
func (b *Breaker) leave(c *call, proof proof, status int, err error) {
	switch proof {
	case proofWorks:
		c.answered.answer(c.start)
	case proofFails:
		c.doubt = c.answered.failure()
	}
	if proof != proofFails && !b.has(c.key) { // the usual case
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now, circuit := time.Now(), b.circuits[c.key]
	if circuit == nil {
		if proof != proofFails {
			return
		}
		circuit = b.add(c, now)
	}
	switch circuit.take(c, proof, now, func() string { return causeOf(status, err) }) {
	case opened:
		b.changed(c.host, true)
		b.log.Warn("circuit opened", "endpoint", c.scheme+"://"+c.host,
			"after", circuit.why, "cause", circuit.cause, "namespace", c.namespace)
	case closed:
		b.tellClosed(c.key, "it answers again")
	case forgettable:
		delete(b.circuits, c.key)
	}
}

// has reports whether there is a circuit, without waiting for calls of other endpoints.
func (b *Breaker) has(k key) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.circuits[k] != nil
}

// add makes a circuit. If there are too many, the one that was not used for longest goes, and an open one only if all are.
func (b *Breaker) add(c *call, now time.Time) *circuit {
	if len(b.circuits) >= maxCircuits {
		b.evict()
	}
	first, n := c.answered.recent(now)
	circuit := newCircuit(max(window, b.timeout), first, n)
	b.circuits[c.key] = circuit
	if b.sweep == nil {
		b.sweep = time.AfterFunc(maxIdle, b.forget)
	}
	return circuit
}

func (b *Breaker) evict() {
	var oldest key
	var found *circuit
	for k, c := range b.circuits {
		if found == nil || found.open && !c.open || found.open == c.open && c.used.Before(found.used) {
			oldest, found = k, c
		}
	}
	b.drop(oldest, "there are too many circuits")
}

// forget drops the circuits without a call for maxIdle, and comes back while there are others.
func (b *Breaker) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, next := time.Now(), maxIdle
	for k, c := range b.circuits {
		if left := maxIdle - now.Sub(c.used); left > 0 {
			next = min(next, left)
		} else {
			b.drop(k, "no review called it for "+maxIdle.String())
		}
	}
	if b.sweep = nil; len(b.circuits) > 0 {
		b.sweep = time.AfterFunc(next, b.forget)
	}
}

// drop forgets a circuit, because of why.
func (b *Breaker) drop(k key, why string) {
	open := b.circuits[k].open
	delete(b.circuits, k)
	if open {
		b.tellClosed(k, why)
	}
}

// tellClosed tells that a circuit that was open no longer is, because of why.
func (b *Breaker) tellClosed(k key, why string) {
	b.changed(k.host, false)
	b.log.Info("circuit closed", "endpoint", k.scheme+"://"+k.host, "because", why)
}
