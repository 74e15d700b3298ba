package store

import (
	"slices"
	"strings"
)

// The API server makes a name from a generateName: it keeps 58 bytes of it and adds five characters.
const (
	maxGenerate = 58
	suffixBytes = 5
)

// GeneratedPrefix returns what the names begin with that are made from a generateName.
func GeneratedPrefix(generateName string) string {
	return generateName[:min(len(generateName), maxGenerate)]
}

// GeneratedFrom returns the prefixes from which a name, or the typed part of a name, may have been made.
func GeneratedFrom(name string) []string {
	var prefixes []string
	for n := len(name) - 1; n > 0 && n >= len(name)-suffixBytes && name[n] != '-'; n-- {
		prefixes = append(prefixes, name[:n])
	}
	return prefixes
}

// PodKey spells a Pod for comparisons: its name, or what its name will begin with and a star; in lower case.
func PodKey(item *Item) string {
	if item.Name != "" {
		return strings.ToLower(item.Name)
	}
	return strings.ToLower(GeneratedPrefix(item.GenerateName)) + "*"
}

// MatchPod reports whether a Pod, as PodKey spells it, is one that Filter.Pod may mean.
func MatchPod(key, pod string) bool {
	value, generated := strings.CutSuffix(key, "*")
	if len(pod) >= gram && strings.Contains(searched(value), pod) {
		return true
	}
	for _, word := range NameParts(value) {
		if strings.HasPrefix(word, pod) || generated && slices.Contains(GeneratedFrom(pod), word) {
			return true
		}
	}
	return false
}

// NameParts returns a name from the start of each of its parts on, of eight parts at most, in lower case:
// jupyter-alice is found by jupyter and by alice.
func NameParts(name string) []string {
	name = strings.ToLower(name)
	parts := []string{name}
	for i := 0; i+1 < len(name) && len(parts) < 8; i++ {
		if name[i] == '-' || name[i] == '.' {
			parts = append(parts, name[i+1:])
		}
	}
	return parts
}

// gram is the length of the pieces of names by which a search finds parts of them.
const gram = 3

// maxSearched bounds the bytes of a name in which parts of it are found. Kubernetes' names end there.
const maxSearched = 253

func searched(name string) string { return name[:min(len(name), maxSearched)] }

// Pieces returns what a store indexes of a name: the beginnings of its parts that are shorter than three bytes, each with the
// prefix ^, and all pieces of three bytes.
func Pieces(name string) []string {
	var pieces []string
	for _, part := range NameParts(name) {
		for n := 1; n < gram && n <= len(part); n++ {
			pieces = append(pieces, "^"+part[:n])
		}
	}
	name = searched(strings.ToLower(name))
	for i := 0; i+gram <= len(name); i++ {
		pieces = append(pieces, name[i:i+gram])
	}
	slices.Sort(pieces)
	return slices.Compact(pieces)
}

// PiecesOf returns the pieces that a name has if pod, which is not empty, is a part of it or begins it. Other names may have
// all of them, too: they narrow a search down. Few of them do that as well as all.
func PiecesOf(pod string) []string {
	if len(pod) < gram {
		return []string{"^" + pod}
	}
	pod = searched(pod)
	var pieces []string
	for i := 0; i+gram < len(pod); i += gram {
		pieces = append(pieces, pod[i:i+gram])
	}
	pieces = append(pieces, pod[len(pod)-gram:])
	slices.Sort(pieces)
	return slices.Compact(pieces)
}
