package audit

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/txn2/amp/endpoints/events"
)

const (
	defaultLimit = 50
	maxLimit     = 200
	// scanned is how many events are looked at in one go where the index only narrows them down (wanted.pod),
	// patience how long that goes on. A page is short then, and its cursor leads on from there.
	scanned  = 2000
	patience = 50 * time.Millisecond
)

// list answers GET api/events.
//
//	{"items": [Item, …], "next": "cursor", "after": "position in the stream"}
//
// next is absent on the last page. A page may be short, even empty, while there is a next one.
func (s *Server) list(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f, err := parseFilter(q, s.now(), "limit", "cursor", "format")
	if err != nil {
		return err
	}
	format := q.Get("format")
	switch format {
	case "", "json", "ndjson":
	default:
		return bad("parameter format: %.20q is none: want json or ndjson", format)
	}
	before, err := parseCursor(q.Get("cursor"))
	if err != nil {
		return err
	}
	ndjson := format == "ndjson" || format == "" && strings.Contains(r.Header.Get("Accept"), "application/x-ndjson")
	limit := defaultLimit
	if v := q.Get("limit"); v != "" {
		most := maxLimit
		if ndjson {
			most = 1 << 31
		}
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > most {
			return bad("parameter limit: %.20q is none: want a number from 1 to %d", v, most)
		}
	} else if ndjson {
		limit = 1 << 31
	}
	if ndjson {
		return s.export(w, r, f, before, limit)
	}

	page := struct {
		Items []*Item `json:"items"`
		Next  string  `json:"next,omitempty"`
		After string  `json:"after"`
	}{Items: []*Item{}}
	err = s.store.read(r.Context(), func(tx *sql.Tx) error {
		want, err := f.resolve(r.Context(), tx)
		if err != nil {
			return err
		}
		var seq int64
		if err := tx.QueryRowContext(r.Context(), "SELECT v FROM meta WHERE k = 'seq'").Scan(&seq); err != nil {
			return err
		}
		page.After = s.store.position(seq)
		keys, next, err := want.keys(r.Context(), tx, before, limit)
		if err != nil {
			return err
		}
		if next != 0 {
			page.Next = formatCursor(next)
		}
		if page.Items, err = itemsOf(r.Context(), tx, keys); err != nil {
			return err
		}
		return addSeen(r.Context(), tx, page.Items)
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

// export streams the events themselves, each a CloudEvent in JSON on a line of its own, as they can be
// posted again.
func (s *Server) export(w http.ResponseWriter, r *http.Request, f filter, before int64, limit int) error {
	control := http.NewResponseController(w)
	started := false
	for limit > 0 {
		var bodies []string
		var next int64
		// Page by page: one long read would keep the WAL from being reset.
		err := s.store.read(r.Context(), func(tx *sql.Tx) error {
			want, err := f.resolve(r.Context(), tx)
			if err != nil {
				return err
			}
			var keys []int64
			if keys, next, err = want.keys(r.Context(), tx, before, min(limit, maxLimit)); err != nil {
				return err
			}
			for _, key := range keys {
				var body string
				if err := tx.QueryRowContext(r.Context(), "SELECT event FROM bodies WHERE id = ?", key).Scan(&body); err != nil {
					return err
				}
				bodies = append(bodies, body)
			}
			return nil
		})
		if err != nil && started {
			panic(http.ErrAbortHandler) // so that half an export does not look like a whole one
		} else if err != nil {
			return err
		}
		if !started {
			started = true
			w.Header().Set("Content-Type", "application/x-ndjson")
			w.Header().Set("Content-Disposition", `attachment; filename="amp-events.ndjson"`)
			w.WriteHeader(http.StatusOK)
		}
		// Whoever reads slowly may, but not for ever.
		_ = control.SetWriteDeadline(time.Now().Add(time.Minute))
		for _, body := range bodies {
			if _, err := w.Write(append([]byte(body), '\n')); err != nil {
				return nil
			}
		}
		_ = control.Flush()
		limit -= len(bodies)
		if next == 0 {
			break
		}
		before = next
	}
	return nil
}

// keys returns the newest events below before that are wanted, newest first, and from where to go on: 0 if
// there are no more.
func (w *wanted) keys(ctx context.Context, tx *sql.Tx, before int64, limit int) (keys []int64, next int64, err error) {
	if w.nothing {
		return nil, 0, nil
	}
	before = min(before, w.to)
	if w.pod == "" {
		// One more, to know whether there is more.
		rows, err := w.candidates(ctx, tx, before, limit+1, "")
		if err != nil {
			return nil, 0, err
		}
		keys, err = collect(rows, func(scan func(...any) error) (key int64, err error) { return key, scan(&key) })
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
	for start := time.Now(); ; {
		rows, err := w.candidates(ctx, tx, before, scanned, ", e.pod")
		if err != nil {
			return nil, 0, err
		}
		found, err := collect(rows, func(scan func(...any) error) (c candidate, err error) { return c, scan(&c.key, &c.pod) })
		if err != nil {
			return nil, 0, err
		}
		for _, c := range found {
			if podFits(c.pod, w.pod) {
				if keys = append(keys, c.key); len(keys) == limit {
					return keys, c.key, nil
				}
			}
		}
		if len(found) < scanned {
			return keys, 0, nil
		}
		before = found[len(found)-1].key
		if time.Since(start) > patience {
			return keys, before, nil
		}
	}
}

// candidates are the newest events below before that fit as far as the index can tell.
func (w *wanted) candidates(ctx context.Context, tx *sql.Tx, before int64, limit int, columns string) (*sql.Rows, error) {
	if w.match == "" {
		return tx.QueryContext(ctx, "SELECT e.id"+columns+" FROM events e WHERE id < ? AND id >= ? AND superseded = 0 ORDER BY id DESC LIMIT ?", before, w.from, limit)
	}
	from := "idx"
	if columns != "" {
		from = "idx JOIN events e ON e.id = idx.rowid"
	}
	return tx.QueryContext(ctx, "SELECT idx.rowid"+columns+" FROM "+from+" WHERE idx MATCH ? AND idx.rowid < ? AND idx.rowid >= ? ORDER BY idx.rowid DESC LIMIT ?", w.match, before, w.from, limit)
}

func itemsOf(ctx context.Context, tx *sql.Tx, keys []int64) ([]*Item, error) {
	items := make([]*Item, 0, len(keys))
	for _, key := range keys {
		var text []byte
		if err := tx.QueryRowContext(ctx, "SELECT item FROM bodies WHERE id = ?", key).Scan(&text); err != nil {
			return nil, err
		}
		item := new(Item)
		if err := json.Unmarshal(text, item); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func decodeItems(a, b []byte) (*Item, *Item, error) {
	x, y := new(Item), new(Item)
	if err := json.Unmarshal(a, x); err != nil {
		return nil, nil, err
	}
	return x, y, json.Unmarshal(b, y)
}

// maxSeen bounds the names that one mutation is shown with. More than one is somebody's forgery already.
const maxSeen = 5

// addSeen notes at mutated events under which names /validate saw their Pods.
func addSeen(ctx context.Context, tx *sql.Tx, items []*Item) error {
	for _, item := range items {
		if item.Outcome != outcomeOf[events.Mutated] {
			continue
		}
		validated, err := validationsOf(ctx, tx, item)
		if err != nil {
			return err
		}
		for _, v := range validated {
			item.Seen = append(item.Seen, v.item.Name)
		}
	}
	return nil
}

// keyed is an item with its key.
type keyed struct {
	key  int64
	item *Item
}

// validationsOf returns the validated events of the Pod that a mutated one is about.
func validationsOf(ctx context.Context, tx *sql.Tx, mutated *Item) ([]keyed, error) {
	rows, err := tx.QueryContext(ctx, "SELECT e.id, b.item FROM events e JOIN bodies b ON b.id = e.id WHERE mutation = ? AND superseded = 0 ORDER BY e.id DESC LIMIT ?", mutated.ID, 4*maxSeen)
	if err != nil {
		return nil, err
	}
	all, err := collect(rows, func(scan func(...any) error) (v keyed, err error) {
		var text []byte
		if err = scan(&v.key, &text); err == nil {
			err = json.Unmarshal(text, &v.item)
		}
		return v, err
	})
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(v keyed) bool { return !joins(v.item, mutated) })
	return all[:min(len(all), maxSeen)], nil
}

// A cursor is the last key of a page. It is opaque so that it may become something else.
func formatCursor(key int64) string {
	return base64.RawURLEncoding.EncodeToString(strconv.AppendInt(nil, key, 36))
}

func parseCursor(v string) (int64, error) {
	if v == "" {
		return 1<<63 - 1, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(v)
	if err == nil {
		var key int64
		if key, err = strconv.ParseInt(string(b), 36, 64); err == nil && key > 0 {
			return key, nil
		}
	}
	return 0, bad("parameter cursor: want the next of an earlier page, as it was")
}

// values answers GET api/values with what there is to filter by, those seen last first, and whether there is
// a login to end.
func (s *Server) values(w http.ResponseWriter, r *http.Request) error {
	_, err := r.Cookie(cookieName)
	answer := map[string]any{"outcomes": outcomes, "session": s.config.ReadTokenFile != "" && err == nil}
	err = s.store.read(r.Context(), func(tx *sql.Tx) error {
		for name, kind := range map[string]string{"namespaces": kindNamespace, "endpoints": kindEndpoint, "users": kindUser} {
			rows, err := tx.QueryContext(r.Context(), "SELECT value FROM (SELECT value, last FROM terms WHERE kind = ? AND ns = 0 LIMIT 1000) ORDER BY last DESC LIMIT 200", kind)
			if err != nil {
				return err
			}
			values, err := collect(rows, func(scan func(...any) error) (v string, err error) { return v, scan(&v) })
			if err != nil {
				return err
			}
			if values == nil {
				values = []string{}
			}
			answer[name] = values
		}
		return nil
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}
