package patch

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxSegments bounds a pointer. The deepest field of a Pod lies a dozen segments down; without a bound one
// long path would have amp make parents by the hundred thousand.
const maxSegments = 64

// A pointer is a JSON pointer (RFC 6901) by its decoded segments. Where a segment turned out to be an index
// in a list, it is the plain one: neither "-" nor negative nor with leading zeros.
type pointer []string

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// parsePointer reads a JSON pointer to something below the root.
func parsePointer(s string) (pointer, error) {
	switch {
	case s == "":
		return nil, fmt.Errorf("it is the whole Pod, which a patch may not replace or read: name a field")
	case s[0] != '/':
		return nil, fmt.Errorf("it must begin with a slash")
	case !utf8.ValidString(s):
		return nil, fmt.Errorf("it is not valid UTF-8")
	case strings.Count(s, "/") > maxSegments:
		return nil, fmt.Errorf("it has more than %d segments, no field of a Pod lies that deep", maxSegments)
	}
	p := pointer(strings.Split(s[1:], "/"))
	if strings.Contains(s, "~") {
		for i, segment := range p {
			if strings.Count(segment, "~") != strings.Count(segment, "~0")+strings.Count(segment, "~1") {
				return nil, fmt.Errorf("~ must be written ~0, and / within a key ~1")
			}
			p[i] = unescape.Replace(segment)
		}
	}
	return p, nil
}

// prefix is the part of the pointer text s that holds its first n segments.
func prefix(s string, n int) string {
	for i := range len(s) {
		if s[i] == '/' {
			if n == 0 {
				return s[:i]
			}
			n--
		}
	}
	return s
}

// leads reports whether p is at or above q; where p has a *, any segment of q will do.
func (p pointer) leads(q pointer) bool {
	if len(p) > len(q) {
		return false
	}
	for i, segment := range p {
		if segment != "*" && segment != q[i] {
			return false
		}
	}
	return true
}
