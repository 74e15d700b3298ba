package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// A partition holds one day, in UTC. An hour would make 720 partitions of the default retention, each of which every
// search by an id looks into. A week would keep events on the disk a week longer than they are shown, and its indexes
// would not stay in memory.
const (
	day = 24 * time.Hour
	// daysAhead is how many days after today have a partition already.
	daysAhead = 3
	// daysBack bounds the partitions that late events, or a sender that lies about the time, can make.
	daysBack = 400
	// lockPatience is how long the making or the dropping of a partition waits for readers, and others wait behind it.
	lockPatience = "2s"

	eventsTable = "audit_events"
	partPrefix  = eventsTable + "_"
	partLayout  = "20060102"
)

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(day) }

// A partition is one that exists.
type partition struct {
	name string
	day  time.Time
	rows int64 // about; -1: not known yet
}

// partitions returns the days' partitions, the newest first.
func partitions(ctx context.Context, tx pgx.Tx) ([]partition, error) {
	all, err := collect(ctx, tx, `SELECT c.relname, c.reltuples::bigint FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'audit_events'::regclass AND c.relname <> 'audit_events_default' ORDER BY c.relname DESC`, nil,
		func(row pgx.CollectableRow) (p partition, err error) {
			err = row.Scan(&p.name, &p.rows)
			return p, err
		})
	known := all[:0]
	for _, p := range all {
		if p.day, err = time.Parse(partLayout, strings.TrimPrefix(p.name, partPrefix)); err == nil {
			known = append(known, p)
		}
	}
	return known, err
}

// ahead makes the partitions of the next days. Where that fails, it is tried again: with the events of that day at the
// latest, which the default partition takes until then.
func (s *Store) ahead(ctx context.Context) {
	today := dayOf(time.Now())
	for n := range daysAhead + 1 {
		if err := makePartition(ctx, s.write, today.AddDate(0, 0, n)); err != nil {
			s.log.Warn("audit cannot make a partition ahead", "day", today.AddDate(0, 0, n).Format(time.DateOnly), "err", trouble(err))
			return
		}
	}
}

// ensureDays makes the partitions that are missing for some events. What has passed the retention needs none. It uses the
// connection of its caller: who holds one and waits for another waits for ever where the pool has no more.
func (s *Store) ensureDays(ctx context.Context, conn *pgxpool.Conn, rows []*row, cutoff time.Time) {
	today := dayOf(time.Now())
	for _, r := range rows {
		d := dayOf(r.at)
		if s.days[d] || d.Before(today.AddDate(0, 0, -daysBack)) || d.After(today.AddDate(0, 0, daysAhead)) || !d.Add(day).After(cutoff) {
			continue
		}
		if err := makePartition(ctx, conn, d); err != nil {
			s.log.Warn("audit cannot make a partition, so the default one takes the events", "day", d.Format(time.DateOnly), "err", trouble(err))
		}
		s.days[d] = true // one attempt a day and process
	}
}

// database is a connection, or a pool that takes one for each call.
type database interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
	Begin(ctx context.Context) (pgx.Tx, error)
}

// makePartition makes the partition of a day, unless it exists, and moves into it what the default one has of that day. It
// locks no more of the table of events than the default partition, and a transaction that holds that one does not wait for the one that makes the partition.
func makePartition(ctx context.Context, db database, d time.Time) error {
	name := partPrefix + d.Format(partLayout)
	from, to := d.Format(time.RFC3339), d.AddDate(0, 0, 1).Format(time.RFC3339)
	var exists bool
	if err := db.QueryRow(ctx, tableExists, name).Scan(&exists); err != nil || exists {
		return err
	}
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := lockSchema(ctx, tx); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, tableExists, name).Scan(&exists); err != nil || exists {
			return err
		}
		// The texts of most events are kept apart from the rest, and compressed, so that a walk along it reads little.
		_, err := tx.Exec(ctx, fmt.Sprintf(`SET LOCAL lock_timeout = '%[4]s';
			CREATE TABLE %[1]s (LIKE audit_events) WITH (toast_tuple_target = 1024);
			WITH moved AS (DELETE FROM audit_events_default WHERE at >= '%[2]s' AND at < '%[3]s' RETURNING *) INSERT INTO %[1]s SELECT * FROM moved;
			ALTER TABLE audit_events ATTACH PARTITION %[1]s FOR VALUES FROM ('%[2]s') TO ('%[3]s')`, name, from, to, lockPatience))
		return err
	})
}

// DeleteBefore implements [store.Store]. Nothing older is shown from now on. It leaves the disk with the last event of its
// day.
func (s *Store) DeleteBefore(ctx context.Context, t time.Time) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	s.ahead(ctx)
	if _, err := s.write.Exec(ctx, "UPDATE audit_meta SET cutoff = $1 WHERE cutoff < $1", t.Truncate(time.Microsecond)); err != nil {
		return trouble(err)
	}
	var all []partition
	err := pgx.BeginFunc(ctx, s.write, func(tx pgx.Tx) (err error) {
		all, err = partitions(ctx, tx)
		return err
	})
	if err != nil {
		return trouble(err)
	}
	for _, p := range all {
		if p.day.Add(day).After(t) {
			continue
		}
		err := pgx.BeginFunc(ctx, s.write, func(tx pgx.Tx) error {
			// Another replica may be dropping it.
			if err := lockSchema(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '"+lockPatience+"'; DROP TABLE IF EXISTS "+p.name)
			return err
		})
		if err != nil {
			return trouble(fmt.Errorf("dropping the partition %s: %w", p.name, err))
		}
	}
	batch := new(pgx.Batch)
	batch.Queue("DELETE FROM audit_events_default WHERE at < $1", t)
	batch.Queue("DELETE FROM audit_counts WHERE bucket < $1 - res", t.Unix())
	batch.Queue("DELETE FROM audit_latencies WHERE bucket < $1 - res AND bucket < $1", t.Unix()) // the second is for the index
	batch.Queue("DELETE FROM audit_terms WHERE last < $1", t.Add(-store.TermLag))
	return trouble(s.write.SendBatch(ctx, batch).Close())
}
