package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

func (s *Store) position(seq int64) store.Position { return store.NewPosition(s.epoch, seq) }

func newest(ctx context.Context, tx *sql.Tx) (seq int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT v FROM meta WHERE k = 'seq'").Scan(&seq)
	return seq, err
}

// Arrived implements [store.Store].
func (s *Store) Arrived(ctx context.Context, f store.Filter, after store.Position, limit int) (*store.Arrivals, error) {
	arrivals := new(store.Arrivals)
	err := s.read(ctx, func(tx *sql.Tx) error {
		last, err := newest(ctx, tx)
		if err != nil {
			return err
		}
		if after == "" {
			arrivals.Next = s.position(last)
			return nil
		}
		seq, err := after.Seq(s.epoch, last)
		if err != nil {
			return err
		}
		return s.arrivedAfter(ctx, tx, &f, seq, limit, arrivals)
	})
	if err != nil {
		return nil, err
	}
	return arrivals, nil
}

func (s *Store) arrivedAfter(ctx context.Context, tx *sql.Tx, f *store.Filter, seq int64, limit int, arrivals *store.Arrivals) error {
	arrivals.Next = s.position(seq)
	rows, err := tx.QueryContext(ctx, "SELECT e.seq, e.superseded, "+itemText("b")+" FROM events e JOIN bodies b ON b.id = e.id WHERE e.seq > ? ORDER BY e.seq LIMIT ?", seq, limit)
	if err != nil {
		return err
	}
	type row struct {
		seq        int64
		superseded bool
		text       []byte
	}
	defer rows.Close()
	var all []row
	size := 0
	for size < store.MaxItems && rows.Next() {
		var r row
		if err := rows.Scan(&r.seq, &r.superseded, &r.text); err != nil {
			return err
		}
		size += packed.Size(r.text)
		all = append(all, r)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(all) == 0 {
		return err
	}
	arrivals.Next, arrivals.More = s.position(all[len(all)-1].seq), len(all) == limit || size >= store.MaxItems
	whole, err := wholeOf(ctx, tx, f)
	if err != nil {
		return err
	}
	var items []*store.Item
	for _, r := range all {
		item, err := packed.DecodeItem(r.text)
		if err != nil {
			return err
		}
		item.Superseded = r.superseded
		if !f.Match(item, whole) {
			continue
		}
		items = append(items, item)
		arrivals.Events = append(arrivals.Events, store.Arrival{Item: item, Position: s.position(r.seq)})
	}
	return addSeen(ctx, tx, items)
}

// exists reports whether there are events with exactly that value.
func exists(ctx context.Context, tx *sql.Tx, kind, value string) (bool, error) {
	if value == "" {
		return false, nil
	}
	ids, err := lookUp(ctx, tx, kind, value)
	return len(ids) > 0, err
}

// wholeOf says for which values of a filter there are events with exactly that value.
func wholeOf(ctx context.Context, tx *sql.Tx, f *store.Filter) (whole store.Whole, err error) {
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
