package redact

import "strconv"

// A place says what is shown of a value at one place in a Pod, and of what is below it. nil and the zero value of every
// kind of place show nothing: an entry of the table that was forgotten or left empty hides too much, never too little.
//
// The table consists of literals, and of the addresses of such: the compiler lays them out as data. Maps, calls and copies
// of other tables would be built by code at every start.
type place interface {
	// within is the place of a key or index below the place.
	within(segment string) place
}

type (
	// object is an object whose keys are the API's own.
	object []field
	// named is an object whose keys are names that the Pod's author chose. The keys are shown.
	named struct{ values place }
	// list is a list.
	list struct{ elements place }
	// text is a string, a number or a boolean.
	text int
)

// field is one key of an object.
type field struct {
	key   string
	place place
}

// The kinds of text. Numbers and booleans are shown from unknown on, constants of the Kubernetes API (see words) from word
// on, and every string after that.
const (
	hidden  text = iota // text that may be a secret, or a part of the Pod that no event shows
	unknown             // a field that the table does not have
	number              // a number or a boolean
	word                // an enumeration of the Kubernetes API
	name                // a name, also of what is referred to
	image
	label // a label's value, or one that a label, taint or field is compared with
	path  // where something is mounted, or what of a volume
	port  // a number, or the name of one
	quantity
)

func (o object) within(key string) place {
	if len(o) == 0 {
		return hidden
	}
	for i := range o {
		if o[i].key == key {
			return o[i].place
		}
	}
	return unknown
}

func (n named) within(string) place { return n.values }

func (l list) within(index string) place {
	if _, err := strconv.Atoi(index); err == nil || index == "-" || l.elements == nil {
		return l.elements
	}
	return unknown
}

func (t text) within(string) place { return min(t, unknown) }

// within is the place of a key or index below p, which may be nil.
func within(p place, segment string) place {
	if p == nil {
		return hidden
	}
	return p.within(segment)
}

// both is the place of a value that has been at two: it shows what both show.
type both struct {
	a, b  place
	depth int
}

// maxPlaces bounds the places that count one by one.
const maxPlaces = 16

func (p both) within(segment string) place { return meet(within(p.a, segment), within(p.b, segment)) }

// meet is a place that shows what both a and b show, and nothing else. If a is made of many places it shows nothing.
func meet(a, b place) place {
	if a, ok := a.(text); ok {
		if b, ok := b.(text); ok {
			return min(a, b) // kinds of text are ordered by what they show
		}
	}
	depth := 0
	if a, ok := a.(both); ok {
		depth = a.depth + 1
	}
	if depth >= maxPlaces {
		return hidden
	}
	return both{a, b, depth}
}

// isObject reports whether p is the place of an object. An object at any other place may have keys that are data.
func isObject(p place) bool {
	switch p := p.(type) {
	case object:
		return len(p) > 0
	case *object:
		return len(*p) > 0
	case named:
		return p.values != nil
	case both:
		return isObject(p.a) && isObject(p.b)
	}
	return false
}

// isList reports whether p is the place of a list.
func isList(p place) bool {
	switch p := p.(type) {
	case list:
		return true
	case both:
		return isList(p.a) && isList(p.b)
	}
	return false
}

// textAt is how a string, number or boolean at p is shown. If p is the place of an object or a list, the value stands there
// only until the API server rejects it; it is shown as at an unknown field.
func textAt(p place) text {
	switch p := p.(type) {
	case text:
		return p
	case object:
		if len(p) > 0 {
			return unknown
		}
	case *object:
		if len(*p) > 0 {
			return unknown
		}
	case named:
		if p.values != nil {
			return unknown
		}
	case list:
		if p.elements != nil {
			return unknown
		}
	case both:
		return min(textAt(p.a), textAt(p.b))
	}
	return hidden
}

func (t text) showsNumbers() bool { return t >= unknown }

func (t text) showsString(s string) bool { return t > word || t == word && words[s] }
