package emit

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/txn2/amp/internal/review"
)

// The bounds of the queue, events under way included.
const (
	maxQueued      = 1024
	maxQueuedBytes = 16 << 20
)

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
	// maxFlushBackoff is maxBackoff while the queue is flushed: there is little time left.
	maxFlushBackoff = 500 * time.Millisecond
	// maxStrikes is how often the sink may fail an event while it takes others, before that event is given
	// up. Without it an event that a sink chokes on would be tried for ever.
	maxStrikes = 20
	// tellAgain keeps a sink that fails now and then from filling the log.
	tellAgain = time.Minute
)

// entry is one event in the queue, at first as the record it is made of.
type entry struct {
	rec     *review.Record // nil once msg is made
	msg     *message
	size    int64
	taken   int64 // how many events the sink had taken when it last failed this one
	strikes int
}

func (e *entry) id() string {
	if e.msg != nil {
		return e.msg.id
	}
	return e.rec.Event
}

// queue holds events between the reviews, which never wait, and the sink. Records become messages as soon
// as there is time, for a record pins all of its review. A failure puts the event at the queue's end, so
// that none stands in the way of the others, and makes all wait: what fails is the sink, as a rule. Then
// one event at a time finds out whether it is back.
type queue struct {
	gauge func(int) // hears of every change of the number of events

	mu      sync.Mutex
	records []*entry // to be encoded
	ready   []*entry // to be delivered
	sending map[*entry]bool
	count   int // of all entries
	bytes   int64

	// Those who wait for a record, for leave to send a message, and for the queue to be empty.
	encode, send, empty sync.Cond

	taken    int64 // events that the sink has taken
	failures int   // of the sink since it last answered as it should
	failed   time.Time
	hold     time.Time // nothing is sent before
	told     time.Time // when it was last said that the sink fails
	telling  bool      // and that it is back was not said yet
	flushing bool
	closed   bool
}

func newQueue(gauge func(int)) *queue {
	q := &queue{gauge: gauge, sending: map[*entry]bool{}}
	q.encode.L, q.send.L, q.empty.L = &q.mu, &q.mu, &q.mu
	return q
}

// put queues rec, unless that is beyond the bounds or the queue is closed: then it says why.
func (q *queue) put(rec *review.Record) (refused string) {
	e := &entry{rec: rec, size: recordSize(rec)}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return "amp is ending"
	case q.count >= maxQueued, q.bytes+e.size > maxQueuedBytes:
		return "the queue is full"
	}
	q.records = append(q.records, e)
	q.add(1, e.size)
	q.encode.Signal()
	return ""
}

// recordSize is about what a record keeps in memory. The Pod is a slice of the request's body, and what was
// read of it are pieces of a copy as text: it counts twice, with the envelope around it. Patches are slices
// of the endpoints' answers.
func recordSize(rec *review.Record) int64 {
	n := 2*(int64(len(rec.Review.Pod))+1024) + 2048
	for i := range rec.Run.Steps {
		n += 512
		for j := range rec.Run.Steps[i].Ops {
			op := &rec.Run.Steps[i].Ops[j]
			n += 3*int64(len(op.Path)+len(op.From)+len(op.Value)) + 256
		}
	}
	return n
}

// add accounts for entries; q.mu is held.
func (q *queue) add(count int, bytes int64) {
	q.count += count
	q.bytes += bytes
	q.gauge(q.count)
	if q.count == 0 {
		q.empty.Broadcast()
	}
}

// nextRecord waits for an entry to encode; nil means that the queue is closed.
func (q *queue) nextRecord() *entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.records) == 0 && !q.closed {
		q.encode.Wait()
	}
	if q.closed {
		return nil
	}
	return pop(&q.records)
}

// encoded takes back an entry of nextRecord with its message.
func (q *queue) encoded(e *entry, msg *message) {
	size := msg.size()
	q.mu.Lock()
	defer q.mu.Unlock()
	e.rec, e.msg = nil, msg
	q.ready = append(q.ready, e)
	q.add(0, size-e.size)
	e.size = size
	q.send.Signal()
}

// nextReady waits until an entry may be sent; nil means that the queue is closed.
func (q *queue) nextReady() *entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case q.closed:
			return nil
		case len(q.ready) > 0 && (q.failures == 0 || len(q.sending) == 0 && !time.Now().Before(q.hold)):
			e := pop(&q.ready)
			q.sending[e] = true
			return e
		}
		q.send.Wait()
	}
}

// done takes an entry of nextReady out of the queue. It reports whether it is to be told that the sink, which
// failed, is back.
func (q *queue) done(e *entry, taken bool) (tell bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if taken {
		q.taken++
	}
	failures := q.failures
	q.failures = 0
	tell, q.telling = q.telling, false
	if q.sending[e] { // else rest has given it up
		delete(q.sending, e)
		q.add(-1, -e.size)
	}
	if failures > 0 {
		q.send.Broadcast() // all may send again
	}
	return tell
}

// drop takes out an entry that was never sent.
func (q *queue) drop(e *entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(-1, -e.size)
}

// again takes back an entry of nextReady that was begun at start and failed, for another try once the sink
// had time to recover. It reports whether it is to be told that the sink fails, and drops the entry (kept is
// false) if the sink fails it while it takes others.
func (q *queue) again(e *entry, start time.Time, v verdict) (kept, tell bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if !q.sending[e] { // rest has given it up
		return true, false
	}
	delete(q.sending, e)
	// Several that were under way when the sink failed are one failure.
	if q.failures == 0 || !start.Before(q.failed) {
		q.failures++
		q.failed = now
	}
	if tell = q.failures == 1 && !q.telling && now.Sub(q.told) >= tellAgain; tell {
		q.told, q.telling = now, true
	}
	wait := max(v.after, backoff(q.failures))
	if q.flushing {
		wait = min(wait, maxFlushBackoff)
	}
	if until := now.Add(wait); until.After(q.hold) {
		q.hold = until
	}
	time.AfterFunc(q.hold.Sub(now), q.send.Broadcast)

	if q.taken > e.taken && !v.busy {
		e.strikes++
	}
	e.taken = q.taken
	if e.strikes >= maxStrikes {
		q.add(-1, -e.size)
		return false, tell
	}
	q.ready = append(q.ready, e)
	return true, tell
}

// backoff is how long to wait after so many failures in a row: twice as long each time, and of that between
// a half and all, so that the replicas of amp do not come back as one.
func backoff(failures int) time.Duration {
	d := maxBackoff
	if shift := failures - 1; shift < 10 {
		d = min(minBackoff<<shift, maxBackoff)
	}
	return d/2 + rand.N(d/2+1)
}

// hurry lets no wait keep the queue from being emptied.
func (q *queue) hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flushing, q.hold = true, time.Time{}
	q.send.Broadcast()
}

// wait returns when the queue is empty or closed.
func (q *queue) wait() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.count > 0 && !q.closed {
		q.empty.Wait()
	}
}

// close ends all waiting, and refuses what comes after.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.encode.Broadcast()
	q.send.Broadcast()
	q.empty.Broadcast()
}

// rest empties a closed queue, of what is under way too.
func (q *queue) rest() []*entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	rest := append(q.ready, q.records...)
	for e := range q.sending {
		rest = append(rest, e)
	}
	q.ready, q.records = nil, nil
	clear(q.sending)
	for _, e := range rest {
		q.add(-1, -e.size)
	}
	return rest
}

func pop(entries *[]*entry) *entry {
	e := (*entries)[0]
	(*entries)[0] = nil
	*entries = (*entries)[1:]
	return e
}
