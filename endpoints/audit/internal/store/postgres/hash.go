package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// The kinds of what is hashed.
const (
	kindID        = "id"
	kindSource    = "source"
	kindOutcome   = "o"
	kindNamespace = "n"
	kindUser      = "u"
	kindEndpoint  = "e"
	kindGenerate  = "g" // a part of a generateName
	kindPiece     = "x" // a piece of a Pod's name
	kindMutated   = "m" // a mutated event
)

// hash stands for texts in the database. Every replica computes it alike, so there are no numbers to agree on. It is half
// of a cryptographic one: who sends events cannot find a text with the hash of another one's, which takes 2^64 attempts.
func hash(kind string, texts ...string) int64 {
	h := sha256.New()
	for _, text := range append([]string{kind}, texts...) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		h.Write(length[:])
		h.Write([]byte(text))
	}
	return int64(binary.BigEndian.Uint64(h.Sum(nil)))
}

// clean spells a text as PostgreSQL can hold it: in UTF-8, without zero bytes.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// wordsOf returns the words that the index knows an event by.
func wordsOf(item *store.Item) []int64 {
	words := []int64{hash(kindOutcome, item.Outcome), hash(kindNamespace, clean(item.Namespace)), hash(kindUser, clean(item.User))}
	for _, c := range store.Indexed(item.Endpoints) {
		words = append(words, hash(kindEndpoint, clean(c.URL)))
	}
	name, generated := strings.CutSuffix(store.PodKey(item), "*")
	words = append(words, pieceWords(store.Pieces(name))...)
	if generated && item.Name == "" {
		for _, part := range store.NameParts(name) {
			words = append(words, hash(kindGenerate, part))
		}
	}
	if item.Outcome == outcome.Mutated {
		words = append(words, hash(kindMutated, item.Source, item.ID))
	}
	slices.Sort(words)
	return slices.Compact(words)
}

func pieceWords(pieces []string) (words []int64) {
	for _, piece := range pieces {
		words = append(words, hash(kindPiece, piece))
	}
	return words
}
