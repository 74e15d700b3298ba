package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// A search is a filter in terms of the database: a query of the index, and what to compare besides.
type search struct {
	match    string // of the index; empty: no filter goes by it
	nothing  bool   // a value that was asked for is nowhere in the database
	pod      string // to compare each event's Pod with: so many names fit that the index only narrows them down
	from, to int64  // keys
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
	var ns int64
	if f.Namespace != "" {
		ids, err := lookUp(ctx, tx, kindNamespace, f.Namespace)
		if err != nil {
			return nil, err
		}
		if len(ids) > 0 {
			ns = ids[0]
		}
		oneOf(termWords(ids))
	}
	if len(f.Outcomes) > 0 {
		var words []string
		for _, o := range f.Outcomes {
			words = append(words, outcomeWord(o))
		}
		oneOf(words)
	}
	for _, text := range []struct{ name, kind, value string }{{"endpoint", kindEndpoint, f.Endpoint}, {"user", kindUser, f.User}} {
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
		words, exact, err := podWords(ctx, tx, f.Pod, ns)
		if err != nil {
			return nil, err
		}
		oneOf(words)
		if !exact {
			s.pod = f.Pod
		}
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

// podWords returns the index's words for the Pods that pod may mean, in one namespace if ns says so. exact is
// false if events of other Pods have one of the words, too.
func podWords(ctx context.Context, tx *sql.Tx, pod string, ns int64) (words []string, exact bool, err error) {
	scope, args := "words.ns >= ?", []any{int64(0)}
	if ns != 0 {
		scope, args = "words.ns = ?", []any{ns}
	}
	args = slices.Clip(args)
	// Names and generateNames that begin so.
	rows, err := tx.QueryContext(ctx, "SELECT DISTINCT term FROM words WHERE "+scope+" AND word >= ? AND word < ? LIMIT ?",
		append(args, pod, pod+"\U0010FFFF", maxAlternatives+1)...)
	if err != nil {
		return nil, false, err
	}
	begin, err := collect(rows, single[int64])
	if err != nil {
		return nil, false, err
	}
	if exact = len(begin) <= maxAlternatives; exact {
		words = termWords(begin)
	} else {
		words = beginningsOf(pod)
	}
	// The generateNames that pod may have been made from.
	for _, prefix := range store.GeneratedFrom(pod) {
		rows, err := tx.QueryContext(ctx, "SELECT DISTINCT term FROM words JOIN terms ON terms.id = term WHERE "+scope+" AND word = ? AND kind = ? LIMIT ?",
			append(args, prefix, kindGenerate, maxAlternatives)...)
		if err != nil {
			return nil, false, err
		}
		more, err := collect(rows, single[int64])
		if err != nil {
			return nil, false, err
		}
		words = append(words, termWords(more)...)
	}
	// The mutations of the Pods that /validate has seen under such a name.
	if exact && len(begin) > 0 {
		mutated, err := mutationsOf(ctx, tx, strings.Join(termWords(begin), " OR "))
		if err != nil {
			return nil, false, err
		}
		words = append(words, mutated...)
	}
	return words, exact, nil
}

// mutationsOf returns the words of the mutated events that the newest validated ones among match point to.
func mutationsOf(ctx context.Context, tx *sql.Tx, match string) ([]string, error) {
	rows, err := tx.QueryContext(ctx, `SELECT m.id, `+itemText("vb")+`, `+itemText("mb")+` FROM idx
		JOIN events v ON v.id = idx.rowid JOIN events m ON m.eid = v.mutation AND m.source = v.source
		JOIN bodies vb ON vb.id = v.id JOIN bodies mb ON mb.id = m.id
		WHERE idx MATCH ? ORDER BY idx.rowid DESC LIMIT 64`,
		"("+match+") AND "+outcomeWord(outcome.Validated))
	if err != nil {
		return nil, err
	}
	words, err := collect(rows, func(scan func(...any) error) (string, error) {
		var id int64
		var v, m []byte
		if err := scan(&id, &v, &m); err != nil {
			return "", err
		}
		validated, err := store.DecodeItem(v)
		if err != nil {
			return "", err
		}
		mutated, err := store.DecodeItem(m)
		if err != nil || !store.Joins(validated, mutated) {
			return "", err
		}
		return mutatedWord(id), nil
	})
	return slices.DeleteFunc(words, func(w string) bool { return w == "" }), err
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
