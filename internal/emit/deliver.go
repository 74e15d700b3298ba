package emit

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// Events delivers the events of records. It is safe for concurrent use.
type Events struct {
	to        transmitter
	name      string // of the sink; empty if there is none
	source    types.URIRef
	overrides map[string]string
	metrics   *Metrics
	log       *slog.Logger

	queue      *queue
	processors *share.Processors
	workers    sync.WaitGroup
	stop       context.CancelFunc // ends the requests under way
}

// concurrency is the number of requests to the sink at the same time; at 10 ms each that is 3,200 events a second.
const concurrency = 32

func (e *Events) start(workers int) {
	ctx, cancel := context.WithCancel(context.Background())
	e.stop = cancel
	for _, line := range []int{toEncode, toEncodeLarge} {
		e.workers.Go(func() { e.encodeQueued(ctx, line) })
	}
	for range workers {
		e.workers.Go(func() { e.sendQueued(ctx) })
	}
}

// deliver waits until the sink has accepted the event of rec. If ctx ends before that, it returns an error. Then sent tells
// whether a request went out.
func (e *Events) deliver(ctx context.Context, rec *review.Record) (sent bool, err error) {
	place, _ := e.processors.Take(ctx, rec.Review.Namespace, int(recordSize(rec))) // if there is no time left, sending fails
	m, err := e.encode(rec)
	place.Release()
	if err != nil {
		return false, err
	}
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		v := e.to.send(ctx, m)
		sent = sent || v.sent
		if v.taken {
			e.metrics.events[eventDelivered].Inc()
			return true, nil
		}
		pause := max(v.after, wait/2+rand.N(wait))
		if !v.again || !outbound.Pause(ctx, pause, pause/2) {
			// This does not count as a dropped event: amp will not answer the mutation that the event tells of, and the
			// record of that has an event, too.
			e.log.Warn("mutation not answered, its event was not accepted", "event", m.id, "sink", e.name, "cause", v.cause)
			return sent, fmt.Errorf("event sink %s %s", e.name, v.cause)
		}
		e.metrics.events[eventRetried].Inc()
	}
}

// enqueue queues rec without waiting.
func (e *Events) enqueue(rec *review.Record) {
	refused, evicted := e.queue.put(rec)
	e.queued(rec.Plan.Event, refused, evicted)
}

// queued counts and logs what the queue did not take of an event and of others.
func (e *Events) queued(id, refused string, evicted []*entry) {
	for _, entry := range evicted {
		e.dropped(entry.id(), "its namespace filled more than half of the queue, and another one needed room")
	}
	if refused != "" {
		e.dropped(id, refused)
	}
}

// flushGrace is how long Flush waits for requests that it has cancelled. A write to a blocked pipe cannot be cancelled.
const flushGrace = time.Second

// Flush delivers the queued events until ctx ends, and drops the rest. It also drops events that come later. A nil Events
// has nothing to flush.
func (e *Events) Flush(ctx context.Context) {
	if e == nil {
		return
	}
	e.queue.startFlush()
	defer context.AfterFunc(ctx, e.queue.close)()
	e.queue.wait()
	e.queue.close()
	e.stop()
	ended := make(chan struct{})
	go func() {
		e.workers.Wait()
		close(ended)
	}()
	grace := time.NewTimer(flushGrace)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C:
	}
	for _, entry := range e.queue.abandon() {
		e.dropped(entry.id(), "amp ended before it could be delivered")
	}
}

// encode makes rec's event a message. It makes an error of a panic, because encodeQueued has no caller that would contain
// it.
func (e *Events) encode(rec *review.Record) (m *message, err error) {
	defer func() {
		if v := recover(); v != nil {
			e.metrics.panics.Inc()
			m, err = nil, fmt.Errorf("an error in amp itself: making the event: %T", v)
		}
	}()
	ev, err := newEvent(rec, e.source, e.overrides)
	if err != nil {
		return nil, err
	}
	return e.to.encode(&ev)
}

// encodeQueued encodes the records of a line. A large one takes as much of a processor as a large check, which it shares with
// those. The small ones take none: one after the other, they are a small part of what their reviews take.
func (e *Events) encodeQueued(ctx context.Context, line int) {
	for entry := e.queue.nextRecord(line); entry != nil; entry = e.queue.nextRecord(line) {
		var place *share.Hold
		if line == toEncodeLarge {
			place, _ = e.processors.Take(ctx, entry.tenant.name, int(entry.size)) // if ctx ends, Flush has given up
		}
		m, err := e.encode(entry.rec)
		place.Release()
		if err != nil {
			e.dropped(entry.id(), err.Error())
			e.queue.drop(entry)
			continue
		}
		e.queue.encoded(entry, m)
	}
}

func (e *Events) sendQueued(ctx context.Context) {
	batches := func() bool { return e.to.batches() }
	for batch := e.queue.nextReady(batches); batch != nil; batch = e.queue.nextReady(batches) {
		e.send(ctx, batch)
	}
}

// send makes one try to deliver the entries. Those of a batch that the sink refuses go one by one: one of them may be what it
// cannot take, or it takes no batches any more.
func (e *Events) send(ctx context.Context, batch []*entry) {
	messages := make([]*message, len(batch))
	for i, entry := range batch {
		messages[i] = entry.msg
	}
	start := time.Now()
	v := e.to.send(ctx, messages...)
	if refused := !v.taken && !v.again; refused && len(batch) > 1 {
		e.queue.apart(batch)
		return
	}
	for _, entry := range batch {
		switch {
		case v.taken:
			e.metrics.events[eventDelivered].Inc()
			if logRecovery := e.queue.done(entry, true); logRecovery {
				e.log.Info("event sink takes events again", "sink", e.name)
			}
		case !v.again:
			e.dropped(entry.id(), v.cause)
			e.queue.done(entry, false)
		case ctx.Err() != nil:
			// Flush has ended and will drop it, with all others that are left.
			e.queue.retry(entry, start, v, len(batch) > 1)
		default:
			e.retry(entry, start, v, len(batch) > 1)
		}
	}
}

func (e *Events) retry(entry *entry, start time.Time, v attempt, together bool) {
	kept, logOutage := e.queue.retry(entry, start, v, together)
	if kept {
		e.metrics.events[eventRetried].Inc()
	} else {
		e.dropped(entry.id(), v.cause+" every time, while other events were taken")
	}
	if logOutage {
		e.log.Warn("event sink fails, events are kept and tried again", "sink", e.name, "cause", v.cause)
	}
}

// dropped counts and logs an event that amp gives up.
func (e *Events) dropped(id, cause string) {
	e.metrics.events[eventDropped].Inc()
	e.log.Warn("event dropped", "event", id, "sink", e.name, "cause", cause)
}
