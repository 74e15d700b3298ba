package postgres

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

// List implements [store.Store].
func (s *Store) List(ctx context.Context, q store.Query) (page *store.Page, err error) {
	before, err := parseCursor(q.Cursor)
	if err != nil {
		return nil, err
	}
	err = s.reading(ctx, func(ctx context.Context, tx pgx.Tx, m meta) error {
		page = &store.Page{Items: []*store.Item{}, After: store.NewPosition(m.epoch, m.seq)}
		find, err := resolve(ctx, tx, m, &q.Filter)
		if err != nil {
			return err
		}
		column, most := "item", int64(store.MaxItems)
		if q.Raw {
			column, most = "event", store.MaxRaw
		}
		found, rest, more, err := find.hits(ctx, tx, before, q.Limit, "octet_length(e."+column+"), NULL::bytea")
		if err != nil {
			return err
		}
		// What is sent is bounded, and what it becomes.
		sent, size := int64(0), int64(0)
		for i, h := range found {
			if sent += h.size; i > 0 && sent > most {
				found, rest, more = found[:i], found[i-1].place, true
				break
			}
		}
		bodies, err := bodiesOf(ctx, tx, found, q.Raw)
		if err != nil {
			return err
		}
		for i, h := range found {
			b := bodies[h.place.utc()]
			if size += b.size(q.Raw); i > 0 && size > most {
				rest, more = found[i-1].place, true
				break
			}
			if err := b.addTo(page, q.Raw); err != nil {
				return err
			}
		}
		if more {
			page.Next, page.Since = formatCursor(rest), rest.at.UTC()
		}
		return addSeen(ctx, tx, m, page.Items)
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// A body is what is stored of an event, packed.
type body struct {
	item, event []byte
	superseded  bool
}

func (b *body) size(raw bool) int64 {
	if raw {
		return int64(packed.Size(b.event))
	}
	return int64(packed.Size(b.item))
}

func (b *body) addTo(page *store.Page, raw bool) error {
	if raw {
		text, err := packed.Event(b.item, b.event)
		page.Raw = append(page.Raw, text)
		return err
	}
	item, err := packed.DecodeItem(b.item)
	if err != nil {
		return err
	}
	item.Superseded = b.superseded
	page.Items = append(page.Items, item)
	return nil
}

// bodiesOf reads the items of the events at places, and the events themselves if raw asks for them.
func bodiesOf(ctx context.Context, tx pgx.Tx, found []hit, raw bool) (map[place]*body, error) {
	all := map[place]*body{}
	if len(found) == 0 {
		return all, nil
	}
	var ats []time.Time
	var seqs []int64
	for _, h := range found {
		ats, seqs = append(ats, h.at), append(seqs, h.seq)
	}
	event := "NULL"
	if raw {
		event = "e.event"
	}
	rows, err := tx.Query(ctx, "SELECT e.at, e.seq, e.superseded, e.item, "+event+` FROM unnest($1::timestamptz[], $2::bigint[]) k(at, seq)
		JOIN audit_events e ON e.at = k.at AND e.seq = k.seq WHERE e.at >= $3 AND e.at <= $4`, ats, seqs, ats[len(ats)-1], ats[0])
	if err != nil {
		return nil, err
	}
	var p place
	var b body
	_, err = pgx.ForEachRow(rows, []any{&p.at, &p.seq, &b.superseded, &b.item, &b.event}, func() error {
		all[p.utc()] = &body{b.item, b.event, b.superseded}
		return nil
	})
	return all, err
}

// A cursor is the last place of a page.
func formatCursor(p place) store.Cursor {
	return store.Cursor(base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d", p.at.UnixMicro(), p.seq)))
}

func parseCursor(c store.Cursor) (place, error) {
	if c == "" {
		return latest, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil {
		return place{}, store.ErrCursor
	}
	var micro, seq int64
	if n, err := fmt.Sscanf(string(b), "%d.%d", &micro, &seq); err != nil || n != 2 || micro < 0 || micro > latest.at.UnixMicro() || seq < 0 {
		return place{}, store.ErrCursor
	}
	return place{time.UnixMicro(micro), seq}, nil
}

// addSeen notes at mutated events under which names /validate saw their Pods.
func addSeen(ctx context.Context, tx pgx.Tx, m meta, items []*store.Item) error {
	validated, err := validationsOf(ctx, tx, m, items)
	if err != nil {
		return err
	}
	for _, item := range items {
		for _, v := range validated[item] {
			item.Seen = append(item.Seen, v.Item.Name)
		}
	}
	return nil
}

// validationsOf returns the validated events of the Pods that mutated ones are about, the newest [store.MaxValidations] bytes of
// them.
func validationsOf(ctx context.Context, tx pgx.Tx, m meta, items []*store.Item) (map[*store.Item][]store.Seen, error) {
	all := map[*store.Item][]store.Seen{}
	byStamp := map[int64][]*store.Item{}
	known := map[key]bool{}
	var stamps keys
	for _, item := range items {
		if item.Outcome != outcome.Mutated {
			continue
		}
		k := keyOf(item.Source, item.ID)
		if !known[k] {
			known[k] = true
			stamps.add(k, item.Time.Add(-near), item.Time.Add(near))
		}
		byStamp[k.id] = append(byStamp[k.id], item)
	}
	if len(stamps.ids) == 0 {
		return all, nil
	}
	// Those of other sources, who can write any stamp, must not take the places of an event's own.
	rows, err := tx.Query(ctx, `SELECT mutation, uid, item FROM (SELECT v.*, sum(octet_length(v.item)) OVER (ORDER BY v.at DESC, v.seq DESC) total
			FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::timestamptz[]) k(stamp, source, least, most)
			CROSS JOIN LATERAL (SELECT mutation, uid, item, at, seq FROM audit_events
				WHERE mutation = k.stamp AND source = k.source AND at BETWEEN k.least AND k.most AND at BETWEEN $5 AND $6
				ORDER BY at DESC, seq DESC LIMIT $7) v) newest
		WHERE total <= $8 ORDER BY at DESC, seq DESC`, stamps.ids, stamps.sources, stamps.from, stamps.to, later(m.cutoff, stamps.least), stamps.most, 4*store.MaxSeen, store.MaxValidations)
	if err != nil {
		return nil, err
	}
	var stamp int64
	var uid *string
	var b []byte
	left := store.MaxValidations
	_, err = pgx.ForEachRow(rows, []any{&stamp, &uid, &b}, func() error {
		if left -= packed.Size(b); left < 0 {
			return nil
		}
		validated, err := packed.DecodeItem(b)
		if err != nil {
			return err
		}
		seen := store.Seen{Item: validated}
		if uid != nil {
			seen.UID = *uid
		}
		for _, item := range byStamp[stamp] {
			if store.Joins(validated, item) && len(all[item]) < store.MaxSeen {
				all[item] = append(all[item], seen)
			}
		}
		return nil
	})
	return all, err
}
