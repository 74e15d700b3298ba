package sqlite

import (
	"fmt"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// deleteChunk is how many old events go in one transaction. Between two of them the writer stores what waits.
const deleteChunk = 500

// deleteBefore deletes what is older than a time, in chunks.
func (s *Store) deleteBefore(t time.Time) error {
	cutoff := keyOf(t)
	for {
		n, err := s.deleteOldest(cutoff, deleteChunk)
		if err != nil {
			return fmt.Errorf("deleting old events: %w", trouble(s.path, err, false))
		}
		if n == 0 {
			break
		}
		if !s.writes.Yield() {
			return nil // the next process goes on
		}
	}
	err := s.inTransaction(func(tx *transaction) error {
		for _, statement := range []string{
			"DELETE FROM counts WHERE bucket < ?1 - res",
			"DELETE FROM latencies WHERE bucket < ?1 - res",
		} {
			if err := tx.exec(statement, t.Unix()); err != nil {
				return err
			}
		}
		lapsed := keyOf(t.Add(-store.TermLag))
		if err := tx.exec("DELETE FROM words WHERE term IN (SELECT id FROM terms WHERE last < ?)", lapsed); err != nil {
			return err
		}
		return tx.exec("DELETE FROM terms WHERE last < ?", lapsed)
	})
	s.terms = map[termKey]termEntry{}
	if err != nil {
		return fmt.Errorf("deleting old sums: %w", trouble(s.path, err, false))
	}
	return nil
}

// deleteOldest deletes the oldest events below cutoff.
func (s *Store) deleteOldest(cutoff int64, most int) (deleted int, err error) {
	err = s.inTransaction(func(tx *transaction) error {
		statement, err := tx.statement("SELECT id FROM events WHERE id < ? ORDER BY id LIMIT ?")
		if err != nil {
			return err
		}
		rows, err := statement.Query(cutoff, most)
		if err != nil {
			return err
		}
		ids, err := collect(rows, single[int64])
		if err != nil {
			return err
		}
		for _, id := range ids {
			for _, table := range []string{"idx WHERE rowid", "bodies WHERE id", "events WHERE id"} {
				if err := tx.exec("DELETE FROM "+table+" = ?", id); err != nil {
					return err
				}
			}
		}
		deleted = len(ids)
		return nil
	})
	return deleted, err
}
