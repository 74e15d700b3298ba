package redact

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/endpoints/jsonpointer"
)

const (
	// maxSteps bounds the work for one patch and the memory that it takes: the values that are looked at, and those that
	// a move or a copy takes along. A Pod of JupyterHub has some 500 values, and few of them are ever looked at.
	maxSteps = 100_000
	// maxMembers bounds the members of an object that is looked at: they are searched one by one.
	maxMembers = 1000
)

// A node is a JSON value at its place in the Pod. What is inside it is read only if an op is about it.
type node struct {
	key  string // by which it stands in an object; "-" in a list
	raw  string
	been *place  // where it has been, see meet; all copies of a value share it
	kind byte    // '{' or '[' once it is opened, if it has something inside
	kids []*node // what is inside, once it is opened
}

func newNode(raw string, p place) *node { return &node{raw: raw, been: &p} }

// A tracker applies ops to a Pod, as far as is necessary to know where each value has been.
type tracker struct {
	root *node
	left int  // of maxSteps
	lost bool // an op cannot be followed
}

// follow applies an op. It returns a copy of what the op writes or names, nil if that is nothing.
func (t *tracker) follow(op *events.Op) *node {
	var n *node
	switch op.Op {
	case "add", "replace":
		n = newNode(string(op.Value), placeOf(op.Path))
		t.put(op, n)
	case "remove":
		t.take(op.Path, true)
		return nil
	case "move", "copy":
		n = t.take(op.From, op.Op == "move")
		if op.Op == "copy" {
			n = t.copy(n)
		}
		t.put(op, n)
		t.touch(n, placeOf(op.Path))
		return nil
	default: // test
		n = t.take(op.Path, false)
	}
	return t.copy(n)
}

// step counts one step of the work.
func (t *tracker) step() {
	t.left--
	t.lost = t.lost || t.left < 0
}

// touch notes that n has come to the place p, with what is inside it.
func (t *tracker) touch(n *node, p place) {
	if t.step(); t.lost {
		return
	}
	*n.been = meet(*n.been, p)
	for _, kid := range n.kids {
		t.touch(kid, within(p, kid.key))
	}
}

// open reads one level of n.
func (t *tracker) open(n *node) {
	if t.step(); n.kind != 0 || n.raw == "" {
		return
	}
	r := gjson.Parse(n.raw)
	if !r.IsObject() && !r.IsArray() {
		return
	}
	n.kind = r.Raw[0]
	r.ForEach(func(key, v gjson.Result) bool {
		t.step()
		kid := newNode(v.Raw, nil)
		if kid.key = key.Str; n.kind == '[' {
			kid.key = "-"
		}
		n.kids = append(n.kids, kid)
		return !t.lost
	})
	t.lost = t.lost || n.kind == '{' && len(n.kids) > maxMembers
	for _, kid := range n.kids {
		*kid.been = within(*n.been, kid.key)
	}
}

// copy returns a copy of all of n.
func (t *tracker) copy(n *node) *node {
	if t.lost {
		return nil
	}
	t.open(n)
	c := *n
	c.kids = nil
	for _, kid := range n.kids {
		c.kids = append(c.kids, t.copy(kid))
	}
	return &c
}

// index is where the key is in n, which is opened: -1 if it is not there, and the number of elements behind the end of a
// list. The API server's library counts from the end below 0.
func (n *node) index(key string) int {
	if n.kind == '[' {
		i, err := strconv.Atoi(key)
		switch {
		case key == "-":
			return len(n.kids)
		case i < 0:
			i += len(n.kids)
		}
		if err != nil || i > len(n.kids) {
			return -1
		}
		return i
	}
	for i := len(n.kids) - 1; i >= 0; i-- { // the last one counts if a key is there twice
		if n.kids[i].key == key {
			return i
		}
	}
	return -1
}

// holder returns what holds the place of a pointer, opened, and the index of its key there.
func (t *tracker) holder(pointer string) (n *node, key string, index int) {
	parent, last, n := "", strings.LastIndexByte(pointer, '/'), t.root
	for parent != pointer[:max(last, 0)] && !t.lost {
		key, _, _ = strings.Cut(pointer[len(parent)+1:last], "/")
		parent = pointer[:len(parent)+1+len(key)]
		key = jsonpointer.Unescape(key)
		t.open(n)
		index = n.index(key)
		switch {
		case index >= 0 && index < len(n.kids):
			n = n.kids[index]
		case n.kind == '{': // the ops do not apply to this Pod: what is there is known from now on
			kid := newNode("{}", placeOf(parent))
			kid.key = key
			n.kids = append(n.kids, kid)
			n = kid
		default:
			t.lost = true
		}
	}
	t.open(n)
	t.lost = t.lost || last < 0 || n.kind == 0
	key = jsonpointer.Unescape(pointer[last+1:])
	return n, key, n.index(key)
}

// take returns what is at a pointer, and takes it away if it is to be moved or removed. For nothing, which the API
// server's library copies as null, it returns a value of which nothing is shown.
func (t *tracker) take(pointer string, away bool) *node {
	holder, _, i := t.holder(pointer)
	if i < 0 || i >= len(holder.kids) {
		t.lost = t.lost || holder.kind == '['
		return newNode("", hidden)
	}
	n := holder.kids[i]
	if away {
		holder.kids = append(holder.kids[:i], holder.kids[i+1:]...)
	}
	return n
}

// put sets what is at op's path. In a list, the elements from there on make room, unless op replaces one.
func (t *tracker) put(op *events.Op, n *node) {
	holder, key, i := t.holder(op.Path)
	if t.lost {
		return
	}
	insert := i < 0
	n.key = key
	if holder.kind == '[' {
		n.key = "-"
		insert = op.Op != "replace"
		if at, err := strconv.Atoi(key); err == nil && at < 0 && insert {
			i = at + len(holder.kids) + 1 // an insertion counts from behind the last element
		}
		if i < 0 || i == len(holder.kids) && !insert {
			t.lost = true
			return
		}
	}
	if insert {
		i = max(i, 0)
		holder.kids = append(holder.kids, nil)
		copy(holder.kids[i+1:], holder.kids[i:])
	}
	holder.kids[i] = n
}

// inner is what n, a copy of all of it, holds by a key or index, with where that has been. If n is nil, nothing is known
// but the place p of n.
func (n *node) inner(p place, key string, i int) (*node, place) {
	if n == nil {
		return nil, within(p, key)
	}
	if i >= len(n.kids) || n.kids[i].key != key {
		if i = n.index(key); i < 0 || i >= len(n.kids) {
			return nil, hidden
		}
	}
	return n.kids[i], *n.kids[i].been
}
