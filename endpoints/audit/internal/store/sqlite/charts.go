package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// Charts implements [store.Store]. Without a filter it reads the sums, by the whole minutes or hours that From
// and To touch. With a filter it counts the newest events that fit.
func (s *Store) Charts(ctx context.Context, f store.Filter) (charts *store.Charts, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		if f.From.IsZero() {
			var key sql.NullInt64
			if err := tx.QueryRowContext(ctx, "SELECT min(id) FROM events WHERE id < ?", keyOf(f.To)).Scan(&key); err != nil {
				return err
			}
			oldest := time.Time{}
			if key.Valid {
				oldest = timeOf(key.Int64)
			}
			f.From = store.ChartsFrom(f.To, oldest)
		}
		tally, complete := store.NewTally(f.From, f.To), true
		if f.All() {
			err = tallySums(ctx, tx, &f, tally)
		} else {
			complete, err = tallyEvents(ctx, tx, &f, tally)
		}
		charts = tally.Charts(complete)
		return err
	})
	if err != nil {
		return nil, err
	}
	return charts, nil
}

func tallySums(ctx context.Context, tx *sql.Tx, f *store.Filter, tally *store.Tally) error {
	width, endpointWidth := f.Widths()
	from, to := store.BucketOf(f.From, width), f.To.Unix()
	rows, err := tx.QueryContext(ctx, "SELECT bucket, outcome, n FROM counts WHERE res = ? AND bucket >= ? AND bucket < ? AND n > 0", width, from, to)
	if err != nil {
		return err
	}
	err = each(rows, func(scan func(...any) error) error {
		var second, n int64
		var number int
		err := scan(&second, &number, &n)
		if name, ok := outcomeNames[number]; err == nil && ok {
			tally.Count(second, name, n)
		}
		return err
	})
	if err != nil {
		return err
	}
	rows, err = tx.QueryContext(ctx, "SELECT bucket, hist FROM latencies WHERE res = ? AND endpoint = 0 AND bucket >= ? AND bucket < ?", width, from, to)
	if err != nil {
		return err
	}
	err = each(rows, func(scan func(...any) error) error {
		var second int64
		var hist []byte
		err := scan(&second, &hist)
		if err == nil {
			tally.Calls(second).Add(hist)
		}
		return err
	})
	if err != nil {
		return err
	}

	// The endpoints that were seen last come first, so that not every endpoint of every tenant is read.
	rows, err = tx.QueryContext(ctx, `SELECT t.value, l.bucket, l.errors, l.hist
		FROM (SELECT id, value FROM terms WHERE kind = ? AND ns = 0 ORDER BY last DESC LIMIT ?) t
		JOIN latencies l ON l.res = ? AND l.endpoint = t.id AND l.bucket >= ? AND l.bucket < ?`,
		kindEndpoint, store.MaxEndpoints, endpointWidth, store.BucketOf(f.From, endpointWidth), to)
	if err != nil {
		return err
	}
	err = each(rows, func(scan func(...any) error) error {
		var url string
		var second, failed int64
		var hist []byte
		err := scan(&url, &second, &failed, &hist)
		if err == nil {
			tally.AddCalls(second, url, failed, hist)
		}
		return err
	})
	if err != nil {
		return err
	}
	var n int
	err = tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM terms WHERE kind = ? AND ns = 0 AND last >= ? LIMIT ?)",
		kindEndpoint, keyOf(f.EndpointsSince()), store.MaxEndpoints+1).Scan(&n)
	tally.MoreEndpoints = n > store.MaxEndpoints
	return err
}

// tallyEvents reports whether it counted all events that fit.
func tallyEvents(ctx context.Context, tx *sql.Tx, f *store.Filter, tally *store.Tally) (complete bool, err error) {
	find, err := resolve(ctx, tx, f)
	if err != nil || find.nothing {
		return true, err
	}
	type row struct {
		key        int64
		pod, calls string
		outcome    int
	}
	whole, err := wholeOf(ctx, tx, f)
	if err != nil {
		return false, err
	}
	urls := map[int64]string{} // by their terms
	before, n := find.to, 0
	for began := time.Now(); ; {
		rows, err := find.candidates(ctx, tx, before, scanned, ", e.pod, e.outcome, e.calls")
		if err != nil {
			return false, err
		}
		all, err := collect(rows, func(scan func(...any) error) (r row, err error) {
			err = scan(&r.key, &r.pod, &r.outcome, &r.calls)
			return r, err
		})
		if err != nil {
			return false, err
		}
		for _, r := range all {
			before = r.key
			if !find.fits(r.key, r.pod) {
				continue
			}
			n++
			second := timeOf(r.key).Unix()
			if name, ok := outcomeNames[r.outcome]; ok {
				tally.Count(second, name, 1)
			}
			for _, c := range parseCalls(r.calls) {
				url, ok := urls[c.endpoint]
				if !ok {
					if err := tx.QueryRowContext(ctx, "SELECT value FROM terms WHERE id = ?", c.endpoint).Scan(&url); err != nil && !errors.Is(err, sql.ErrNoRows) {
						return false, err
					}
					urls[c.endpoint] = url
				}
				if f.MatchCall(url, whole) {
					tally.Call(second, url, c.ms, c.failed)
				}
			}
		}
		if len(all) < scanned {
			return true, nil
		}
		if n >= store.MaxCounted || time.Since(began) > patience {
			return false, nil
		}
	}
}

// Values implements [store.Store].
func (s *Store) Values(ctx context.Context) (*store.Values, error) {
	values := new(store.Values)
	err := s.read(ctx, func(tx *sql.Tx) error {
		for kind, into := range map[string]*[]string{kindNamespace: &values.Namespaces, kindEndpoint: &values.Endpoints, kindUser: &values.Users} {
			rows, err := tx.QueryContext(ctx, "SELECT value FROM terms WHERE kind = ? AND ns = 0 ORDER BY last DESC LIMIT 200", kind)
			if err != nil {
				return err
			}
			if *into, err = collect(rows, single[string]); err != nil {
				return err
			}
			if *into == nil {
				*into = []string{}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}
