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

// Beginnings of names narrow a search down: some lengths of the beginnings of whole names and, fewer, of their other
// parts.
var wholeLengths, partLengths = []int{1, 2, 3, 4, 6, 8, 12, 16, 24}, []int{1, 2, 4, 8}

// Beginnings returns the beginnings of a name that a store indexes: of the whole name, and of its other parts.
func Beginnings(name string) (whole, parts []string) {
	for i, part := range NameParts(name) {
		if i == 0 {
			for _, n := range wholeLengths {
				if n <= len(part) {
					whole = append(whole, part[:n])
				}
			}
			continue
		}
		for _, n := range partLengths {
			if n <= len(part) {
				parts = append(parts, part[:n])
			}
		}
	}
	return whole, parts
}

// LongestBeginnings returns of which beginnings a name has at least one if it, or a part of it, begins with pod: of whole
// among those of the whole name, or of part among those of its other parts.
func LongestBeginnings(pod string) (whole, part string) {
	longest := func(lengths []int) string {
		n := 0
		for _, l := range lengths {
			if l <= len(pod) {
				n = l
			}
		}
		return pod[:n]
	}
	return longest(wholeLengths), longest(partLengths)
}
