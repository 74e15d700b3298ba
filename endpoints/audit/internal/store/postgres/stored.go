package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

// key identifies an event: hashes of its id and its source.
type key struct{ id, source int64 }

func keyOf(source, id string) key { return key{hash(kindID, id), hash(kindSource, source)} }

// counterpart returns the key of the event that a final one supersedes, or of the final one that supersedes this one.
func (r *row) counterpart() (k key, final bool) {
	other, final := store.Counterpart(r.event.Item.ID)
	return keyOf(r.event.Item.Source, other), final
}

// near is how far apart the times may be of two events that are the same or belong together: an event and its final verdict,
// or a mutation and its validation. Who sends an event again sends it with its time. To look in every partition would take
// longer with every day that is kept.
const near = day

// endOfTime is after every event.
var endOfTime = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// span returns from when to when an event is looked for. What has no time of its own may come again at any time.
func (r *row) span() (from, to time.Time) {
	if r.event.Undated {
		return time.Time{}, endOfTime
	}
	return r.at.Add(-near), r.at.Add(near)
}

// keys are events to look for, and where.
type keys struct {
	ids, sources []int64
	from, to     []time.Time
	least, most  time.Time // of all of them
}

// add adds a key, and from when to when its event is looked for.
func (k *keys) add(of key, from, to time.Time) {
	if len(k.ids) == 0 || from.Before(k.least) {
		k.least = from
	}
	if to.After(k.most) {
		k.most = to
	}
	k.ids, k.sources, k.from, k.to = append(k.ids, of.id), append(k.sources, of.source), append(k.from, from), append(k.to, to)
}

// keysOf returns the keys of rows and of their counterparts, and the rows by their keys.
func keysOf(rows []*row) (k keys, byKey map[key]*row) {
	byKey = map[key]*row{}
	for _, r := range rows {
		byKey[r.key] = r
		other, _ := r.counterpart()
		from, to := r.span()
		k.add(r.key, from, to)
		k.add(other, from, to)
	}
	return k, byKey
}

// lookUpStored finds out which events, and which counterparts of theirs, are stored, and from which seq on it does not
// know.
func (s *Store) lookUpStored(ctx context.Context, conn *pgxpool.Conn, rows []*row, stored map[key]bool) (seq int64, cutoff time.Time, err error) {
	k, byKey := keysOf(rows)
	// First the seq, so that nothing falls between the two.
	if err := conn.QueryRow(ctx, "SELECT seq, cutoff FROM audit_meta").Scan(&seq, &cutoff); err != nil {
		return 0, time.Time{}, err
	}
	// The times of all of them leave out partitions when the query begins, and each one's when it is looked up.
	found, err := conn.Query(ctx, `SELECT e.id, e.source, e.item FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::timestamptz[]) k(id, source, least, most)
		CROSS JOIN LATERAL (SELECT * FROM audit_events
			WHERE id = k.id AND source = k.source AND at BETWEEN k.least AND k.most AND at BETWEEN $5 AND $6 LIMIT 1) e`,
		k.ids, k.sources, k.from, k.to, k.least, k.most)
	if err != nil {
		return 0, time.Time{}, err
	}
	return seq, cutoff, s.note(found, byKey, stored)
}

func (s *Store) note(found pgx.Rows, byKey map[key]*row, stored map[key]bool) error {
	var k key
	var item []byte
	_, err := pgx.ForEachRow(found, []any{&k.id, &k.source, &item}, func() error {
		stored[k] = true
		if r := byKey[k]; r != nil {
			text, err := packed.Item(item)
			if err != nil {
				return err
			}
			store.Compare(s.log.Warn, r.event.Item, text, r.text)
		}
		return nil
	})
	return err
}

func withoutStored(rows []*row, stored map[key]bool) []*row {
	return slices.DeleteFunc(rows, func(r *row) bool { return stored[r.key] })
}
