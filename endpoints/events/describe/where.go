package describe

import (
	"strconv"
	"strings"
)

// where names what a line of YAML lies below: keys, and list elements by their index, from 0 as in a path. It reads what
// sigs.k8s.io/yaml writes: block style, lists as far in as their key.
func where(lines []string, at int) string {
	if at < 0 || at >= len(lines) {
		return ""
	}
	var path []string
	column, dash := shape(lines[at])
	inList := dash >= 0 // the line above may be of an element before this one
	place := 0
	for i := at - 1; i >= 0 && (inList || column > 0); i-- {
		c, d := shape(lines[i])
		key, _, isKey := strings.Cut(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(lines[i]), "- ")), ":")
		switch {
		case inList && d == dash: // the element before
			place++
		case inList && (c <= dash && d < 0 || d >= 0 && c <= dash): // the list's key
			if isKey {
				path = append([]string{key + "[" + strconv.Itoa(place) + "]"}, path...)
			}
			inList, column, place = d >= 0, c, 0
			dash = d
		case !inList && c < column: // the key that this one is below
			if isKey {
				path = append([]string{key}, path...)
			}
			inList, column, dash, place = d >= 0, c, d, 0
		case !inList && c == column && d >= 0: // the first key of the same element
			inList, dash, place = true, d, 0
		}
	}
	return strings.Join(path, " › ")
}

// shape returns the column of a line's key, and of the dash in front of it, -1 if there is none.
func shape(line string) (column, dash int) {
	column = len(line) - len(strings.TrimLeft(line, " "))
	if strings.HasPrefix(line[column:], "- ") {
		return column + 2, column
	}
	return column, -1
}
