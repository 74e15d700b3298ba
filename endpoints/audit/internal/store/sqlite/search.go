package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

// A search is a filter in terms of the database: a query of the index, and what to compare besides.
type search struct {
	match    string         // of the index; empty: no filter goes by it
	nothing  bool           // a value that was asked for is nowhere in the database
	pod      string         // to compare each event's Pod with: the index only narrows them down
	joined   map[int64]bool // events that fit although their Pods had no name yet
	from, to int64          // keys
}

// maxAlternatives bounds the terms that one filter may stand for: each costs the index about 0.1 ms.
const maxAlternatives = 256

// resolve looks a filter's values up in the dictionary.
func resolve(ctx context.Context, tx *sql.Tx, f *store.Filter) (*search, error) {
	s := &search{to: 1<<63 - 1}
	if !f.From.IsZero() {
		s.from = keyOf(f.From)
	}
	if !f.To.IsZero() {
		s.to = keyOf(f.To)
	}
	var terms []string // of which an event has to have all
	oneOf := func(words []string) {
		switch len(words) {
		case 0:
			s.nothing = true
		case 1:
			terms = append(terms, words[0])
		default:
			terms = append(terms, "("+strings.Join(words, " OR ")+")")
		}
	}
	if len(f.Outcomes) > 0 {
		var words []string
		for _, o := range f.Outcomes {
			words = append(words, outcomeWord(o))
		}
		oneOf(words)
	}
	for _, text := range []struct{ name, kind, value string }{{"namespace", kindNamespace, f.Namespace}, {"endpoint", kindEndpoint, f.Endpoint}, {"user", kindUser, f.User}} {
		if text.value == "" {
			continue
		}
		ids, err := lookUpPart(ctx, tx, text.kind, text.value)
		if err != nil {
			return nil, err
		}
		if len(ids) > maxAlternatives {
			return nil, &store.TooManyError{Parameter: text.name, Value: text.value, Most: maxAlternatives}
		}
		oneOf(termWords(ids))
	}
	if f.Pod != "" && !s.nothing {
		words, joined, err := podWords(ctx, tx, f.Pod)
		if err != nil {
			return nil, err
		}
		oneOf(words)
		s.pod, s.joined = f.Pod, joined
	}
	s.match = strings.Join(terms, " AND ")
	return s, nil
}

// lookUp returns the term for a value, if there is one.
func lookUp(ctx context.Context, tx *sql.Tx, kind, value string) ([]int64, error) {
	rows, err := tx.QueryContext(ctx, "SELECT id FROM terms WHERE kind = ? AND ns = 0 AND value = ?", kind, value)
	if err != nil {
		return nil, err
	}
	return collect(rows, single[int64])
}

// lookUpPart returns the term for a value or, if there is none, the terms for those that contain it.
func lookUpPart(ctx context.Context, tx *sql.Tx, kind, value string) ([]int64, error) {
	if ids, err := lookUp(ctx, tx, kind, value); err != nil || len(ids) > 0 {
		return ids, err
	}
	// Not LIKE, whose wildcards would have to be escaped.
	rows, err := tx.QueryContext(ctx, "SELECT id FROM terms WHERE kind = ? AND ns = 0 AND instr(lower(value), lower(?)) > 0 LIMIT ?", kind, value, maxAlternatives+1)
	if err != nil {
		return nil, err
	}
	return collect(rows, single[int64])
}

// podWords returns the index's words for the Pods that pod may mean, and the keys of the mutated events that are found by the
// names under which /validate saw their Pods. Events of other Pods may have the words, too.
func podWords(ctx context.Context, tx *sql.Tx, pod string) (words []string, joined map[int64]bool, err error) {
	pieces := strings.Join(pieceWords(store.PiecesOf(pod)), " AND ")
	words = []string{"(" + pieces + ")"}
	// The generateNames that pod may have been made from.
	for _, prefix := range store.GeneratedFrom(pod) {
		rows, err := tx.QueryContext(ctx, "SELECT term FROM words WHERE word = ? LIMIT ?", prefix, maxAlternatives)
		if err != nil {
			return nil, nil, err
		}
		more, err := collect(rows, single[int64])
		if err != nil {
			return nil, nil, err
		}
		words = append(words, termWords(more)...)
	}
	joined = map[int64]bool{}
	keys, err := mutationsOf(ctx, tx, pieces, pod)
	for _, key := range keys {
		joined[key] = true
		words = append(words, mutatedWord(key))
	}
	return words, joined, err
}

// mutationsOf returns the keys of the mutated events that the newest validated ones among match point to, where those are of
// Pods that pod may mean.
func mutationsOf(ctx context.Context, tx *sql.Tx, match, pod string) ([]int64, error) {
	rows, err := tx.QueryContext(ctx, `SELECT m.id, `+itemText("vb")+`, `+itemText("mb")+` FROM idx
		JOIN events v ON v.id = idx.rowid JOIN events m ON m.eid = v.mutation AND m.source = v.source
		JOIN bodies vb ON vb.id = v.id JOIN bodies mb ON mb.id = m.id
		WHERE idx MATCH ? ORDER BY idx.rowid DESC LIMIT 64`,
		match+" AND "+outcomeWord(outcome.Validated))
	if err != nil {
		return nil, err
	}
	keys, err := collect(rows, func(scan func(...any) error) (key int64, err error) {
		var v, m []byte
		if err := scan(&key, &v, &m); err != nil {
			return 0, err
		}
		validated, err := packed.DecodeItem(v)
		if err != nil {
			return 0, err
		}
		mutated, err := packed.DecodeItem(m)
		if err != nil || !store.Joins(validated, mutated) || !store.MatchPod(store.PodKey(validated), pod) {
			return 0, err
		}
		return key, nil
	})
	return slices.DeleteFunc(keys, func(key int64) bool { return key == 0 }), err
}

// fits reports whether an event that the index found is of a Pod that was asked for.
func (s *search) fits(key int64, pod string) bool {
	return s.pod == "" || s.joined[key] || store.MatchPod(pod, s.pod)
}

// candidates are the newest events below before that fit as far as the index can tell.
func (s *search) candidates(ctx context.Context, tx *sql.Tx, before int64, limit int, columns string) (*sql.Rows, error) {
	if s.match == "" {
		return tx.QueryContext(ctx, "SELECT e.id"+columns+" FROM events e WHERE id < ? AND id >= ? ORDER BY id DESC LIMIT ?", before, s.from, limit)
	}
	from := "idx"
	if columns != "" {
		from = "idx JOIN events e ON e.id = idx.rowid"
	}
	return tx.QueryContext(ctx, "SELECT idx.rowid"+columns+" FROM "+from+" WHERE idx MATCH ? AND idx.rowid < ? AND idx.rowid >= ? ORDER BY idx.rowid DESC LIMIT ?", s.match, before, s.from, limit)
}
