// Package jsontree is JSON that is read only where a caller looks, and that knows where each value came
// from: from the document, or from one of the ops of a patch. It applies no ops and knows nothing of Pods.
//
// node.go is a value and how it is read, edit.go how it is changed, write.go how it becomes text again.
// same.go compares two values by what they mean. scan.go finds values in text, and pointer.go reads paths.
package jsontree

import (
	"math"
	"strings"
)

// A Node is a JSON value. A part of it that no caller reads stays the text it was, and is written as that
// text: half of a usual Pod is managedFields, which no patch touches.
//
// The document before a patch and the document after it share the nodes that the patch did not change. Only a
// node that [Node.Edit] made ever changes, and only the document after the patch has such nodes. So two equal
// pointers mean that nothing changed there, and most comparisons end at once.
//
// A nil Node is an absent value: Kind, IsNull, Op, Untouched, Get, Each, List, Text and RepeatedKey take it.
// Reading expands a Node, so one goroutine at a time may use it.
type Node struct {
	raw  string // the JSON text; meaningless if editable
	kind Kind

	expanded bool // the level holds what raw says
	editable bool // made by Edit
	needsAll bool // NeedWhole was called
	needed   need // how much of an original the ops need

	op     int32 // the number of the op that put it there, 0 if it was there before the patch
	height int32 // how deep raw nests, 0 if not measured yet

	*level         // what is in an object or list, once it is expanded; before that, and of other values, none
	original *Node // the node of the document that this is, or that it was made of; nil if it came with an op
}

// A level is what is directly in an object or list. It is not a part of the Node, because most nodes of a Pod are never
// expanded.
type level struct {
	members   []member       // of an object, in the order of the text; one without a value was removed
	positions map[string]int // of the members by their keys, only if there are many
	elements  []*Node        // of a list
	repeated  string         // a key, in quotes, that the text has more than once
}

// none is the level of all nodes that have none of their own. It is never changed.
var none = new(level)

type member struct {
	key    string
	quoted string // the key as the text has it
	value  *Node
}

// manyMembers is the number of members above which a map finds a key faster than a search through the members.
const manyMembers = 32

// A Kind is the type of a JSON value.
type Kind byte

// The kinds of values. Absent is the kind of a nil Node.
const (
	Absent Kind = 0
	Null   Kind = 'n'
	True   Kind = 't'
	False  Kind = 'f'
	Number Kind = '0'
	String Kind = '"'
	List   Kind = '['
	Object Kind = '{'
)

// kindOf returns the kind of the value that begins with the byte first.
func kindOf(first byte) Kind {
	if first == '-' || '0' <= first && first <= '9' {
		return Number
	}
	return Kind(first)
}

// NewDocument returns the document with the given text, which must be valid JSON. Of any other text, reading
// returns wrong results, but it always ends.
func NewDocument(text string) *Node {
	n := NewValue(text, 0)
	n.original = n
	return n
}

// NewValue returns the value with the given text, put into a document by the op with that number. The text
// must be valid JSON as for [NewDocument].
func NewValue(text string, op int) *Node {
	n := &Node{raw: strings.Trim(text, " \t\r\n"), op: int32(op), level: none}
	if n.raw != "" {
		n.kind = kindOf(n.raw[0])
	}
	return n
}

// Kind returns the type of n.
func (n *Node) Kind() Kind {
	if n == nil {
		return Absent
	}
	return n.kind
}

// IsNull reports whether n is absent or null. A decoder into Go types does not tell these apart.
func (n *Node) IsNull() bool { return n == nil || n.kind == Null }

// Op returns the number of the op that put n where it is, 0 if n was there before the patch. What is inside n
// may have come with a later op.
func (n *Node) Op() int {
	if n == nil {
		return 0
	}
	return int(n.op)
}

// Untouched reports whether n is absent, or stands where and as it stood before the patch.
func (n *Node) Untouched() bool { return n == nil || n.original == n && n.op == 0 }

// Get returns the value that the keys lead to from the object n, one level for each key; nil if there is none.
func (n *Node) Get(keys ...string) *Node {
	for _, key := range keys {
		if n == nil || n.kind != Object {
			return nil
		}
		at := n.Find(key)
		if at < 0 {
			return nil
		}
		n = n.members[at].value
	}
	return n
}

// Each calls visit with the members of the object n, in their order. If n is not an object, it has none.
func (n *Node) Each(visit func(key string, value *Node)) {
	if n == nil || n.kind != Object {
		return
	}
	n.expand()
	for i := range n.members {
		if m := &n.members[i]; m.value != nil {
			visit(m.key, m.value)
		}
	}
}

// List returns the elements of the list n, for reading only. If n is not a list, it has none.
func (n *Node) List() []*Node {
	if n == nil || n.kind != List {
		return nil
	}
	n.expand()
	return n.elements
}

// Text returns the string that n holds, "" if n is not a string.
func (n *Node) Text() string {
	if n == nil || n.kind != String {
		return ""
	}
	return unquote(n.raw)
}

// Digits returns the text of the number that n holds, "" if n is not a number.
func (n *Node) Digits() string {
	if n == nil || n.kind != Number {
		return ""
	}
	return n.raw
}

// Find returns the position of a member of the object n, -1 if n has no such key. A member keeps its position
// as long as it is there; the position of an element of a list is its index.
func (n *Node) Find(key string) int {
	n.expand()
	if n.positions == nil && len(n.members) > manyMembers {
		n.positions = make(map[string]int, 2*len(n.members))
		for i := range n.members {
			if n.members[i].value != nil {
				n.positions[n.members[i].key] = i
			}
		}
	}
	if n.positions != nil {
		if at, ok := n.positions[key]; ok {
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

// Child returns the member or element of n at a position.
func (n *Node) Child(at int) *Node { return *n.child(at) }

func (n *Node) child(at int) **Node {
	if n.kind == Object {
		return &n.members[at].value
	}
	return &n.elements[at]
}

// Length returns the length of n's text or, if n came from Edit, of the text that it was made of.
func (n *Node) Length() int { return len(n.raw) }

// Unread returns how many members or elements n has. It returns 0 once they have been read.
func (n *Node) Unread() int {
	if n.expanded {
		return 0
	}
	return children(n.raw)
}

// Values returns how many values the text of n, or that of which Edit made it, may hold: at most twice as many as it does.
func (n *Node) Values() int { return Values(n.raw) }

// RepeatedKey returns a key that n, or something in n, has twice in one object; ok is false if there is none.
// Only text can have one: reading takes the last of the two, as encoding/json does.
func (n *Node) RepeatedKey() (key string, ok bool) {
	if n == nil {
		return "", false
	}
	n.expand()
	if n.repeated != "" {
		return unquote(n.repeated), true
	}
	for i := range n.members {
		if key, ok := n.members[i].value.RepeatedKey(); ok {
			return key, true
		}
	}
	for _, element := range n.elements {
		if key, ok := element.RepeatedKey(); ok {
			return key, true
		}
	}
	return "", false
}

// RepeatsKey reports whether the text of the object n itself has a key twice. A node that came from Edit has no text.
func (n *Node) RepeatsKey() bool {
	n.expand()
	return n.repeated != ""
}

// Levels returns how deep n nests: 0 for a string, 1 for a list of strings.
func (n *Node) Levels() int {
	visited := 0
	return n.LevelsWithin(&visited, math.MaxInt)
}

// LevelsWithin is Levels, and adds to visited the number of values that it goes through. If they become more than limit, it
// ends with a wrong result.
func (n *Node) LevelsWithin(visited *int, limit int) int {
	*visited++
	if !n.editable {
		if n.height == 0 {
			n.height = int32(depth(n.raw))
		}
		return int(n.height)
	}
	deepest := 0
	for i := range n.members {
		if value := n.members[i].value; value != nil && *visited <= limit {
			deepest = max(deepest, value.LevelsWithin(visited, limit))
		}
	}
	for _, element := range n.elements {
		if *visited <= limit {
			deepest = max(deepest, element.LevelsWithin(visited, limit))
		}
	}
	return deepest + 1
}

// expand reads one level of n's text.
func (n *Node) expand() {
	if n.expanded || n.kind != Object && n.kind != List {
		return
	}
	n.expanded, n.level = true, &level{}

	var room [48]span // most fit
	spans := n.spans(room[:0])
	children := make([]Node, len(spans))
	if n.kind == Object {
		n.members = make([]member, 0, len(spans))
	} else {
		n.elements = make([]*Node, len(spans))
	}
	for i := range spans {
		s, c := &spans[i], &children[i]
		c.raw, c.op, c.level = n.raw[s.start:s.end], n.op, none
		c.kind = kindOf(c.raw[0])
		if n.original != nil {
			c.original = c
		}
		if n.kind == List {
			n.elements[i] = c
			continue
		}
		quoted := n.raw[s.key:s.keyEnd]
		key := unquote(quoted)
		if at := n.Find(key); at >= 0 {
			n.repeated = quoted
			n.members[at].value = c
			continue
		}
		n.append(member{key, quoted, c})
	}
}

// A span is where a member or element stands in a text.
type span struct{ key, keyEnd, start, end int32 }

// spans appends the spans of what is directly in n to spans.
func (n *Node) spans(spans []span) []span {
	for i := next(n.raw, 1); i < len(n.raw) && n.raw[i] != '}' && n.raw[i] != ']'; i = next(n.raw, i) {
		var s span
		if n.kind == Object {
			s.key = int32(i)
			i = skip(n.raw, i)
			s.keyEnd = int32(i)
			if i = next(n.raw, i); i == len(n.raw) {
				break
			}
		}
		s.start = int32(i)
		i = skip(n.raw, i)
		s.end = int32(i)
		spans = append(spans, s)
	}
	return spans
}
