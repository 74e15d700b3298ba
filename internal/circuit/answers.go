package circuit

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/txn2/amp/internal/review"
)

// answers remember, without a lock and without memory for each endpoint:
//
//   - of each namespace and endpoint, whether the last call was answered. A namespace can make an endpoint of others fail
//     on purpose: by a path that hangs, or by Pods that the endpoint cannot bear. While the circuit is open for that, the
//     endpoint is still called for those that it answered.
//   - of each endpoint, how many calls it answered of late. Its circuit begins with its first failure, and the calls before
//     it count too.
//
// Both are tables of fixed size without keys. Two can share an entry. Then amp makes a call too many or too few, or a
// circuit counts a success that was another's, and no more: the next results set the entry again. The seed is random, so
// no tenant can choose whose entry it shares.
type answers struct {
	seed      maphash.Seed
	namespace [16 << 10]atomic.Bool
	endpoint  [4 << 10]atomic.Uint64
	start     time.Time
}

func newAnswers() *answers { return &answers{seed: maphash.MakeSeed(), start: time.Now()} }

// of returns the entries for an endpoint and a namespace that calls it.
func (a *answers) of(e *review.Endpoint, namespace string) answered {
	var h maphash.Hash
	h.SetSeed(a.seed)
	// No part holds a space.
	_, _ = h.WriteString(e.URL.Scheme)
	_ = h.WriteByte(' ')
	_, _ = h.WriteString(e.Host)
	endpoint := &a.endpoint[h.Sum64()%uint64(len(a.endpoint))]
	_ = h.WriteByte(' ')
	_, _ = h.WriteString(namespace)
	return answered{a, &a.namespace[h.Sum64()%uint64(len(a.namespace))], endpoint}
}

// answered is what is remembered of one endpoint.
type answered struct {
	all  *answers
	last *atomic.Bool // whether the namespace's last call was answered
	// run is a number of answers, at most calls-1, and the milliseconds from start to the first of them. It begins anew
	// after window.
	run *atomic.Uint64
}

const (
	runBits = 5
	runMask = 1<<runBits - 1
)

// answer notes an answer that came at now. It writes only what changes, so that calls at the same time do not wait for
// each other.
func (a answered) answer(now time.Time) {
	if !a.last.Load() {
		a.last.Store(true)
	}
	for {
		old := a.run.Load()
		first, n := a.unpack(old)
		run := old + 1
		switch {
		case n == 0 || now.Sub(first) > window:
			run = uint64(now.Sub(a.all.start).Milliseconds())<<runBits | 1
		case n == calls-1:
			return
		}
		if a.run.CompareAndSwap(old, run) {
			return
		}
	}
}

// failure notes that the namespace got no answer. It reports whether its call before was answered.
func (a answered) failure() bool { return a.last.Swap(false) }

// recent returns how many answers there were within the window before now, and when the first of them came. There may have
// been more.
func (a answered) recent(now time.Time) (first time.Time, n int) {
	if first, n = a.unpack(a.run.Load()); now.Sub(first) > window {
		n = 0
	}
	return first, n
}

func (a answered) unpack(run uint64) (first time.Time, n int) {
	return a.all.start.Add(time.Duration(run>>runBits) * time.Millisecond), int(run & runMask)
}
