package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// A row is an event as the database gets it.
type row struct {
	key
	event      *store.Event
	at         time.Time
	text       []byte // of the item
	item, raw  []byte // as the database gets them
	words      []int64
	uid        *string
	superseded bool
}

// commit stores events in one transaction. Only the writer calls it.
//
//  1. Without any lock, it looks up which of them are stored. Other replicas may do the same at the same time.
//  2. It locks the row of audit_meta. From here to the commit, one replica at a time goes on. So the order of seq is the
//     order of commits: a reader that has read up to a seq has read every event below it, also those to come.
//  3. It looks at what the others have stored since step 1, stores the rest, counts it, and tells the other replicas.
//
// A connection that breaks in the commit leaves open whether it happened. The senders get an error and send the same
// events again, and step 1 finds them.
func (s *Store) commit(events []*store.Event) (err error) {
	defer func() {
		if err != nil {
			// Another database may answer next, one that lacks what this one was told.
			s.terms, s.days = map[termKey]time.Time{}, map[time.Time]bool{}
			err = fmt.Errorf("storing events: %w", trouble(err))
		}
	}()
	rows, err := s.rowsOf(events)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), writePatience) // of the database: to pack 16 MiB may take seconds
	defer cancel()
	if err := s.ready(ctx); err != nil {
		return err
	}
	conn, err := s.write.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	stored := map[key]bool{}
	seq, cutoff, err := s.lookUpStored(ctx, conn, rows, stored)
	if err != nil {
		return err
	}
	if rows = withoutStored(rows, stored); len(rows) == 0 {
		return nil
	}
	s.ensureDays(ctx, conn, rows, cutoff)
	added := false
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) (err error) {
		added, err = s.insert(ctx, tx, rows, stored, seq)
		return err
	})
	if err == nil && added {
		s.wake()
	}
	return err
}

// rowsOf encodes events, each once, in the order of their time.
func (s *Store) rowsOf(events []*store.Event) ([]*row, error) {
	rows := make([]*row, 0, len(events))
	seen := map[key]*row{}
	for _, e := range events {
		if !slices.Contains(outcome.All, e.Item.Outcome) {
			return nil, fmt.Errorf("%w: the outcome %q is unknown", errEvent, e.Item.Outcome)
		}
		text, err := json.Marshal(e.Item)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errEvent, err)
		}
		r := &row{key: keyOf(e.Item.Source, e.Item.ID), event: e, at: e.Item.Time.UTC().Truncate(time.Microsecond), text: text}
		if first := seen[r.key]; first != nil {
			store.Compare(s.log.Warn, e.Item, first.text, text)
			continue
		}
		seen[r.key] = r
		r.words = wordsOf(e.Item)
		r.item, r.raw = s.packer.Pack(text, e.Raw)
		if e.Item.Mutation != "" {
			if uid := clean(store.PodUID(e.Raw)); uid != "" {
				r.uid = &uid
			}
		}
		rows = append(rows, r)
	}
	slices.SortStableFunc(rows, func(a, b *row) int { return a.at.Compare(b.at) })
	return rows, nil
}

// errEvent is about an event that can never be stored.
var errEvent = errors.New("the event cannot be stored")

// insert stores what is not stored yet. known is the seq up to which stored is complete.
func (s *Store) insert(ctx context.Context, tx pgx.Tx, rows []*row, stored map[key]bool, known int64) (added bool, err error) {
	var seq int64
	var epoch string
	if err := tx.QueryRow(ctx, "SELECT seq, epoch FROM audit_meta FOR UPDATE").Scan(&seq, &epoch); err != nil {
		return false, err
	}
	if seq != known {
		k, byKey := keysOf(rows)
		found, err := tx.Query(ctx, "SELECT id, source, item FROM audit_events WHERE seq > $1 AND id = ANY($2) AND at BETWEEN $3 AND $4", known, k.ids, k.least, k.most)
		if err != nil {
			return false, err
		}
		if err := s.note(found, byKey, stored); err != nil {
			return false, err
		}
		if rows = withoutStored(rows, stored); len(rows) == 0 {
			return false, nil
		}
	}
	batch := new(pgx.Batch)
	sums := store.NewSums()
	for _, r := range rows {
		calls := store.Indexed(r.event.Item.Endpoints)
		sums.Add(r.event.Item, func(i int) int64 { return hash(kindEndpoint, clean(calls[i].URL)) })
	}
	before, err := readSums(ctx, tx, sums)
	if err != nil {
		return false, err
	}
	queueEvents(batch, rows, stored, seq)
	s.queueTerms(batch, rows)
	queueSums(batch, sums, before)
	last := seq + int64(len(rows))
	batch.Queue("UPDATE audit_meta SET seq = $1", last)
	batch.Queue("SELECT pg_notify($1, $2)", channel(epoch), strconv.FormatInt(last, 10))
	return true, tx.SendBatch(ctx, batch).Close()
}

// queueEvents marks what is superseded, whichever came first, and stores rows in their order.
func queueEvents(batch *pgx.Batch, rows []*row, stored map[key]bool, seq int64) {
	here := map[key]*row{}
	for _, r := range rows {
		here[r.key] = r
	}
	var superseded keys
	for _, r := range rows {
		other, final := r.counterpart()
		switch {
		case !final:
			r.superseded = r.superseded || stored[other]
		case here[other] != nil:
			here[other].superseded = true
		case stored[other]:
			from, to := r.span()
			superseded.add(other, from, to)
		}
	}
	var c struct {
		at            []time.Time
		seq, id, src  []int64
		outcome, pod  []string
		superseded    []bool
		mutation      []*int64
		uid           []*string
		words         []string
		items, events [][]byte
	}
	for i, r := range rows {
		item := r.event.Item
		var mutation *int64
		if item.Mutation != "" {
			h := hash(kindID, item.Mutation)
			mutation = &h
		}
		c.at, c.seq, c.id, c.src = append(c.at, r.at), append(c.seq, seq+int64(i)+1), append(c.id, r.id), append(c.src, r.source)
		c.outcome, c.superseded, c.pod = append(c.outcome, item.Outcome), append(c.superseded, r.superseded), append(c.pod, clean(store.PodKey(item)))
		c.mutation, c.uid, c.words = append(c.mutation, mutation), append(c.uid, r.uid), append(c.words, arrayText(r.words))
		c.items, c.events = append(c.items, r.item), append(c.events, r.raw)
	}
	batch.Queue(`INSERT INTO audit_events (at, seq, id, source, outcome, superseded, pod, mutation, uid, words, item, event)
		SELECT at, seq, id, source, outcome, superseded, pod, mutation, uid, words::bigint[], item, event
		FROM unnest($1::timestamptz[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::boolean[], $7::text[], $8::bigint[], $9::text[], $10::text[], $11::bytea[], $12::bytea[])
			AS e(at, seq, id, source, outcome, superseded, pod, mutation, uid, words, item, event)`,
		c.at, c.seq, c.id, c.src, c.outcome, c.superseded, c.pod, c.mutation, c.uid, c.words, c.items, c.events)
	if len(superseded.ids) > 0 {
		// Only a mark: who may post events may forge a final verdict, and it must not hide what another one posted.
		batch.Queue(`UPDATE audit_events e SET superseded = true FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::timestamptz[]) k(id, source, least, most)
			WHERE e.id = k.id AND e.source = k.source AND NOT e.superseded AND e.at BETWEEN k.least AND k.most AND e.at BETWEEN $5 AND $6`,
			superseded.ids, superseded.sources, superseded.from, superseded.to, superseded.least, superseded.most)
	}
}

// arrayText spells an array for PostgreSQL. unnest would flatten an array of arrays.
func arrayText(words []int64) string {
	b := []byte{'{'}
	for i, w := range words {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, w, 10)
	}
	return string(append(b, '}'))
}
