package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

const (
	// maxAlternatives bounds the values that one filter may stand for.
	maxAlternatives = 256
	// scanned is how many of the newest events a search looks at before it goes by the index: what is frequent is there.
	// It is also how many it compares at once where the index only narrows them down (search.pod).
	scanned = 2000
	// patience is how long a search goes on. The page is short then, and its cursor leads on from there.
	patience = 50 * time.Millisecond
	// maxJoined bounds the validated events by whose names a search finds the mutated ones.
	maxJoined = 64
	// maxSpanRows is how many events, about, are searched by the index at once: what it finds is sorted.
	maxSpanRows = 500_000
)

// A place is one in the order of lists. Its zero value is before all events.
type place struct {
	at  time.Time
	seq int64
}

// latest is behind all events. No filter may ask for a later time.
var latest = place{at: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)}

func (p place) less(q place) bool {
	return p.at.Before(q.at) || p.at.Equal(q.at) && p.seq < q.seq
}

// A search is a filter in terms of the database.
type search struct {
	groups   [][]int64 // an event has one word of each
	pieces   []int64   // an event has all of these, or one of others
	others   []int64
	nothing  bool   // a value that was asked for is nowhere in the database
	pod      string // to compare each event's Pod with: the index only narrows them down
	joined   map[place]bool
	from, to place // from is part of the range
}

// resolve looks a filter's values up.
func resolve(ctx context.Context, tx pgx.Tx, m meta, f *store.Filter) (*search, error) {
	s := &search{from: place{at: m.cutoff}, to: latest}
	if f.From.After(m.cutoff) {
		s.from.at = f.From.Truncate(time.Microsecond)
	}
	if !f.To.IsZero() {
		s.to.at = f.To.Truncate(time.Microsecond)
	}
	if len(f.Outcomes) > 0 {
		var words []int64
		for _, o := range f.Outcomes {
			words = append(words, hash(kindOutcome, o))
		}
		s.groups = append(s.groups, words)
	}
	for _, text := range []struct{ name, kind, value string }{{"namespace", kindNamespace, f.Namespace}, {"endpoint", kindEndpoint, f.Endpoint}, {"user", kindUser, f.User}} {
		if text.value == "" {
			continue
		}
		words, err := lookUpPart(ctx, tx, text.name, text.kind, text.value)
		if err != nil {
			return nil, err
		}
		s.nothing = s.nothing || len(words) == 0
		s.groups = append(s.groups, words)
	}
	if f.Pod != "" && !s.nothing {
		if err := s.addPod(ctx, tx, f.Pod); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// addPod narrows the search down to the Pods that pod may mean.
func (s *search) addPod(ctx context.Context, tx pgx.Tx, pod string) error {
	s.pieces = pieceWords(store.PiecesOf(pod))
	var words []int64
	// The mutations of the Pods that /validate has seen under such a name.
	validated := &search{groups: [][]int64{{hash(kindOutcome, outcome.Validated)}}, pieces: s.pieces, pod: pod, from: s.from, to: latest}
	var ids, sources []int64
	stamps := map[key][]*store.Item{}
	_, _, err := validated.each(ctx, tx, latest, maxJoined, "0, e.item", func(h hit) error {
		item, err := packed.DecodeItem(h.item)
		if err != nil || item.Mutation == "" {
			return err
		}
		item.Endpoints = nil // they may be large
		k := keyOf(item.Source, item.Mutation)
		if stamps[k] == nil {
			ids, sources = append(ids, k.id), append(sources, k.source)
		}
		stamps[k] = append(stamps[k], item)
		return nil
	})
	if err != nil {
		return err
	}
	// The generateNames that pod may have been made from.
	for _, prefix := range store.GeneratedFrom(pod) {
		words = append(words, hash(kindGenerate, prefix))
	}
	s.pod, s.joined = pod, map[place]bool{}
	if len(ids) > 0 {
		rows, err := tx.Query(ctx, `SELECT e.at, e.seq, e.id, e.source, e.item FROM unnest($1::bigint[], $2::bigint[]) k(id, source)
			JOIN audit_events e ON e.id = k.id AND e.source = k.source WHERE e.outcome = $3 LIMIT $4`, ids, sources, outcome.Mutated, scanned)
		if err != nil {
			return err
		}
		var p place
		var k key
		var text []byte
		if _, err := pgx.ForEachRow(rows, []any{&p.at, &p.seq, &k.id, &k.source, &text}, func() error {
			mutated, err := packed.DecodeItem(text)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(stamps[k], func(v *store.Item) bool { return store.Joins(v, mutated) }) {
				words = append(words, hash(kindMutated, mutated.Source, mutated.ID))
				s.joined[p.utc()] = true
			}
			return nil
		}); err != nil {
			return err
		}
	}
	s.others = words
	return nil
}

// utc makes places comparable.
func (p place) utc() place { return place{p.at.UTC(), p.seq} }

// A hit is an event that a search found.
type hit struct {
	place
	outcome string
	pod     string
	size    int64  // in bytes, of what was asked for
	item    []byte // if it was asked for
}

// hits returns the newest events below before that fit, newest first. If there may be more, they are below rest. columns
// are the size and the item of a hit, as SQL.
func (s *search) hits(ctx context.Context, tx pgx.Tx, before place, limit int, columns string) (found []hit, rest place, more bool, err error) {
	rest, more, err = s.each(ctx, tx, before, limit, columns, func(h hit) error {
		found = append(found, h)
		return nil
	})
	return found, rest, more, err
}

// each calls do for every event that hits would return. Items may be large, so no more than one of them is here at a time. do
// must not use tx.
func (s *search) each(ctx context.Context, tx pgx.Tx, before place, limit int, columns string, do func(hit) error) (rest place, more bool, err error) {
	if s.to.less(before) {
		before = s.to
	}
	if s.nothing || !s.from.less(before) {
		return place{}, false, nil
	}
	n := 0
	var last place
	take := func(h hit) (bool, error) {
		if s.pod != "" && !store.MatchPod(h.pod, s.pod) && !s.joined[h.place.utc()] {
			return true, nil
		}
		if n == limit {
			more = true
			return false, nil
		}
		n, last = n+1, h.place
		return true, do(h)
	}
	if len(s.groups) == 0 && s.pieces == nil {
		_, _, err = walk(ctx, tx, "SELECT e.at, e.seq, e.outcome, e.pod, "+columns+` FROM audit_events e
			WHERE e.at >= $1 AND e.at <= $2 AND (e.at, e.seq) < ($2, $3) ORDER BY e.at DESC, e.seq DESC LIMIT $4`,
			[]any{s.from.at, before.at, before.seq, limit + 1}, take)
		return last, more, err
	}
	began := time.Now()
	spans, err := s.spans(ctx, tx, before)
	if err != nil {
		return place{}, false, err
	}
	for i, sp := range spans {
		for done := false; !done; {
			most := limit - n + 1 // one more, to know whether there is more
			if s.pod != "" {
				most = scanned
			}
			looked, end, err := s.within(ctx, tx, sp, most, columns, take)
			if err != nil || more {
				return last, more, err
			}
			sp.hi = end
			if done = looked < most; done {
				sp.hi = sp.lo
			}
			if atEnd := done && i == len(spans)-1; !atEnd && time.Since(began) > patience {
				return sp.hi, true, nil
			}
		}
	}
	return place{}, false, nil
}

// walk calls take for the hits of a query, one by one, as long as it wants more. It returns how many it looked at, and the
// place of the last one.
func walk(ctx context.Context, tx pgx.Tx, query string, args []any, take func(hit) (more bool, err error)) (looked int, end place, err error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return 0, place{}, err
	}
	defer rows.Close()
	for rows.Next() {
		var h hit
		if err := rows.Scan(&h.at, &h.seq, &h.outcome, &h.pod, &h.size, &h.item); err != nil {
			return 0, place{}, err
		}
		looked, end = looked+1, h.place
		if more, err := take(h); err != nil || !more {
			return looked, end, err
		}
	}
	return looked, end, rows.Err()
}

// A span is a range of places. lo is part of it.
type span struct{ lo, hi place }

// spans cuts what is below before into ranges to search one by one, the newest first: the newest events, then the other
// ones by their partitions, of which small ones are taken together. So what is frequent is found soon, and what is rare or
// nowhere by one look into the index of each partition.
func (s *search) spans(ctx context.Context, tx pgx.Tx, before place) ([]span, error) {
	floor := place{}
	err := tx.QueryRow(ctx, `SELECT at, seq FROM audit_events WHERE at >= $1 AND at <= $2 AND (at, seq) < ($2, $3)
		ORDER BY at DESC, seq DESC OFFSET $4 LIMIT 1`, s.from.at, before.at, before.seq, scanned-1).Scan(&floor.at, &floor.seq)
	if errors.Is(err, pgx.ErrNoRows) {
		return []span{{s.from, before}}, nil
	} else if err != nil {
		return nil, err
	}
	all := []span{{floor, before}}
	parts, err := partitions(ctx, tx)
	if err != nil {
		return nil, err
	}
	hi, rows := floor, int64(0)
	cut := func(at time.Time) {
		if lo := (place{at: at}); lo.less(hi) && s.from.less(lo) {
			all = append(all, span{lo, hi})
			hi, rows = lo, 0
		}
	}
	for _, p := range parts {
		if p.rows < 0 || rows+p.rows > maxSpanRows {
			cut(p.day.Add(day))
		}
		if rows += p.rows; p.rows < 0 {
			rows = maxSpanRows
		}
	}
	return append(all, span{s.from, hi}), nil
}

// within walks along the newest events of a span that have the words. The planner must not walk along the span in the hope of
// finding enough soon: where values never meet, it would read all of it. So it finds all first (MATERIALIZED).
func (s *search) within(ctx context.Context, tx pgx.Tx, sp span, limit int, columns string, take func(hit) (more bool, err error)) (looked int, end place, err error) {
	args := []any{sp.lo.at, sp.lo.seq, sp.hi.at, sp.hi.seq, limit}
	var where strings.Builder
	for _, words := range s.groups {
		args = append(args, words)
		operator := "&&" // any of them
		if len(words) == 1 {
			operator = "@>" // for this one, PostgreSQL knows how frequent each word is
		}
		fmt.Fprintf(&where, " AND words %s $%d", operator, len(args))
	}
	if s.pieces != nil {
		args = append(args, s.pieces, s.others)
		fmt.Fprintf(&where, " AND (words @> $%d OR words && $%d)", len(args)-1, len(args))
	}
	return walk(ctx, tx, `WITH fitting AS MATERIALIZED (SELECT at, seq FROM audit_events
			WHERE at >= $1 AND at <= $3 AND (at, seq) >= ($1, $2) AND (at, seq) < ($3, $4)`+where.String()+`),
		newest AS MATERIALIZED (SELECT at, seq FROM fitting ORDER BY at DESC, seq DESC LIMIT $5)
		SELECT e.at, e.seq, e.outcome, e.pod, `+columns+` FROM newest n JOIN audit_events e ON e.at = n.at AND e.seq = n.seq
		WHERE e.at >= $1 AND e.at <= $3 ORDER BY e.at DESC, e.seq DESC`, args, take)
}
