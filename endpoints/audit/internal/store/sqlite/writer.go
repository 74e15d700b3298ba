package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

const (
	// maxPending bounds the requests that wait for the writer.
	maxPending = 256
	// maxGroup bounds the events of one transaction: it spreads the cost of an fsync and still ends soon.
	maxGroup = 1000
)

// A write is what the writer has to do.
type write struct {
	events []*store.Event
	before time.Time // set: delete what is older, instead of storing events
	done   chan error
}

// Add implements [store.Store].
func (s *Store) Add(ctx context.Context, events []*store.Event) error {
	return s.submit(ctx, &write{events: events, done: make(chan error, 1)})
}

// DeleteBefore implements [store.Store].
func (s *Store) DeleteBefore(ctx context.Context, t time.Time) error {
	return s.submit(ctx, &write{before: t, done: make(chan error, 1)})
}

func (s *Store) submit(ctx context.Context, w *write) error {
	select {
	case <-s.closing:
		return store.ErrClosed
	default:
	}
	select {
	case s.writes <- w:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return store.ErrClosed
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		select {
		case err := <-w.done:
			return err
		default:
			return store.ErrClosed
		}
	}
}

// run is the writer.
func (s *Store) run() {
	defer close(s.closed)
	for {
		select {
		case w := <-s.writes:
			s.serve(w)
		case <-s.closing:
			for {
				select {
				case w := <-s.writes:
					s.serve(w)
				default:
					return
				}
			}
		}
	}
}

// serve does w and, if it stores events, what waits behind it.
func (s *Store) serve(w *write) {
	if !w.before.IsZero() {
		w.done <- s.deleteBefore(w.before)
		return
	}
	group, n := []*write{w}, len(w.events)
	for n < maxGroup {
		select {
		case next := <-s.writes:
			if !next.before.IsZero() {
				defer s.serve(next)
				n = maxGroup
				continue
			}
			group = append(group, next)
			n += len(next.events)
			continue
		default:
		}
		break
	}
	err := s.commit(group...)
	if err != nil && len(group) > 1 {
		// A request that cannot be stored must not make the others fail.
		for _, w := range group {
			w.done <- s.commit(w)
		}
		return
	}
	for _, w := range group {
		w.done <- err
	}
}

// commit stores the events of a group in one transaction.
func (s *Store) commit(group ...*write) (err error) {
	var events []*store.Event
	for _, w := range group {
		events = append(events, w.events...)
	}
	// The index writes a segment of its own whenever a key is smaller than the one before.
	slices.SortStableFunc(events, func(a, b *store.Event) int { return a.Item.Time.Compare(b.Item.Time) })
	seq := s.seq
	err = s.inTransaction(func(tx *transaction) error {
		sums := newSums()
		for _, e := range events {
			if err := s.insert(tx, e, sums); err != nil {
				return err
			}
		}
		if s.seq == seq {
			return nil // all of them were stored before
		}
		if err := sums.write(tx); err != nil {
			return err
		}
		return tx.exec("UPDATE meta SET v = ? WHERE k = 'seq'", s.seq)
	})
	if err != nil {
		s.seq = seq
		s.terms = map[termKey]termEntry{} // it may hold what was rolled back
		return fmt.Errorf("storing events: %w", trouble(s.path, err, false))
	}
	if s.memory != nil {
		if err := s.shrink(); err != nil {
			s.log.Error("audit cannot make room", "err", err) // the events are stored
		}
	}
	if s.seq > seq {
		s.mu.Lock()
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
	}
	return nil
}

// Changed implements [store.Store].
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}
