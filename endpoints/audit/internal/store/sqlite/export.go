package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

// Export implements [store.Store].
func (s *Store) Export(ctx context.Context, after store.Position, limit int) (*store.Export, error) {
	export := new(store.Export)
	err := s.read(ctx, func(tx *sql.Tx) error {
		last, err := newest(ctx, tx)
		if err != nil {
			return err
		}
		seq := int64(0)
		if after != "" {
			if seq, err = after.Seq(s.epoch, last); err != nil {
				return err
			}
		}
		export.Next = s.position(seq)
		rows, err := tx.QueryContext(ctx, "SELECT e.seq, e.superseded, b.item, b.event FROM events e JOIN bodies b ON b.id = e.id WHERE e.seq > ? ORDER BY e.seq LIMIT ?", seq, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		size := 0
		for size < store.MaxRaw && rows.Next() {
			var r store.Record
			var text, event []byte
			if err := rows.Scan(&seq, &r.Superseded, &text, &event); err != nil {
				return err
			}
			item, err := packed.DecodeItem(text)
			if err != nil {
				return err
			}
			r.Position, r.Time = s.position(seq), item.Time
			if r.Event, err = packed.Event(text, event); err != nil {
				return err
			}
			size += len(r.Event)
			export.Records = append(export.Records, r)
		}
		export.Next, export.More = s.position(seq), len(export.Records) == limit || size >= store.MaxRaw
		return errors.Join(rows.Err(), rows.Close())
	})
	if err != nil {
		return nil, err
	}
	return export, nil
}
