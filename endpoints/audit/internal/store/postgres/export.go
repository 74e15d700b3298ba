package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

// Export implements [store.Store].
func (s *Store) Export(ctx context.Context, after store.Position, limit int) (export *store.Export, err error) {
	err = s.reading(ctx, func(ctx context.Context, tx pgx.Tx, m meta) error {
		export = new(store.Export)
		seq := int64(0)
		if after != "" {
			if seq, err = after.Seq(m.epoch, m.seq); err != nil {
				return err
			}
		}
		// The sum of sizes bounds what is sent, and the loop what it becomes.
		rows, err := tx.Query(ctx, `SELECT seq, superseded, at, item, event FROM (
				SELECT *, sum(octet_length(event)) OVER (ORDER BY seq) - octet_length(event) before FROM audit_events WHERE seq > $1 ORDER BY seq LIMIT $2) e
			WHERE before < $3 ORDER BY seq`, seq, limit, store.MaxRaw)
		if err != nil {
			return err
		}
		var superseded bool
		var at time.Time
		var text, event []byte
		defer rows.Close()
		n, sent, size := 0, 0, 0
		for size < store.MaxRaw && rows.Next() {
			if err := rows.Scan(&seq, &superseded, &at, &text, &event); err != nil {
				return err
			}
			n, sent = n+1, sent+len(event)
			if at.Before(m.cutoff) {
				continue
			}
			item, err := packed.DecodeItem(text)
			if err != nil {
				return err
			}
			raw, err := packed.Event(text, event)
			if err != nil {
				return err
			}
			size += len(raw)
			export.Records = append(export.Records, store.Record{Position: store.NewPosition(m.epoch, seq), Time: item.Time, Superseded: superseded, Event: raw})
		}
		rows.Close()
		export.Next, export.More = store.NewPosition(m.epoch, seq), n == limit || sent >= store.MaxRaw || size >= store.MaxRaw
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return export, nil
}
