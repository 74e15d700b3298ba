package sqlite

import (
	"hash/fnv"
	"io"
	"strconv"
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

// Pieces of names are words too (store.Pieces). They are hashed, so they only narrow the search down.
func pieceWords(pieces []string) (words []string) {
	for _, piece := range pieces {
		h := fnv.New64a()
		_, _ = io.WriteString(h, piece)
		words = append(words, "x"+strconv.FormatUint(h.Sum64(), 36))
	}
	return words
}
