package review

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Nearest returns the one of the known names that a misspelt name is nearest to, the first of several. A name that holds
// the other counts as one with two slips, and one with its words in another order as one with one. Slips count by the length of the longer name: four make something else of a
// short one. near reports whether the nearest is probably meant: at most a third of its characters, or one, differ.
func Nearest(name string, known []string) (nearest string, near bool) {
	const longest = 100 // of a name whose distance is counted, which takes its square
	name = Clip(strings.ToLower(name), longest)
	least := 2.0
	for _, k := range known {
		folded := strings.ToLower(k)
		d := min(distance(name, folded), 1+distance(inOrder(name), inOrder(folded)))
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

// distance counts the slips between two words: characters left out, put in or exchanged, and neighbours in the wrong
// order (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			exchanged := last[j-1]
			if x[i-1] != y[j-1] {
				exchanged++
			}
			row[j] = min(exchanged, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
