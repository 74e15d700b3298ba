package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

// Charts implements [store.Store]. Without a filter it reads the sums, by the whole minutes or hours that From
// and To touch. With a filter it counts the newest events that fit.
func (s *Store) Charts(ctx context.Context, f store.Filter) (charts *store.Charts, err error) {
	err = s.reading(ctx, func(ctx context.Context, tx pgx.Tx, m meta) error {
		f := f
		if f.From.IsZero() {
			var oldest *time.Time
			if err := tx.QueryRow(ctx, "SELECT min(at) FROM audit_events WHERE at >= $1 AND at < $2", m.cutoff, f.To).Scan(&oldest); err != nil {
				return err
			}
			if oldest == nil {
				oldest = new(time.Time)
			}
			f.From = store.ChartsFrom(f.To, *oldest)
		}
		tally, complete := store.NewTally(f.From, f.To), true
		if f.All() {
			err = tallySums(ctx, tx, &f, tally)
		} else {
			complete, err = tallyEvents(ctx, tx, m, &f, tally)
		}
		charts = tally.Charts(complete)
		return err
	})
	if err != nil {
		return nil, err
	}
	return charts, nil
}

func tallySums(ctx context.Context, tx pgx.Tx, f *store.Filter, tally *store.Tally) error {
	width, endpointWidth := f.Widths()
	from, to := store.BucketOf(f.From, width), f.To.Unix()
	var second, n int64
	var name string
	rows, err := tx.Query(ctx, "SELECT bucket, outcome, n FROM audit_counts WHERE res = $1 AND bucket >= $2 AND bucket < $3", width, from, to)
	if err != nil {
		return err
	}
	if _, err := pgx.ForEachRow(rows, []any{&second, &name, &n}, func() error {
		tally.Count(second, name, n)
		return nil
	}); err != nil {
		return err
	}
	var hist []byte
	rows, err = tx.Query(ctx, "SELECT bucket, hist FROM audit_latencies WHERE res = $1 AND endpoint = 0 AND bucket >= $2 AND bucket < $3", width, from, to)
	if err != nil {
		return err
	}
	if _, err := pgx.ForEachRow(rows, []any{&second, &hist}, func() error {
		tally.Calls(second).Add(hist)
		return nil
	}); err != nil {
		return err
	}

	// The endpoints that were seen last come first, so that not every endpoint of every tenant is read.
	rows, err = tx.Query(ctx, `SELECT t.value, l.bucket, l.errors, l.hist FROM (SELECT hash, value, last FROM audit_terms WHERE kind = $1 ORDER BY last DESC LIMIT $2) t
		JOIN audit_latencies l ON l.res = $3 AND l.endpoint = t.hash AND l.bucket >= $4 AND l.bucket < $5 ORDER BY t.last DESC, t.hash`,
		kindEndpoint, store.MaxEndpoints, endpointWidth, store.BucketOf(f.From, endpointWidth), to)
	if err != nil {
		return err
	}
	if _, err := pgx.ForEachRow(rows, []any{&name, &second, &n, &hist}, func() error {
		tally.AddCalls(second, name, n, hist)
		return nil
	}); err != nil {
		return err
	}
	return tx.QueryRow(ctx, "SELECT count(*) > $1 FROM (SELECT FROM audit_terms WHERE kind = $2 AND last >= $3 LIMIT $1 + 1) t",
		store.MaxEndpoints, kindEndpoint, f.EndpointsSince()).Scan(&tally.MoreEndpoints)
}

// tallyEvents reports whether it counted all events that fit.
func tallyEvents(ctx context.Context, tx pgx.Tx, m meta, f *store.Filter, tally *store.Tally) (complete bool, err error) {
	find, err := resolve(ctx, tx, m, f)
	if err != nil {
		return false, err
	}
	whole, err := wholeOf(ctx, tx, f)
	if err != nil {
		return false, err
	}
	n := 0
	for before, began := latest, time.Now(); ; {
		rest, more, err := find.each(ctx, tx, before, scanned, "0, e.item", func(h hit) error {
			text, err := packed.Item(h.item)
			if err != nil {
				return err
			}
			var item struct{ Endpoints []store.Call }
			if err := json.Unmarshal(text, &item); err != nil {
				return err
			}
			n++
			second := h.at.Unix()
			tally.Count(second, h.outcome, 1)
			for _, c := range store.Indexed(item.Endpoints) {
				if f.MatchCall(c.URL, whole) {
					tally.Call(second, c.URL, c.DurationMS, c.Failed)
				}
			}
			return nil
		})
		if err != nil {
			return false, err
		}
		if !more {
			return true, nil
		}
		if n >= store.MaxCounted || time.Since(began) > patience {
			return false, nil
		}
		before = rest
	}
}
