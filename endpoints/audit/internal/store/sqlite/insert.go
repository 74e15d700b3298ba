package sqlite

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

// insert stores one event, unless it is stored already.
func (s *Store) insert(tx *transaction, e *store.Event, sums *store.Sums) error {
	item := e.Item
	number, ok := outcomeNumbers[item.Outcome]
	if !ok {
		return fmt.Errorf("the outcome %q is unknown", item.Outcome)
	}
	source, err := s.term(tx, kindSource, 0, item.Source, keyOf(item.Time))
	if err != nil {
		return err
	}
	text, err := json.Marshal(item)
	if err != nil {
		return err
	}
	if first, found, err := tx.number("SELECT id FROM events WHERE eid = ? AND source = ?", item.ID, source); err != nil {
		return err
	} else if found {
		return s.compare(tx, first, item, text)
	}
	id, err := newKey(tx, keyOf(item.Time))
	if err != nil {
		return err
	}
	words, calls, err := s.wordsOf(tx, item, id)
	if err != nil {
		return err
	}

	superseded := 0
	if other, final := store.Counterpart(item.ID); final {
		// Only a mark: who may post events may forge a final verdict, and it must not hide what another one posted.
		if err := tx.exec("UPDATE events SET superseded = 1 WHERE eid = ? AND source = ?", other, source); err != nil {
			return err
		}
	} else if _, found, err := tx.number("SELECT id FROM events WHERE eid = ? AND source = ?", other, source); err != nil {
		return err
	} else if found {
		superseded = 1 // they came in the other order
	}

	s.seq++
	if err := tx.exec("INSERT INTO events VALUES (?,?,?,?,?,?,?,nullif(?,''),?)",
		id, s.seq, source, item.ID, number, superseded, store.PodKey(item), item.Mutation, formatCalls(calls)); err != nil {
		return err
	}
	packedItem, packedEvent := s.packer.Pack(text, e.Raw)
	if err := tx.exec("INSERT INTO bodies VALUES (?,?,?)", id, packedItem, packedEvent); err != nil {
		return err
	}
	sums.Add(item, func(i int) int64 { return calls[i].endpoint })
	return tx.exec("INSERT INTO idx (rowid, t) VALUES (?,?)", id, strings.Join(words, " "))
}

// compare compares an event with the stored one that has its id and source.
func (s *Store) compare(tx *transaction, first int64, item *store.Item, text []byte) error {
	var stored []byte
	if err := tx.scan("SELECT "+itemText("b")+" FROM bodies b WHERE id = ?", []any{first}, &stored); err != nil {
		return err
	}
	stored, err := packed.Item(stored)
	if err != nil {
		return err
	}
	store.Compare(s.log.Warn, item, stored, text)
	return nil
}

// wordsOf returns the words that the index knows an event by, and its calls with their endpoints' terms.
func (s *Store) wordsOf(tx *transaction, item *store.Item, id int64) ([]string, []call, error) {
	words := []string{outcomeWord(item.Outcome)}
	term := func(kind string, ns int64, value string) (int64, error) {
		t, err := s.term(tx, kind, ns, value, id)
		if word := termWord(t); err == nil && !slices.Contains(words, word) {
			words = append(words, word)
		}
		return t, err
	}
	ns, err := term(kindNamespace, 0, item.Namespace)
	if err != nil {
		return nil, nil, err
	}
	if _, err := term(kindUser, 0, item.User); err != nil {
		return nil, nil, err
	}
	if item.Name == "" { // a name is found by its pieces
		if _, err := term(kindGenerate, ns, store.GeneratedPrefix(item.GenerateName)); err != nil {
			return nil, nil, err
		}
	}
	words = append(words, pieceWords(store.Pieces(strings.TrimSuffix(store.PodKey(item), "*")))...)
	if item.Outcome == outcome.Mutated {
		words = append(words, mutatedWord(id))
	}
	var calls []call
	for _, c := range store.Indexed(item.Endpoints) {
		endpoint, err := term(kindEndpoint, 0, c.URL)
		if err != nil {
			return nil, nil, err
		}
		calls = append(calls, call{endpoint, c.DurationMS, c.Failed})
	}
	return words, calls, nil
}

// newKey returns a key that is free: the one wanted, or one shortly behind it.
func newKey(tx *transaction, want int64) (int64, error) {
	// Most microseconds have one event. Where a coarse clock fills one, what follows may be two seconds off in
	// the order, which is better than to look through one full microsecond after the other.
	for span := int64(keyStep); ; span = 1 << 29 {
		var last sql.NullInt64
		if err := tx.scan("SELECT max(id) FROM events WHERE id >= ? AND id < ?", []any{want, want + span}, &last); err != nil {
			return 0, err
		}
		if !last.Valid {
			return want, nil
		}
		if last.Int64+1 < want+span {
			return last.Int64 + 1, nil
		}
		if span > keyStep {
			want += span
		}
	}
}

type termKey struct {
	kind  string
	ns    int64
	value string
}

type termEntry struct{ id, last int64 }

// maxTerms bounds the terms that the writer remembers.
const maxTerms = 50_000

// term returns the number of a value, a new one if need be, and notes when the value was last seen.
func (s *Store) term(tx *transaction, kind string, ns int64, value string, key int64) (int64, error) {
	const lag = int64(store.TermLag/time.Microsecond) * keyStep
	k := termKey{kind, ns, value}
	if e, ok := s.terms[k]; ok && key < e.last+lag {
		return e.id, nil
	}
	var e termEntry
	err := tx.scan("SELECT id, last FROM terms WHERE kind = ? AND ns = ? AND value = ?", []any{kind, ns, value}, &e.id, &e.last)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		if err := tx.scan("INSERT INTO terms (kind, ns, value, last) VALUES (?,?,?,?) RETURNING id", []any{kind, ns, value, key}, &e.id); err != nil {
			return 0, err
		}
		e.last = key
		if kind == kindGenerate {
			for _, word := range store.NameParts(value) {
				if err := tx.exec("INSERT OR IGNORE INTO words VALUES (?,?)", word, e.id); err != nil {
					return 0, err
				}
			}
		}
	case err != nil:
		return 0, err
	case key >= e.last+lag:
		if err := tx.exec("UPDATE terms SET last = ? WHERE id = ?", key, e.id); err != nil {
			return 0, err
		}
		e.last = key
	}
	if len(s.terms) >= maxTerms {
		s.terms = map[termKey]termEntry{}
	}
	s.terms[k] = e
	return e.id, nil
}
