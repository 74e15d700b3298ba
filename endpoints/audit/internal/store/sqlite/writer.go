package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// Add implements [store.Store].
func (s *Store) Add(ctx context.Context, events []*store.Event) error {
	return s.writes.Add(ctx, events)
}

// DeleteBefore implements [store.Store].
func (s *Store) DeleteBefore(ctx context.Context, t time.Time) error {
	return s.writes.Do(ctx, func() error { return s.deleteBefore(t) })
}

// commit stores events in one transaction.
func (s *Store) commit(events []*store.Event) (err error) {
	events = slices.Clone(events)
	// The index writes a segment of its own whenever a key is smaller than the one before.
	slices.SortStableFunc(events, func(a, b *store.Event) int { return a.Item.Time.Compare(b.Item.Time) })
	seq := s.seq
	err = s.inTransaction(func(tx *transaction) error {
		sums := store.NewSums()
		for _, e := range events {
			if err := s.insert(tx, e, sums); err != nil {
				return err
			}
		}
		if s.seq == seq {
			return nil // all of them were stored before
		}
		if err := write(tx, sums); err != nil {
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
