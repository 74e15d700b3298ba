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

// Beginnings of names are words too, some lengths of each, for when more names begin so than one query can
// hold: beginnings of whole names and, fewer, of their other parts. They are hashed, so they only narrow the
// search down.
var wholeLengths, partLengths = []int{1, 2, 3, 4, 6, 8, 12, 16, 24}, []int{1, 2, 4, 8}

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
	for i, part := range store.NameParts(name) {
		kind, lengths := kindWhole, wholeLengths
		if i > 0 {
			kind, lengths = kindPart, partLengths
		}
		for _, n := range lengths {
			if n <= len(part) {
				words = append(words, beginningWord(kind, part[:n]))
			}
		}
	}
	return words
}

// beginningsOf returns the words of which an event has at least one if its Pod's name, or a part of it, begins
// with pod.
func beginningsOf(pod string) []string {
	longest := func(lengths []int) string {
		n := 0
		for _, l := range lengths {
			if l <= len(pod) {
				n = l
			}
		}
		return pod[:n]
	}
	return []string{beginningWord(kindWhole, longest(wholeLengths)), beginningWord(kindPart, longest(partLengths))}
}
