// Package spelling finds the known name that a person meant who wrote another one. It knows no names of its own.
package spelling

import (
	"slices"
	"strings"
	"unicode"
)

// Fold brings a name into the form in which spellings of it are the same: lower case, without signs ("Is-Allowed",
// "is_allowed").
func Fold(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

// Far is what [Distance] returns for all names that are not near each other.
const Far = 3

// Distance counts the slips between a name and a word. It stops counting at Far.
func Distance(name, word string) int {
	if len(name) > len(word)+Far || len(word) > len(name)+Far {
		return Far
	}
	return min(slips(name, word), Far)
}

// slips counts the slips between two words: letters left out, put in or exchanged, and neighbours in the wrong order
// (optimal string alignment).
func slips(a, b string) int {
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

// minPart is how many letters a part of a name must have to stand for the whole.
const minPart = 4

// Nearest returns the one of the known names that name is meant as, "" if there is none. The first of these finds it:
//
//  1. the same name in another case, or with other signs: init_containers
//  2. one slip: container, evn
//  3. the only name that it is the beginning or the end of, or that is its beginning: mounts, environment
//  4. two slips, in a name of at least six letters
//
// The order of the known names makes no difference.
func Nearest(name string, known []string) string {
	name = Fold(name)
	if len(name) < 3 {
		return ""
	}
	known = slices.Sorted(slices.Values(known))
	var parts []string
	by := [Far]string{} // the first name with so many slips
	for _, k := range known {
		word := Fold(k)
		if d := Distance(name, word); d < Far && by[d] == "" {
			by[d] = k
		}
		if len(name) >= minPart && (strings.HasPrefix(word, name) || strings.HasSuffix(word, name)) || len(word) >= 3 && strings.HasPrefix(name, word) {
			parts = append(parts, k)
		}
	}
	switch {
	case by[0] != "":
		return by[0]
	case by[1] != "":
		return by[1]
	case len(parts) == 1:
		return parts[0]
	case len(name) >= 6:
		return by[2]
	}
	return ""
}
