package audit

import (
	"context"
	"slices"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// deleteEvery is how often old events are deleted.
const deleteEvery = time.Minute

// deleteOld deletes events as they pass the retention, until ctx ends. It begins at once: a process may end within a minute.
func (s *Server) deleteOld(ctx context.Context, oldest func() time.Time) {
	tick := time.NewTicker(deleteEvery)
	defer tick.Stop()
	for {
		err := s.store.DeleteBefore(ctx, oldest())
		if err != nil && ctx.Err() == nil {
			s.log.Error("audit cannot delete old events", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// retained is a store that does not show what has passed the retention. A deletion is too late for that: none happened while
// no process ran, and of many events it takes a while.
type retained struct {
	store.Store
	oldest func() time.Time // of what is shown
}

// kept reports whether an event is shown.
func (r *retained) kept(at time.Time) bool { return !at.Before(r.oldest()) }

// List implements [store.Store].
func (r *retained) List(ctx context.Context, q store.Query) (*store.Page, error) {
	q.From = r.from(q.From)
	return r.Store.List(ctx, q)
}

func (r *retained) from(from time.Time) time.Time {
	if r.kept(from) {
		return from
	}
	return r.oldest()
}

// Charts implements [store.Store]. They begin where the retention does, if f begins before.
func (r *retained) Charts(ctx context.Context, f store.Filter) (*store.Charts, error) {
	if !r.kept(f.To) {
		if f.From.IsZero() {
			f.From = store.ChartsFrom(f.To, time.Time{})
		}
		return store.NewTally(f.From, f.To).Charts(true), nil
	}
	if f.From.IsZero() {
		charts, err := r.Store.Charts(ctx, f) // it knows how much is worth showing
		if err != nil || r.kept(charts.From) {
			return charts, err
		}
	}
	f.From = r.from(f.From)
	return r.Store.Charts(ctx, f)
}

// Arrived implements [store.Store].
func (r *retained) Arrived(ctx context.Context, f store.Filter, after store.Position, limit int) (*store.Arrivals, error) {
	f.From = r.from(f.From)
	return r.Store.Arrived(ctx, f, after, limit)
}

// Export implements [store.Store].
func (r *retained) Export(ctx context.Context, after store.Position, limit int) (*store.Export, error) {
	export, err := r.Store.Export(ctx, after, limit)
	if err == nil {
		export.Records = slices.DeleteFunc(export.Records, func(record store.Record) bool { return !r.kept(record.Time) })
	}
	return export, err
}

// Detail implements [store.Store].
func (r *retained) Detail(ctx context.Context, id, source string) (*store.Detail, error) {
	d, err := r.Store.Detail(ctx, id, source)
	if err != nil {
		return nil, err
	}
	old := func(item *store.Item) bool { return !r.kept(item.Time) }
	if old(d.Item) {
		return nil, store.ErrNotFound
	}
	d.Verdicts, d.Stamped = slices.DeleteFunc(d.Verdicts, old), slices.DeleteFunc(d.Stamped, old)
	d.Seen = slices.DeleteFunc(d.Seen, func(seen store.Seen) bool { return old(seen.Item) })
	d.Item.Seen = nil
	for _, seen := range d.Seen {
		d.Item.Seen = append(d.Item.Seen, seen.Item.Name)
	}
	return d, nil
}
