package patch

import (
	"strings"
)

// A node is a JSON value, read no further than somebody looked. What nobody looks into stays the text it
// was, and is written as that text: half of a Pod is managedFields.
//
// Nodes are shared between the Pod as it came and the Pod as it becomes. A node is never changed unless it
// is owned, that is, made by own for the latter alone. So two equal pointers mean that nothing changed
// there, and most comparisons end at once.
type node struct {
	raw  string // the JSON text; meaningless once owned
	kind byte   // the first byte of raw, which tells its type: 'n' is null

	expanded bool
	owned    bool
	moved    bool // wantWhole was called
	seen     need // of a base: how much of it the ops looked at

	members  []member       // of an object, in the order of the text; one without a value was removed
	index    map[string]int // of members, only where there are many
	elements []*node        // of a list
	repeated string         // a key, in quotes, that the text has more than once

	base   *node // the node of the original Pod that this is or was made of; nil if it came with an op
	op     int   // the number of the op that put it there, 0 for the Pod's own
	height int   // of the text, once measured
}

type member struct {
	key    string
	quoted string // as in the text
	value  *node
}

// need says how much of an original node the API server's library must see to apply the ops.
type need uint8

const (
	needNothing  need = iota
	needPresence      // that it is there, and those of its children that are needed themselves
	needWhole         // its value
)

// linear is the number of members up to which a look at one after the other beats a map.
const linear = 32

// newNode is the value with the given text, put there by an op.
func newNode(raw string, op int) *node {
	n := &node{raw: strings.Trim(raw, " \t\r\n"), op: op}
	if n.raw != "" {
		n.kind = n.raw[0]
	}
	return n
}

// null reports whether n is nothing: absent or null, which is the same to who decodes it.
func (n *node) null() bool { return n == nil || n.kind == 'n' }

// expand reads one level of n's text. Of a key that is there twice the last one counts, as for
// encoding/json.
func (n *node) expand() {
	if n.expanded || n.kind != '{' && n.kind != '[' {
		return
	}
	n.expanded = true

	type span struct{ quoted, raw string }
	var room [24]span // most objects fit
	spans := room[:0]
	for i := next(n.raw, 1); i < len(n.raw) && n.raw[i] != '}' && n.raw[i] != ']'; i = next(n.raw, i) {
		var s span
		if n.kind == '{' {
			end := skip(n.raw, i)
			s.quoted = n.raw[i:end]
			i = next(n.raw, end)
			if i == len(n.raw) {
				break
			}
		}
		end := skip(n.raw, i)
		s.raw = n.raw[i:end]
		spans = append(spans, s)
		i = end
	}

	children := make([]node, len(spans))
	if n.kind == '{' {
		n.members = make([]member, 0, len(spans))
	} else {
		n.elements = make([]*node, len(spans))
	}
	for i, s := range spans {
		c := &children[i]
		c.raw, c.kind, c.op = s.raw, s.raw[0], n.op
		if n.base != nil {
			c.base = c
		}
		if n.kind == '[' {
			n.elements[i] = c
			continue
		}
		key := unquote(s.quoted)
		if at := n.find(key); at >= 0 {
			n.repeated = s.quoted
			n.members[at].value = c
			continue
		}
		n.append(member{key, s.quoted, c})
	}
}

// append adds a member whose key is not there.
func (n *node) append(m member) {
	n.members = append(n.members, m)
	if n.index != nil {
		n.index[m.key] = len(n.members) - 1
	}
}

// find is the place of key among the members of an expanded object, -1 if it is not there.
func (n *node) find(key string) int {
	if n.index == nil && len(n.members) > linear {
		n.index = make(map[string]int, 2*len(n.members))
		for i := range n.members {
			if n.members[i].value != nil {
				n.index[n.members[i].key] = i
			}
		}
	}
	if n.index != nil {
		if at, ok := n.index[key]; ok {
			return at
		}
		return -1
	}
	for i := range n.members {
		if n.members[i].key == key && n.members[i].value != nil {
			return i
		}
	}
	return -1
}

// get is the member key of the object n; nil where n is no object or has no such member.
func (n *node) get(keys ...string) *node {
	for _, key := range keys {
		if n == nil || n.kind != '{' {
			return nil
		}
		n.expand()
		at := n.find(key)
		if at < 0 {
			return nil
		}
		n = n.members[at].value
	}
	return n
}

// each calls f with the members of the object n, or does nothing where n is none.
func (n *node) each(f func(key string, value *node)) {
	if n == nil || n.kind != '{' {
		return
	}
	n.expand()
	for i := range n.members {
		if m := &n.members[i]; m.value != nil {
			f(m.key, m.value)
		}
	}
}

// list is the elements of the list n; nil where n is none.
func (n *node) list() []*node {
	if n == nil || n.kind != '[' {
		return nil
	}
	n.expand()
	return n.elements
}

// text is the string n holds; "" where n is no string.
func (n *node) text() string {
	if n == nil || n.kind != '"' {
		return ""
	}
	return unquote(n.raw)
}

// own returns the node at slot, expanded, after it put one there that may be changed.
func own(slot **node) *node {
	n := *slot
	n.expand()
	if n.owned {
		return n
	}
	*slot = &node{
		kind: n.kind, expanded: n.expanded, owned: true, op: n.op, base: n.base, raw: n.raw,
		members: roomy(n.members), elements: roomy(n.elements),
	}
	return *slot
}

// roomy is a copy of s to which one may be appended at no cost.
func roomy[T any](s []T) []T { return append(make([]T, 0, len(s)+1), s...) }

// untouched reports whether n stands where and as it did in the original Pod.
func (n *node) untouched() bool { return n == nil || n.base == n && !n.owned && n.op == 0 }

// set gives the owned object n the member key.
func (n *node) set(key string, value *node) {
	if at := n.find(key); at >= 0 {
		n.members[at].value = value
		return
	}
	n.append(member{key, quote(key), value})
}

// remove takes the member at from the owned object n. It leaves the place empty: moving the rest up would
// make many removals quadratic.
func (n *node) remove(at int) {
	if n.index != nil {
		delete(n.index, n.members[at].key)
	}
	n.members[at].value = nil
}

// by is n as put there by the op of that number, which moved it.
func (n *node) by(op int) *node {
	if n.owned {
		n.op = op
		return n
	}
	c := *n
	c.op = op
	// Its children are still to carry the number.
	c.expanded, c.members, c.elements, c.index = false, nil, nil, nil
	return &c
}

// want notes that the ops need n, if the original Pod has it.
func (n *node) want(seen need) {
	if n.base != nil && n.base.seen < seen {
		n.base.seen = seen
	}
}

// wantWhole notes that the ops need all of n.
func (n *node) wantWhole() {
	if !n.owned {
		n.want(needWhole)
		return
	}
	// All that is put below n later is new, or was moved and so marked itself.
	if n.moved {
		return
	}
	n.moved = true
	n.want(needPresence)
	for _, m := range n.members {
		if m.value != nil {
			m.value.wantWhole()
		}
	}
	for _, e := range n.elements {
		e.wantWhole()
	}
}

// levels is how deep n nests: 0 for a string, 1 for a list of strings.
func (n *node) levels() int {
	if !n.owned {
		if n.height == 0 {
			n.height = depth(n.raw)
		}
		return n.height
	}
	deepest := 0
	for _, m := range n.members {
		if m.value != nil {
			deepest = max(deepest, m.value.levels())
		}
	}
	for _, e := range n.elements {
		deepest = max(deepest, e.levels())
	}
	return deepest + 1
}

// appendJSON appends the JSON text of n to b.
func (n *node) appendJSON(b []byte) []byte {
	if !n.owned {
		return append(b, n.raw...)
	}
	return n.appendLevel(b, func(b []byte, child *node) []byte { return child.appendJSON(b) })
}

// appendLevel appends the expanded object or list n to b, each child as the function has it; an object's
// child of which it appends nothing is left out with its key.
func (n *node) appendLevel(b []byte, child func(b []byte, child *node) []byte) []byte {
	b = append(b, n.kind)
	start := len(b)
	for _, m := range n.members {
		if m.value == nil {
			continue
		}
		before := len(b)
		if before > start {
			b = append(b, ',')
		}
		b = append(b, m.quoted...)
		b = append(b, ':')
		value := len(b)
		if b = child(b, m.value); len(b) == value {
			b = b[:before]
		}
	}
	for i, e := range n.elements {
		if i > 0 {
			b = append(b, ',')
		}
		b = child(b, e)
	}
	return append(b, n.kind+2) // } is two after {, and ] after [
}
