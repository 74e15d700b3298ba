// Package group lets the callers of a store share its transactions: what comes in while one is under way is committed
// together by the next one. A commit costs as much for one event as for a thousand. It knows no database.
package group

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

const (
	// maxPending bounds the requests that wait for the writer.
	maxPending = 256
	// maxEvents bounds the events of one transaction: it spreads the cost of a commit and still ends soon. One request
	// may have more.
	maxEvents = 1000
)

// A Writer is one goroutine that does all writing of a store.
type Writer struct {
	commit  func(events []*store.Event) error
	jobs    chan *job
	closing chan struct{}
	closed  chan struct{} // the goroutine has ended
	once    sync.Once
}

// A job is what the writer has to do: store events, or a task.
type job struct {
	events []*store.Event
	task   func() error
	done   chan error
}

// New starts a Writer. commit stores events in one transaction, all or none. Only the writer's goroutine calls it. After an
// error that is store.ErrUnreachable, no smaller transaction is tried.
func New(commit func(events []*store.Event) error) *Writer {
	w := &Writer{commit: commit, jobs: make(chan *job, maxPending), closing: make(chan struct{}), closed: make(chan struct{})}
	go w.run()
	return w
}

// Add returns when the events are committed, with the error of their transaction. The other errors are store.ErrClosed
// and ctx's. After those, the events may be stored nevertheless.
func (w *Writer) Add(ctx context.Context, events []*store.Event) error {
	return w.submit(ctx, &job{events: events, done: make(chan error, 1)})
}

// Do runs a task on the writer's goroutine, between two transactions, and returns its error. A long task calls Yield.
func (w *Writer) Do(ctx context.Context, task func() error) error {
	return w.submit(ctx, &job{task: task, done: make(chan error, 1)})
}

// Yield serves one that waits, if there is one. Only a task calls it. It returns false when the writer is to close: then the
// task is to end.
func (w *Writer) Yield() bool {
	select {
	case j := <-w.jobs:
		w.serve(j)
	case <-w.closing:
		return false
	default:
	}
	return true
}

// Close commits what was taken and ends the writer. It may be called several times.
func (w *Writer) Close() {
	w.once.Do(func() { close(w.closing) })
	<-w.closed
}

func (w *Writer) submit(ctx context.Context, j *job) error {
	select {
	case <-w.closing:
		return store.ErrClosed
	default:
	}
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closing:
		return store.ErrClosed
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closed:
		select {
		case err := <-j.done:
			return err
		default:
			return store.ErrClosed
		}
	}
}

func (w *Writer) run() {
	defer close(w.closed)
	for {
		select {
		case j := <-w.jobs:
			w.serve(j)
		case <-w.closing:
			for {
				select {
				case j := <-w.jobs:
					w.serve(j)
				default:
					return
				}
			}
		}
	}
}

// serve does j and, if it stores events, what waits behind it.
func (w *Writer) serve(j *job) {
	if j.task != nil {
		j.done <- j.task()
		return
	}
	all, events := []*job{j}, slices.Clip(j.events) // to append copies them
	for len(events) < maxEvents {
		select {
		case next := <-w.jobs:
			if next.task == nil {
				all = append(all, next)
				events = append(events, next.events...)
				continue
			}
			defer w.serve(next)
		default:
		}
		break
	}
	err := w.commit(events)
	if err != nil && len(all) > 1 && !errors.Is(err, store.ErrUnreachable) {
		// A request that cannot be stored must not make the others fail.
		for _, j := range all {
			j.done <- w.commit(j.events)
		}
		return
	}
	for _, j := range all {
		j.done <- err
	}
}
