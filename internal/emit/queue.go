package emit

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
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
	// maxFailedAlone is how often the sink may fail an event while it accepts others, before amp gives that event up.
	// Without it, amp would try an event that the sink cannot handle for ever.
	maxFailedAlone = 20
	// outageLogInterval is the least time between two log lines that the sink fails.
	outageLogInterval = time.Minute
)

// queue holds events between the reviews, which never wait, and the sink.
//
//   - Records become messages as soon as possible, because a record keeps its whole review in memory.
//   - An event that failed goes to the end of the queue, so that it does not block the others.
//   - A failure is most often the sink's, and so all events wait. Then one event at a time is tried, until the sink accepts
//     one.
//   - Namespaces share the queue: while others wait, one fills at most half of it (fair.go).
type queue struct {
	gauge func(int) // gets the number of events at every change

	mu      sync.Mutex
	tenants map[string]*tenant
	turns   [lines][]*tenant // that have entries in a line, in the order in which they are next
	waiting [lines]int       // entries in a line, of all tenants
	largest [2]*tenant       // that fill more than half of the queue, by their number and by their size, or did so
	sending map[*entry]bool
	count   int // of all entries
	bytes   int64

	encode [2]sync.Cond // there is a record to encode in the line toEncode, toEncodeLarge
	send   sync.Cond    // an event may be sent
	empty  sync.Cond    // there is no event

	readySince time.Time // when the first that waits to be sent began to, or the last batch was taken
	lingering  bool      // a timer will signal send

	accepted     int64     // events that the sink has accepted
	failures     int       // of the sink in a row
	failed       time.Time // the last of them
	backoffUntil time.Time // nothing is sent before
	outageLogged time.Time // when the log last said that the sink fails
	inOutage     bool      // the log says that the sink fails, and not yet that it accepts events again
	flushing     bool
	closed       bool
}

func newQueue(gauge func(int)) *queue {
	q := &queue{gauge: gauge, tenants: map[string]*tenant{}, sending: map[*entry]bool{}}
	for _, c := range []*sync.Cond{&q.encode[toEncode], &q.encode[toEncodeLarge], &q.send, &q.empty} {
		c.L = &q.mu
	}
	return q
}

// put queues rec. If the queue is full or closed it does not, and returns the reason. It returns the entries of another
// namespace that had to make room.
func (q *queue) put(rec *review.Record) (refused string, evicted []*entry) {
	e, line := &entry{rec: rec, size: recordSize(rec)}, toEncode
	if e.size > share.Large {
		line = toEncodeLarge
	}
	return q.enter(e, rec.Review.Namespace, line, &q.encode[line])
}

// putCandidate is put for the event of a candidate, which is encoded already. It makes no room for it, and leaves a half of the
// queue to the events of what amp did.
func (q *queue) putCandidate(namespace string, msg *message) (refused string, evicted []*entry) {
	return q.enter(&entry{msg: msg, size: msg.size()}, namespace, toSend, &q.send)
}

// enter puts e into a line, and signals that.
func (q *queue) enter(e *entry, namespace string, line int, signal *sync.Cond) (refused string, evicted []*entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return "amp is ending", nil
	}
	e.tenant = q.tenantOf(namespace)
	switch {
	case line == toSend && exceeds(q.count+1, q.bytes+e.size):
		refused = "the queue is half full, and the rest is not for candidates"
	case q.count > e.tenant.count && exceeds(e.tenant.count+1, e.tenant.bytes+e.size):
		refused = "its namespace fills half of the queue, and others wait"
	default:
		var fits bool
		if evicted, fits = q.makeRoom(e.tenant, e.size); !fits {
			refused = "the queue is full"
		}
	}
	if refused != "" {
		q.add(e, 0, 0) // forgets a tenant that has nothing in the queue
		return refused, evicted
	}
	q.push(e, line)
	q.add(e, 1, e.size)
	signal.Signal()
	return "", evicted
}

// add changes the number and size of the entries, for one of them. The caller holds q.mu.
func (q *queue) add(e *entry, count int, bytes int64) {
	q.count += count
	q.bytes += bytes
	t := e.tenant
	t.count += count
	t.bytes += bytes
	if t.count > maxQueued/2 {
		q.largest[0] = t
	}
	if t.bytes > maxQueuedBytes/2 {
		q.largest[1] = t
	}
	if t.count == 0 {
		delete(q.tenants, t.name)
	}
	q.gauge(q.count)
	if q.count == 0 {
		q.empty.Broadcast()
	}
}

// nextRecord waits for an entry to encode in a line. It returns nil when the queue is closed.
func (q *queue) nextRecord(line int) *entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.waiting[line] == 0 && !q.closed {
		q.encode[line].Wait()
	}
	if q.closed {
		return nil
	}
	return q.pop(line)
}

// encoded puts an entry of nextRecord back, with its message.
func (q *queue) encoded(e *entry, msg *message) {
	size := msg.size()
	q.mu.Lock()
	defer q.mu.Unlock()
	e.rec, e.msg = nil, msg
	q.push(e, toSend)
	q.add(e, 0, size-e.size)
	e.size = size
	q.send.Signal()
}

// nextReady waits until an entry may be sent. If batches says so, it returns several: they waited for a moment for one another,
// unless the queue is flushed. After a failure of the sink, it returns one. It returns nil when the queue is closed.
func (q *queue) nextReady(batches func() bool) []*entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case q.closed:
			return nil
		case q.waiting[toSend] == 0:
		case q.failures > 0:
			if len(q.sending) == 0 && !time.Now().Before(q.backoffUntil) {
				return q.take(1)
			}
		case !batches() || q.peek(toSend).msg.alone(): // it goes alone, and need not wait
			return q.take(1)
		case q.waiting[toSend] >= maxBatch || q.flushing:
			return q.take(maxBatch)
		default:
			wait := linger - time.Since(q.readySince)
			if wait <= 0 {
				return q.take(maxBatch)
			}
			if !q.lingering {
				q.lingering = true
				time.AfterFunc(wait, func() {
					q.mu.Lock()
					defer q.mu.Unlock()
					q.lingering = false
					q.send.Signal()
				})
			}
		}
		q.send.Wait()
	}
}

// done takes an entry of nextReady out of the queue. It reports whether the log must say that the sink, which failed,
// accepts events again.
func (q *queue) done(e *entry, accepted bool) (logRecovery bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if accepted {
		q.accepted++
	}
	failures := q.failures
	q.failures = 0
	logRecovery, q.inOutage = q.inOutage, false
	if q.sending[e] { // otherwise abandon took it
		delete(q.sending, e)
		q.add(e, -1, -e.size)
	}
	if failures > 0 {
		q.send.Broadcast() // all may send again
	}
	return logRecovery
}

// drop takes out an entry that was never sent.
func (q *queue) drop(e *entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(e, -1, -e.size)
}

// retry puts back an entry of nextReady whose try, together with others or not, began at start and failed. It is tried again
// when the sink had time to recover. kept is false if the entry was dropped, because the sink fails it and accepts others.
// logOutage reports whether the log must say that the sink fails.
func (q *queue) retry(e *entry, start time.Time, v attempt, together bool) (kept, logOutage bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if !q.sending[e] { // abandon took it
		return true, false
	}
	delete(q.sending, e)
	// If several tries were under way when the sink failed, they are one failure.
	if q.failures == 0 || !start.Before(q.failed) {
		q.failures++
		q.failed = now
	}
	if logOutage = q.failures == 1 && !q.inOutage && now.Sub(q.outageLogged) >= outageLogInterval; logOutage {
		q.outageLogged, q.inOutage = now, true
	}
	wait := max(v.after, backoff(q.failures))
	if q.flushing {
		wait = min(wait, maxFlushBackoff)
	}
	if until := now.Add(wait); until.After(q.backoffUntil) {
		q.backoffUntil = until
	}
	time.AfterFunc(q.backoffUntil.Sub(now), q.send.Broadcast)

	if q.accepted > e.accepted && !v.busy {
		e.count(together)
	}
	e.accepted = q.accepted
	if e.failedAlone >= maxFailedAlone {
		q.add(e, -1, -e.size)
		return false, logOutage
	}
	q.push(e, toSend)
	return true, logOutage
}

// backoff is the wait after so many failures in a row: twice as long each time, up to maxBackoff. It is random between a
// half of that and all of it, so that the replicas of amp do not try at the same moment.
func backoff(failures int) time.Duration {
	d := maxBackoff
	if shift := failures - 1; shift < 10 {
		d = min(minBackoff<<shift, maxBackoff)
	}
	return d/2 + rand.N(d/2+1)
}

// startFlush ends every backoff, so that the queue can become empty.
func (q *queue) startFlush() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flushing, q.backoffUntil = true, time.Time{}
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

// close ends all waiting. The queue accepts no more records.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.encode[toEncode].Broadcast()
	q.encode[toEncodeLarge].Broadcast()
	q.send.Broadcast()
	q.empty.Broadcast()
}

// abandon empties a closed queue and returns what was in it, also what is being sent.
func (q *queue) abandon() []*entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	var rest []*entry
	for _, line := range []int{toSend, toEncodeLarge, toEncode} {
		for e := q.pop(line); e != nil; e = q.pop(line) {
			rest = append(rest, e)
		}
	}
	for e := range q.sending {
		rest = append(rest, e)
	}
	clear(q.sending)
	for _, e := range rest {
		q.add(e, -1, -e.size)
	}
	return rest
}
