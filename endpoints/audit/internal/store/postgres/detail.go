package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

// one is an event with where it is.
type one struct {
	place
	item       *store.Item
	superseded bool
}

// Detail implements [store.Store].
func (s *Store) Detail(ctx context.Context, id, source string) (d *store.Detail, err error) {
	err = s.reading(ctx, func(ctx context.Context, tx pgx.Tx, m meta) error {
		d, err = detail(ctx, tx, m, id, source)
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

func detail(ctx context.Context, tx pgx.Tx, m meta, id, source string) (*store.Detail, error) {
	all, err := byID(ctx, tx, id, source, m.cutoff, endOfTime)
	if err != nil {
		return nil, err
	}
	chosen, err := store.Choose(all, func(o one) *store.Item { return o.item }, source)
	if err != nil {
		return nil, err
	}
	d := &store.Detail{Event: store.Event{Item: chosen.item}, Superseded: chosen.superseded}
	var text, event []byte
	if err := tx.QueryRow(ctx, "SELECT item, event FROM audit_events WHERE at = $1 AND seq = $2", chosen.at, chosen.seq).Scan(&text, &event); err != nil {
		return nil, err
	}
	if d.Raw, err = packed.Event(text, event); err != nil {
		return nil, err
	}

	other, final := store.Counterpart(id)
	from, to := later(m.cutoff, chosen.at.Add(-near)), chosen.at.Add(near)
	others, err := byID(ctx, tx, other, d.Item.Source, from, to)
	if err == nil && len(others) == 0 && (final || d.Superseded) { // one of them had no time of its own
		others, err = byID(ctx, tx, other, d.Item.Source, m.cutoff, endOfTime)
	}
	if err != nil {
		return nil, err
	}
	for _, o := range others {
		d.Verdicts = append(d.Verdicts, o.item)
	}

	validated, err := validationsOf(ctx, tx, m, []*store.Item{d.Item})
	if err != nil {
		return nil, err
	}
	for _, v := range validated[d.Item] {
		d.Seen = append(d.Seen, v)
		d.Item.Seen = append(d.Item.Seen, v.Item.Name)
	}
	if d.Item.Mutation != "" {
		stamped, err := byID(ctx, tx, d.Item.Mutation, d.Item.Source, from, to)
		for _, of := range []string{d.Item.Source, ""} { // it may be the stamp of an older Pod, or one of another cluster
			if err == nil && len(stamped) == 0 {
				stamped, err = byID(ctx, tx, d.Item.Mutation, of, m.cutoff, endOfTime)
			}
		}
		if err != nil {
			return nil, err
		}
		for _, o := range stamped {
			d.Stamped = append(d.Stamped, o.item)
		}
	}
	return d, nil
}

// byID returns the events with an id, from one time to another, of one source or, if source is empty, of each: the one that was
// stored first, because who may post for a source can post an id again with a time that is far away.
func byID(ctx context.Context, tx pgx.Tx, id, source string, from, to time.Time) ([]one, error) {
	return collect(ctx, tx, `SELECT DISTINCT ON (source) at, seq, superseded, item FROM audit_events
		WHERE id = $1 AND (source = $2 OR $3) AND at BETWEEN $4 AND $5 ORDER BY source, seq LIMIT $6`,
		[]any{hash(kindID, id), hash(kindSource, source), source == "", from, to, store.MaxSources},
		func(row pgx.CollectableRow) (o one, err error) {
			var b []byte
			if err = row.Scan(&o.at, &o.seq, &o.superseded, &b); err == nil {
				o.item, err = packed.DecodeItem(b)
			}
			return o, err
		})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
