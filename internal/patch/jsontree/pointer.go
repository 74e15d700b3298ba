package jsontree

import "strings"

// A Pointer is a JSON pointer (RFC 6901) by its unescaped segments. It is either a place in a document, with
// the indices of lists in their plain form (neither "-" nor negative nor with leading zeros), or a pattern,
// in which * stands for any one segment.
type Pointer []string

// Contains reports whether place is at or below the pattern p.
func (p Pointer) Contains(place Pointer) bool { return len(p) <= len(place) && p.Overlaps(place) }

// Overlaps reports whether place is at, below or above the pattern p.
func (p Pointer) Overlaps(place Pointer) bool {
	for i := range min(len(p), len(place)) {
		if p[i] != "*" && p[i] != place[i] {
			return false
		}
	}
	return true
}

// String returns p with dots between its segments: spec.nodeName.
func (p Pointer) String() string { return strings.Join(p, ".") }
