package emit

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/review"
)

// Events delivers the events of records. It is safe for concurrent use.
type Events struct {
	to        transmitter
	name      string // of the sink; empty where there is none
	source    types.URIRef
	overrides map[string]string
	required  bool
	metrics   *Metrics
	log       *slog.Logger

	queue   *queue
	workers sync.WaitGroup
	stop    context.CancelFunc // of what is under way
}

// concurrency is how many events are under way to the sink at once; at 10 ms each that is 3,200 a second.
const concurrency = 32

func (e *Events) start(workers int) {
	ctx, cancel := context.WithCancel(context.Background())
	e.stop = cancel
	e.workers.Go(e.encodeQueued)
	for range workers {
		e.workers.Go(func() { e.sendQueued(ctx) })
	}
}

// Undelivered is the error of a mutation whose event the sink did not take in time.
type Undelivered struct {
	sink, cause string
	sent        bool
}

func (u *Undelivered) Error() string {
	if u.sink == "" {
		return u.cause
	}
	return "event sink " + u.sink + " " + u.cause
}

// Sent reports whether the event went out: the sink may have it, or have yet to take it, so that a verdict
// which supersedes it needs an id of its own.
func (u *Undelivered) Sent() bool { return u.sent }

// deliver returns once the sink has taken the event of rec, or has not within the time of ctx: then the error
// is an *Undelivered.
func (e *Events) deliver(ctx context.Context, rec *review.Record) error {
	m, err := e.encode(rec)
	if err != nil {
		return &Undelivered{cause: err.Error()}
	}
	var sent atomic.Bool
	ctx = traceSent(ctx, &sent)
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		v := e.to.send(ctx, m)
		if v.taken {
			e.metrics.events[eventDelivered].Inc()
			return nil
		}
		pause := max(v.after, wait/2+rand.N(wait))
		if !v.again || !outbound.Pause(ctx, pause, pause/2) {
			// Not a dropped event: the mutation it tells of is not to be, and the record of that goes out as
			// any other.
			e.log.Warn("mutation not answered, its event was not accepted", "event", m.id, "sink", e.name, "cause", v.cause)
			return &Undelivered{e.name, v.cause, sent.Load()}
		}
		e.metrics.events[eventRetried].Inc()
	}
}

// enqueue hands rec over without waiting for anything. From then on nobody may change it.
func (e *Events) enqueue(rec *review.Record) {
	if refused := e.queue.put(rec); refused != "" {
		e.dropped(rec.Event, refused)
	}
}

// flushGrace is how long Flush waits for requests that it has called off. A write to a blocked pipe cannot
// be.
const flushGrace = time.Second

// Flush delivers what is queued until ctx ends, and drops the rest. Events that come later are dropped, too.
func (e *Events) Flush(ctx context.Context) {
	if e == nil {
		return
	}
	e.queue.hurry()
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
	for _, entry := range e.queue.rest() {
		e.dropped(entry.id(), "amp ended before it could be delivered")
	}
}

// encode makes rec's event a message. A panic is contained: it must not end the process for one event.
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

func (e *Events) encodeQueued() {
	for entry := e.queue.nextRecord(); entry != nil; entry = e.queue.nextRecord() {
		m, err := e.encode(entry.rec)
		if err != nil {
			e.dropped(entry.rec.Event, err.Error())
			e.queue.drop(entry)
			continue
		}
		e.queue.encoded(entry, m)
	}
}

func (e *Events) sendQueued(ctx context.Context) {
	for entry := e.queue.nextReady(); entry != nil; entry = e.queue.nextReady() {
		start := time.Now()
		v := e.to.send(ctx, entry.msg)
		switch {
		case v.taken:
			e.metrics.events[eventDelivered].Inc()
			if e.queue.done(entry, true) {
				e.log.Info("event sink takes events again", "sink", e.name)
			}
		case !v.again:
			e.dropped(entry.id(), v.cause)
			e.queue.done(entry, false)
		case ctx.Err() != nil:
			// The flush is over: Flush drops it with the rest.
			e.queue.again(entry, start, v)
		default:
			e.retry(entry, start, v)
		}
	}
}

func (e *Events) retry(entry *entry, start time.Time, v verdict) {
	kept, tell := e.queue.again(entry, start, v)
	if kept {
		e.metrics.events[eventRetried].Inc()
	} else {
		e.dropped(entry.id(), v.cause+" every time, while other events were taken")
	}
	if tell {
		e.log.Warn("event sink fails, events are kept and tried again", "sink", e.name, "cause", v.cause)
	}
}

// dropped counts and logs an event that amp gives up.
func (e *Events) dropped(id, cause string) {
	e.metrics.events[eventDropped].Inc()
	e.log.Warn("event dropped", "event", id, "sink", e.name, "cause", cause)
}
