package sqlite

import "github.com/txn2/amp/endpoints/audit/internal/store"

const (
	// shrinkChunk is how many events make room at once: each may be of megabytes.
	shrinkChunk = 16
	// sweepChunk is how many rows of a table go at once that no event needs any more, so that readers need not wait long.
	sweepChunk = 256
)

// shrink makes room in a database in memory. What only deleted events needed goes before the next event does: an event may
// have brought many values, and the sums of a month are larger than the bound.
func (s *Store) shrink() error {
	for {
		used, _, err := s.tx.number("SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size")
		if err != nil || used <= s.maxMemory {
			return err
		}
		n, err := s.sweep()
		if err == nil && n == 0 {
			n, err = s.deleteOldest(1<<62, shrinkChunk)
		}
		if err != nil || n == 0 {
			return err
		}
	}
}

// sweep looks at some of the sums and terms that no event may need any more, and deletes those that none needs. It returns how
// many it looked at. Its cost is bounded, and no row is looked at twice unless an event with it was deleted in between.
func (s *Store) sweep() (n int, err error) {
	err = s.inTransaction(func(tx *transaction) error {
		oldest, _, err := tx.number("SELECT coalesce(min(id), ?) FROM events", 1<<62)
		if err != nil {
			return err
		}
		if n, err = sweepSums(tx, oldest); err != nil || n > 0 {
			return err
		}
		n, err = s.sweepTerms(tx, oldest)
		return err
	})
	return n, err
}

// sweepSums deletes sums of the time before the oldest event.
func sweepSums(tx *transaction, oldest int64) (n int, err error) {
	for _, width := range []int64{store.Minute, store.Hour} {
		for _, statement := range []string{
			"DELETE FROM counts WHERE (res, bucket, outcome) IN (SELECT res, bucket, outcome FROM counts WHERE res = ? AND bucket < ? LIMIT ?)",
			"DELETE FROM latencies WHERE (res, endpoint, bucket) IN (SELECT res, endpoint, bucket FROM latencies WHERE res = ? AND bucket < ? LIMIT ?)",
		} {
			if err := tx.exec(statement, width, store.BucketOf(timeOf(oldest), width), sweepChunk); err != nil {
				return n, err
			}
			deleted, _, err := tx.number("SELECT changes()")
			if err != nil {
				return n, err
			}
			n += int(deleted)
		}
	}
	return n, nil
}

// sweepTerms looks at terms that were last seen before the oldest event, as far as they say. Those that an event has
// nevertheless say so from then on; the others go.
func (s *Store) sweepTerms(tx *transaction, oldest int64) (n int, err error) {
	statement, err := tx.statement("SELECT id, kind, ns, value FROM terms WHERE last < ? ORDER BY last LIMIT ?")
	if err != nil {
		return 0, err
	}
	rows, err := statement.Query(oldest, sweepChunk)
	if err != nil {
		return 0, err
	}
	type term struct {
		id int64
		termKey
	}
	terms, err := collect(rows, func(scan func(...any) error) (t term, err error) {
		err = scan(&t.id, &t.kind, &t.ns, &t.value)
		return t, err
	})
	if err != nil {
		return 0, err
	}
	for _, t := range terms {
		delete(s.terms, t.termKey) // it is deleted, or seen later than the writer remembers
		query, arg := "SELECT rowid FROM idx WHERE idx MATCH ? ORDER BY rowid DESC LIMIT 1", any(termWord(t.id))
		if t.kind == kindSource { // the index does not have them
			query, arg = "SELECT id FROM events WHERE source = ? ORDER BY id DESC LIMIT 1", t.id
		}
		last, found, err := tx.number(query, arg)
		if err != nil {
			return 0, err
		}
		if found {
			if err := tx.exec("UPDATE terms SET last = ? WHERE id = ?", last, t.id); err != nil {
				return 0, err
			}
			continue
		}
		if err := tx.exec("DELETE FROM latencies WHERE res IN (?,?) AND endpoint = ?", store.Minute, store.Hour, t.id); err != nil {
			return 0, err
		}
		if err := tx.exec("DELETE FROM words WHERE term = ?", t.id); err != nil {
			return 0, err
		}
		if err := tx.exec("DELETE FROM terms WHERE id = ?", t.id); err != nil {
			return 0, err
		}
	}
	return len(terms), nil
}
