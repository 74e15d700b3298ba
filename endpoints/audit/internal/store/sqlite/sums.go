package sqlite

import (
	"database/sql"
	"errors"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// write adds sums to the database's.
func write(tx *transaction, sums *store.Sums) error {
	for k, n := range sums.Counts {
		if err := tx.exec("INSERT INTO counts VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET n = n + excluded.n", k.Width, k.Bucket, outcomeNumbers[k.Outcome], n); err != nil {
			return err
		}
	}
	for k, l := range sums.Latencies {
		var before int64
		var hist []byte
		err := tx.scan("SELECT errors, hist FROM latencies WHERE res = ? AND endpoint = ? AND bucket = ?", []any{k.Width, k.Endpoint, k.Bucket}, &before, &hist)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := tx.exec("INSERT OR REPLACE INTO latencies VALUES (?,?,?,?,?)", k.Width, k.Endpoint, k.Bucket, before+l.Errors, l.Onto(hist)); err != nil {
			return err
		}
	}
	return nil
}
