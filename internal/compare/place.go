package compare

import (
	"encoding/json"
	"strings"

	"github.com/txn2/amp/endpoints/jsonpointer"
)

// Place is the way to a value in a Pod, from the outside in.
type Place []Segment

// Segment is one step of a Place.
type Segment struct {
	Key  string // a field, or the index of an element
	List bool   // whether Key is an index
	// Name is what the element of a list is called, e.g. the name of a container; empty if it has none.
	Name string
	// NameJSON is the name as the Pod has it, a string or a number, and NameAt where in the element it stands, as fields; both
	// are nil if it has none.
	NameJSON json.RawMessage
	NameAt   []string
}

// Pointer is the place as a JSON pointer into its Pod.
func (p Place) Pointer() string { return p.format(func(s Segment, _ int) string { return s.Key }) }

// Names is Pointer with the names of elements instead of indexes, and * for an element without a name.
func (p Place) Names() string { return p.NamesShown(func(Place, json.RawMessage) bool { return true }) }

// NamesShown is Names with * also for each name that must not be shown. shown tells that of a name as
// the Pod has it, and of the place where it stands.
func (p Place) NamesShown(shown func(at Place, name json.RawMessage) bool) string {
	return p.format(func(s Segment, i int) string {
		switch {
		case !s.List:
			return s.Key
		case s.Name == "":
			return "*"
		}
		at := p[: i+1 : i+1]
		for _, field := range s.NameAt {
			at = append(at, Segment{Key: field})
		}
		if !shown(at, s.NameJSON) {
			return "*"
		}
		return s.Name
	})
}

func (p Place) format(text func(s Segment, i int) string) string {
	keys := make([]string, len(p))
	for i, s := range p {
		keys[i] = text(s, i)
	}
	return jsonpointer.Format(keys...)
}

// with returns p and one segment more, in memory of its own.
func (p Place) with(s Segment) Place { return append(p[:len(p):len(p)], s) }

// own returns v with its keys and names in memory of their own: those of a place are slices of the Pod's text.
func (v Value) own() Value {
	place := make(Place, len(v.Place))
	for i, s := range v.Place {
		s.Key, s.Name = strings.Clone(s.Key), strings.Clone(s.Name)
		place[i] = s
	}
	v.Place = place
	return v
}
