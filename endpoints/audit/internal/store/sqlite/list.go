package sqlite

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

const (
	// scanned is how many events are looked at in one go where the index only narrows them down (search.pod).
	scanned = 2000
	// patience is how long that goes on. The page is short then, and its cursor leads on from there.
	patience = 50 * time.Millisecond
	// maxItem is more than an item can have. Databases of earlier releases have larger ones.
	maxItem = 512 << 10
)

// List implements [store.Store].
func (s *Store) List(ctx context.Context, q store.Query) (*store.Page, error) {
	before, err := parseCursor(q.Cursor)
	if err != nil {
		return nil, err
	}
	page := &store.Page{Items: []*store.Item{}}
	err = s.read(ctx, func(tx *sql.Tx) error {
		find, err := resolve(ctx, tx, &q.Filter)
		if err != nil {
			return err
		}
		seq, err := newest(ctx, tx)
		if err != nil {
			return err
		}
		page.After = s.position(seq)
		keys, next, err := find.keys(ctx, tx, before, q.Limit)
		if err != nil {
			return err
		}
		n := 0
		if q.Raw {
			page.Raw, err = rawOf(ctx, tx, keys)
			n = len(page.Raw)
		} else {
			page.Items, err = itemsOf(ctx, tx, keys)
			n = len(page.Items)
		}
		if n < len(keys) && n > 0 {
			next = keys[n-1]
		}
		if next != 0 {
			page.Next, page.Since = formatCursor(next), timeOf(next).UTC()
		}
		if err != nil || q.Raw {
			return err
		}
		return addSeen(ctx, tx, page.Items)
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// keys returns the newest events below before that fit, newest first, and from where to go on: 0 if there are
// no more.
func (s *search) keys(ctx context.Context, tx *sql.Tx, before int64, limit int) (keys []int64, next int64, err error) {
	if s.nothing {
		return nil, 0, nil
	}
	before = min(before, s.to)
	if s.pod == "" {
		// One more, to know whether there is more.
		rows, err := s.candidates(ctx, tx, before, limit+1, "")
		if err != nil {
			return nil, 0, err
		}
		keys, err = collect(rows, single[int64])
		if err == nil && len(keys) > limit {
			keys = keys[:limit]
			next = keys[limit-1]
		}
		return keys, next, err
	}
	type candidate struct {
		key int64
		pod string
	}
	// Most of what the index finds fits. So the first look is a short one.
	for start, n := time.Now(), min(2*limit, scanned); ; n = scanned {
		rows, err := s.candidates(ctx, tx, before, n, ", e.pod")
		if err != nil {
			return nil, 0, err
		}
		found, err := collect(rows, func(scan func(...any) error) (c candidate, err error) {
			err = scan(&c.key, &c.pod)
			return c, err
		})
		if err != nil {
			return nil, 0, err
		}
		for _, c := range found {
			if s.fits(c.key, c.pod) {
				if keys = append(keys, c.key); len(keys) == limit {
					return keys, c.key, nil
				}
			}
		}
		if len(found) < n {
			return keys, 0, nil
		}
		before = found[len(found)-1].key
		if time.Since(start) > patience {
			return keys, before, nil
		}
	}
}

// A cursor is the last key of a page.
func formatCursor(key int64) store.Cursor {
	return store.Cursor(base64.RawURLEncoding.EncodeToString(strconv.AppendInt(nil, key, 36)))
}

func parseCursor(c store.Cursor) (int64, error) {
	if c == "" {
		return 1<<63 - 1, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil {
		return 0, store.ErrCursor
	}
	key, err := strconv.ParseInt(string(b), 36, 64)
	if err != nil || key <= 0 {
		return 0, store.ErrCursor
	}
	return key, nil
}

// itemText is SQL for the item in a row of bodies. Of one that is too large it leaves out the calls: nothing else can be.
func itemText(bodies string) string {
	return fmt.Sprintf("CASE WHEN octet_length(%s.item) > %d THEN json_remove(%[1]s.item, '$.endpoints') ELSE %[1]s.item END", bodies, maxItem)
}

// itemsOf returns the items of the first keys, as many as fit on a page.
func itemsOf(ctx context.Context, tx *sql.Tx, keys []int64) ([]*store.Item, error) {
	items := make([]*store.Item, 0, len(keys))
	size := 0
	err := eachBody(ctx, tx, "SELECT "+itemText("b")+", NULL, superseded FROM events e JOIN bodies b ON b.id = e.id WHERE e.id = ?", keys, func(b, _ []byte, superseded bool) (more bool, err error) {
		if size += packed.Size(b); len(items) > 0 && size > store.MaxItems {
			return false, nil
		}
		item, err := packed.DecodeItem(b)
		if err != nil {
			return false, err
		}
		item.Superseded = superseded
		items = append(items, item)
		return true, nil
	})
	return items, err
}

// rawOf returns the events of the first keys as they came, as many as fit on a page.
func rawOf(ctx context.Context, tx *sql.Tx, keys []int64) ([]json.RawMessage, error) {
	all := make([]json.RawMessage, 0, len(keys))
	size := 0
	err := eachBody(ctx, tx, "SELECT item, event, 0 FROM bodies WHERE id = ?", keys, func(item, event []byte, _ bool) (more bool, err error) {
		if size += packed.Size(event); len(all) > 0 && size > store.MaxRaw {
			return false, nil
		}
		text, err := packed.Event(item, event)
		all = append(all, text)
		return true, err
	})
	return all, err
}

// eachBody calls do with what a query finds for each key, an item, an event and whether that is superseded, as long as do wants
// more.
func eachBody(ctx context.Context, tx *sql.Tx, query string, keys []int64, do func(item, event []byte, superseded bool) (more bool, err error)) error {
	statement, err := tx.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer statement.Close()
	for _, key := range keys {
		var item, event []byte
		var superseded bool
		if err := statement.QueryRowContext(ctx, key).Scan(&item, &event, &superseded); err != nil {
			return err
		}
		if more, err := do(item, event, superseded); err != nil || !more {
			return err
		}
	}
	return nil
}

// keyed is an item with its key.
type keyed struct {
	key  int64
	item *store.Item
}

func scanKeyed(scan func(...any) error) (k keyed, err error) {
	var text []byte
	if err = scan(&k.key, &text); err == nil {
		k.item, err = packed.DecodeItem(text)
	}
	return k, err
}

// addSeen notes at mutated events under which names /validate saw their Pods. Beyond store.MaxValidations it notes nothing more.
func addSeen(ctx context.Context, tx *sql.Tx, items []*store.Item) error {
	if !slices.ContainsFunc(items, func(i *store.Item) bool { return i.Outcome == outcome.Mutated }) {
		return nil
	}
	statement, err := tx.PrepareContext(ctx, selectValidations)
	if err != nil {
		return err
	}
	defer statement.Close()
	left := store.MaxValidations
	for _, item := range items {
		if item.Outcome != outcome.Mutated || left <= 0 {
			continue
		}
		validated, err := validationsOf(ctx, statement, item, &left)
		if err != nil {
			return err
		}
		for _, v := range validated {
			item.Seen = append(item.Seen, v.item.Name)
		}
	}
	return nil
}

// selectValidations finds the validated events with a stamp, of one source: those of others, who can write any stamp, must not take
// their places.
var selectValidations = "SELECT e.id, " + itemText("b") + " FROM events e JOIN bodies b ON b.id = e.id WHERE mutation = ? " +
	"AND e.source = (SELECT id FROM terms WHERE kind = '" + kindSource + "' AND ns = 0 AND value = ?) ORDER BY e.id DESC LIMIT ?"

// validationsOf returns the validated events of the Pod that a mutated one is about. It takes what it reads from left, in
// bytes.
func validationsOf(ctx context.Context, statement *sql.Stmt, mutated *store.Item, left *int) ([]keyed, error) {
	rows, err := statement.QueryContext(ctx, mutated.ID, mutated.Source, 4*store.MaxSeen)
	if err != nil {
		return nil, err
	}
	all, err := collect(rows, func(scan func(...any) error) (k keyed, err error) {
		var text []byte
		if err = scan(&k.key, &text); err == nil {
			*left -= packed.Size(text)
			k.item, err = packed.DecodeItem(text)
		}
		return k, err
	})
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(v keyed) bool { return !store.Joins(v.item, mutated) })
	return all[:min(len(all), store.MaxSeen)], nil
}
