package redact

import "strconv"

// place is what is known of one place in a Pod: what is below it, and what is shown of a value there. The zero
// value and nil show nothing, and nothing below them: an entry of the table that says too little hides too much,
// never too little.
type place struct {
	fields map[string]*place // of an object whose keys are the API's own
	values *place            // of an object whose keys are names that the Pod's author chose; the keys are shown
	elem   *place            // of a list
	shows  visibility        // of a string, number or boolean
}

// visibility says which values are shown. Each one shows what the one before shows.
type visibility int

const (
	showNothing visibility = iota
	showNumbers            // numbers and booleans
	showWords              // constants of the Kubernetes API as well (see words)
	showText               // every string as well
)

// The kinds of places that the table is made of.
var (
	hidden   = &place{}                   // text that may be a secret, or a part of the Pod that no event shows
	number   = &place{shows: showNumbers} // a number or a boolean
	word     = &place{shows: showWords}   // an enumeration of the Kubernetes API
	name     = &place{shows: showText}    // a name, also of what is referred to
	image    = &place{shows: showText}
	label    = &place{shows: showText} // a label's value, or one that a label, taint or field is compared with
	path     = &place{shows: showText} // where something is mounted, or what of a volume
	port     = &place{shows: showText} // a number, or the name of one
	quantity = &place{shows: showText}

	// unknown is the place of a field that the table does not have.
	unknown = &place{shows: showNumbers}
)

// A value of another kind than an object or list stands here only until the API server rejects it; it is shown
// as at an unknown field.
func object(fields map[string]*place) *place { return &place{fields: fields, shows: showNumbers} }
func named(values *place) *place             { return &place{values: values, shows: showNumbers} }
func list(elem *place) *place                { return &place{elem: elem, shows: showNumbers} }

func (p *place) isObject() bool     { return p != nil && (p.fields != nil || p.values != nil) }
func (p *place) isList() bool       { return p != nil && p.elem != nil }
func (p *place) showsNumbers() bool { return p != nil && p.shows >= showNumbers }

func (p *place) showsText(s string) bool {
	return p != nil && (p.shows >= showText || p.shows >= showWords && words[s])
}

// isHidden reports whether nothing is shown at p or below it.
func (p *place) isHidden() bool {
	return p == nil || p.shows == showNothing && !p.isObject() && !p.isList()
}

// within is the place of a key or index below p.
func (p *place) within(segment string) *place {
	switch {
	case p.isHidden():
		return hidden
	case p.fields != nil:
		if field, ok := p.fields[segment]; ok {
			return field
		}
	case p.values != nil:
		return p.values
	case p.elem != nil:
		if _, err := strconv.Atoi(segment); err == nil || segment == "-" {
			return p.elem
		}
	}
	return unknown
}

// element is the place of the elements of a list at p.
func (p *place) element() *place {
	switch {
	case p.isHidden():
		return hidden
	case p.isList():
		return p.elem
	}
	return unknown
}
