package sqlite

import (
	"hash/fnv"
	"io"
	"strconv"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// The words of the index. Values of events are never among them, so they need no escaping.

func termWord(term int64) string     { return "t" + strconv.FormatInt(term, 10) }
func outcomeWord(name string) string { return "o" + strconv.Itoa(outcomeNumbers[name]) }
func mutatedWord(id int64) string    { return "m" + strconv.FormatInt(id, 10) }
func termWords(ids []int64) (w []string) {
	for _, id := range ids {
		w = append(w, termWord(id))
	}
	return w
}

// Beginnings of names are words too, for when more names begin so than one query can hold. They are hashed, so they only
// narrow the search down.
const (
	kindWhole = "x"
	kindPart  = "y"
)

func beginningWord(kind, beginning string) string {
	h := fnv.New64a()
	_, _ = io.WriteString(h, beginning)
	return kind + strconv.FormatUint(h.Sum64(), 36)
}

// beginnings returns the words of a Pod's name.
func beginnings(name string) []string {
	var words []string
	whole, parts := store.Beginnings(name)
	for _, beginning := range whole {
		words = append(words, beginningWord(kindWhole, beginning))
	}
	for _, beginning := range parts {
		words = append(words, beginningWord(kindPart, beginning))
	}
	return words
}

// beginningsOf returns the words of which an event has at least one if its Pod's name, or a part of it, begins
// with pod.
func beginningsOf(pod string) []string {
	whole, part := store.LongestBeginnings(pod)
	return []string{beginningWord(kindWhole, whole), beginningWord(kindPart, part)}
}
