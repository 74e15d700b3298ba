package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/store"
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
		// The sum of sizes bounds what is sent, and not only what is read here.
		rows, err := tx.Query(ctx, `SELECT seq, superseded, at, item, event FROM (
				SELECT *, sum(octet_length(event)) OVER (ORDER BY seq) - octet_length(event) before FROM audit_events WHERE seq > $1 ORDER BY seq LIMIT $2) e
			WHERE before < $3 ORDER BY seq`, seq, limit, store.MaxRaw)
		if err != nil {
			return err
		}
		var superseded bool
		var at time.Time
		var text, event []byte
		n, size := 0, 0
		_, err = pgx.ForEachRow(rows, []any{&seq, &superseded, &at, &text, &event}, func() error {
			n, size = n+1, size+len(event)
			if at.Before(m.cutoff) {
				return nil
			}
			item, err := store.DecodeItem(text)
			if err != nil {
				return err
			}
			export.Records = append(export.Records, store.Record{Position: store.NewPosition(m.epoch, seq), Time: item.Time, Superseded: superseded, Event: event})
			return nil
		})
		export.Next, export.More = store.NewPosition(m.epoch, seq), n == limit || size >= store.MaxRaw
		return err
	})
	if err != nil {
		return nil, err
	}
	return export, nil
}
