package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

// Arrived implements [store.Store].
func (s *Store) Arrived(ctx context.Context, f store.Filter, after store.Position, limit int) (arrivals *store.Arrivals, err error) {
	err = s.reading(ctx, func(ctx context.Context, tx pgx.Tx, m meta) error {
		arrivals = new(store.Arrivals)
		if after == "" {
			arrivals.Next = store.NewPosition(m.epoch, m.seq)
			return nil
		}
		seq, err := after.Seq(m.epoch, m.seq)
		if err != nil {
			return err
		}
		return arrivedAfter(ctx, tx, m, &f, seq, limit, arrivals)
	})
	if err != nil {
		return nil, err
	}
	return arrivals, nil
}

func arrivedAfter(ctx context.Context, tx pgx.Tx, m meta, f *store.Filter, seq int64, limit int, arrivals *store.Arrivals) error {
	type row struct {
		seq        int64
		superseded bool
		item       *store.Item
	}
	arrivals.Next = store.NewPosition(m.epoch, seq)
	if seq == m.seq {
		return nil
	}
	rows, err := tx.Query(ctx, "SELECT seq, superseded, at, item FROM audit_events WHERE seq > $1 ORDER BY seq LIMIT $2", seq, limit)
	if err != nil {
		return err
	}
	defer rows.Close()
	var all []row
	n, size, last := 0, 0, seq
	for size < store.MaxItems && rows.Next() {
		var r row
		var at time.Time
		var b []byte
		if err := rows.Scan(&r.seq, &r.superseded, &at, &b); err != nil {
			return err
		}
		n, size, last = n+1, size+packed.Size(b), r.seq
		if at.Before(m.cutoff) {
			continue
		}
		if r.item, err = packed.DecodeItem(b); err != nil {
			return err
		}
		r.item.Superseded = r.superseded
		all = append(all, r)
	}
	rows.Close()
	if rows.Err() != nil {
		return rows.Err()
	}
	arrivals.Next, arrivals.More = store.NewPosition(m.epoch, last), n == limit || size >= store.MaxItems
	whole, err := wholeOf(ctx, tx, f)
	if err != nil {
		return err
	}
	var items []*store.Item
	for _, r := range all {
		if f.Match(r.item, whole) {
			items = append(items, r.item)
			arrivals.Events = append(arrivals.Events, store.Arrival{Item: r.item, Position: store.NewPosition(m.epoch, r.seq)})
		}
	}
	return addSeen(ctx, tx, m, items)
}

// wholeOf says for which values of a filter there are events with exactly that value.
func wholeOf(ctx context.Context, tx pgx.Tx, f *store.Filter) (whole store.Whole, err error) {
	for _, v := range []struct {
		kind, value string
		is          *bool
	}{{kindNamespace, f.Namespace, &whole.Namespace}, {kindEndpoint, f.Endpoint, &whole.Endpoint}, {kindUser, f.User, &whole.User}} {
		if *v.is, err = exists(ctx, tx, v.kind, v.value); err != nil {
			return whole, err
		}
	}
	return whole, nil
}
