package spelling

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Closest returns the one of the known names that a misspelt name is nearest to, the first of several. It always returns one:
// a list of the operator's names is short, and the nearest is a help even if it is far. A name that holds the other counts as
// one with two slips, and one with its words in another order as one with one. Slips count by the length of the longer name:
// four make something else of a short one. near reports whether the nearest is probably meant: at most a third of its
// characters, or one, differ.
func Closest(name string, known []string) (nearest string, near bool) {
	const longest = 100 // of a name whose distance is counted, which takes its square
	if name = strings.ToLower(name); len(name) > longest {
		name = name[:longest]
	}
	least := 2.0
	for _, k := range known {
		folded := strings.ToLower(k)
		d := min(slips(name, folded), 1+slips(inOrder(name), inOrder(folded)))
		if min(len(name), len(folded)) > 3 && (strings.Contains(folded, name) || strings.Contains(name, folded)) {
			d = min(d, 2)
		}
		length := max(1, utf8.RuneCountInString(name), utf8.RuneCountInString(folded))
		if share := float64(d) / float64(length); share < least {
			least, nearest, near = share, k, d*3 <= max(3, length)
		}
	}
	return nearest, near
}

// inOrder returns a name with its words in the order of the alphabet.
func inOrder(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '-' })
	slices.Sort(words)
	return strings.Join(words, "_")
}
