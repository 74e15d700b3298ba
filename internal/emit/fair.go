package emit

import (
	"strings"
	"time"
)

// The lines in which entries wait.
const (
	toEncode      = iota
	toEncodeLarge // takes up to some 20 ms, and waits for a processor: the events of others do not wait for it
	toSend
	lines
)

// A tenant is a namespace with events in the queue.
type tenant struct {
	name   string
	count  int // of its entries, those under way included
	bytes  int64
	lines  [lines][]*entry // that wait
	inTurn [lines]bool     // whether it is in queue.turns
}

// exceeds reports whether a tenant that has so much fills more than half of the queue.
func exceeds(count int, bytes int64) bool { return count > maxQueued/2 || bytes > maxQueuedBytes/2 }

// tenantOf returns the tenant with a name. The caller holds q.mu.
func (q *queue) tenantOf(name string) *tenant {
	t := q.tenants[name]
	if t == nil {
		t = &tenant{name: strings.Clone(name)} // a part of the review's body, which must not stay in memory for it
		q.tenants[t.name] = t
	}
	return t
}

// push puts e at the end of a line of its tenant. The caller holds q.mu.
func (q *queue) push(e *entry, line int) {
	t := e.tenant
	if line == toSend && q.waiting[line] == 0 {
		q.readySince = time.Now()
	}
	t.lines[line] = append(t.lines[line], e)
	q.waiting[line]++
	if !t.inTurn[line] {
		t.inTurn[line] = true
		q.turns[line] = append(q.turns[line], t)
	}
}

// peek returns the first entry of a line, in which the tenants take turns; nil if there is none. The caller holds q.mu.
func (q *queue) peek(line int) *entry {
	if q.waiting[line] == 0 {
		return nil
	}
	for len(q.turns[line][0].lines[line]) == 0 { // the last one was evicted
		first(&q.turns[line]).inTurn[line] = false
	}
	return q.turns[line][0].lines[line][0]
}

// pop takes the first entry of a line; nil if there is none. The caller holds q.mu.
func (q *queue) pop(line int) *entry {
	if q.peek(line) == nil {
		return nil
	}
	t := first(&q.turns[line])
	e := first(&t.lines[line])
	q.waiting[line]--
	if t.inTurn[line] = len(t.lines[line]) > 0; t.inTurn[line] {
		q.turns[line] = append(q.turns[line], t)
	}
	return e
}

func first[T any](all *[]*T) *T {
	one := (*all)[0]
	(*all)[0] = nil
	*all = (*all)[1:]
	return one
}

// makeRoom makes room for an entry of t, at the cost of a tenant that fills more than half of the queue: it came when no
// other one waited. It returns what it took out, the newest entries of that tenant. The caller holds q.mu.
func (q *queue) makeRoom(t *tenant, size int64) (evicted []*entry, ok bool) {
	for q.count >= maxQueued || q.bytes+size > maxQueuedBytes {
		e := q.evict(t)
		if e == nil {
			return evicted, false
		}
		evicted = append(evicted, e)
	}
	return evicted, true
}

func (q *queue) evict(forTenant *tenant) *entry {
	for _, t := range q.largest {
		if t == nil || t == forTenant || !exceeds(t.count, t.bytes) {
			continue
		}
		for line := range t.lines {
			if last := len(t.lines[line]) - 1; last >= 0 {
				e := t.lines[line][last]
				t.lines[line][last] = nil
				t.lines[line] = t.lines[line][:last]
				q.waiting[line]--
				q.add(e, -1, -e.size)
				return e
			}
		}
	}
	return nil
}
