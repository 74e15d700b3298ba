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
