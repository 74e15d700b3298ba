package redact

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/endpoints/jsonpointer"
)

// maxSteps bounds the work for one patch and the memory that it takes: the values that are looked at, and those that a
// move or a copy takes along. A Pod of JupyterHub has some 500 values, and few of them are ever looked at.
const maxSteps = 100_000

// A value is what the Pod came with, or what an op wrote. All copies of it share it.
type value struct {
	raw     gjson.Result
	place   place // what may be shown of it: the least of all places where it has been
	opened  bool
	members map[string]*value
	list    []*value
}

// A node is a place in the Pod and the value that is there now. As long as it is not opened, it is v as it was written.
type node struct {
	v       *value
	opened  bool
	members map[string]*node
	list    []*node
}

// A tracker applies ops to a Pod, as far as is necessary to know where each value has been.
type tracker struct {
	root *node
	left int  // of maxSteps
	lost bool // an op cannot be followed
}

// follow applies an op. It returns the values that the op writes or names, nil if there are none.
func (t *tracker) follow(op *events.Op) (written *node) {
	switch op.Op {
	case "add", "replace":
		v := &value{raw: gjson.ParseBytes(op.Value), place: placeOf(op.Path)}
		t.put(op.Path, &node{v: v}, op.Op == "add")
		return &node{v: v}
	case "remove":
		t.take(op.Path)
	case "move":
		n := t.take(op.From)
		t.put(op.Path, n, true)
		t.touch(n, placeOf(op.Path))
	case "copy":
		n := t.copy(t.at(op.From))
		t.put(op.Path, n, true)
		t.touch(n, placeOf(op.Path))
	case "test":
		return t.copy(t.at(op.Path))
	}
	return nil
}

// step counts one step of the work. It reports whether the ops can still be followed.
func (t *tracker) step() bool {
	t.left--
	t.lost = t.lost || t.left < 0
	return !t.lost
}

// touch notes that what is at n has come to the place p.
func (t *tracker) touch(n *node, p place) {
	if n == nil || !t.step() {
		return
	}
	if !n.opened {
		t.touchValue(n.v, p)
		return
	}
	n.v.place = meet(n.v.place, p)
	for key, member := range n.members {
		t.touch(member, within(p, key))
	}
	for _, element := range n.list {
		t.touch(element, within(p, "-"))
	}
}

func (t *tracker) touchValue(v *value, p place) {
	if !t.step() {
		return
	}
	v.place = meet(v.place, p)
	for key, member := range v.members {
		t.touchValue(member, within(p, key))
	}
	for _, element := range v.list {
		t.touchValue(element, within(p, "-"))
	}
}

// open makes nodes of what is in n.
func (t *tracker) open(n *node) {
	if n.opened {
		return
	}
	t.openValue(n.v)
	n.opened = true
	if n.v.members != nil {
		n.members = make(map[string]*node, len(n.v.members))
	}
	for key, member := range n.v.members {
		n.members[key] = &node{v: member}
	}
	for _, element := range n.v.list {
		n.list = append(n.list, &node{v: element})
	}
}

func (t *tracker) openValue(v *value) {
	if v.opened {
		return
	}
	v.opened = true
	if v.raw.IsObject() {
		v.members = map[string]*value{}
	}
	if !v.raw.IsObject() && !v.raw.IsArray() {
		return
	}
	v.raw.ForEach(func(key, member gjson.Result) bool {
		if v.raw.IsObject() {
			v.members[key.String()] = &value{raw: member, place: within(v.place, key.String())}
		} else {
			v.list = append(v.list, &value{raw: member, place: within(v.place, "-")})
		}
		return t.step()
	})
}

// copy returns a node like n, with the same values.
func (t *tracker) copy(n *node) *node {
	if n == nil || !t.step() {
		return nil
	}
	c := *n
	if n.members != nil {
		c.members = make(map[string]*node, len(n.members))
	}
	for key, member := range n.members {
		c.members[key] = t.copy(member)
	}
	c.list = nil
	for _, element := range n.list {
		c.list = append(c.list, t.copy(element))
	}
	return &c
}

// holder returns the object or list that holds the place of a pointer, and its key there. It is opened.
func (t *tracker) holder(pointer string) (*node, string) {
	parent, last, n := "", strings.LastIndexByte(pointer, '/'), t.root
	if last < 0 {
		t.lost = true // the whole Pod, or no pointer
		return nil, ""
	}
	for parent != pointer[:last] {
		segment, _, _ := strings.Cut(pointer[len(parent)+1:last], "/")
		parent = pointer[:len(parent)+1+len(segment)]
		key := jsonpointer.Unescape(segment)
		inner := t.member(n, key)
		switch {
		case inner != nil:
		case n.members != nil: // a Pod that the ops do not apply to: whatever is there, they know it only from now on
			inner = &node{v: &value{raw: gjson.Parse("{}"), place: placeOf(parent)}}
			n.members[key] = inner
		default:
			t.lost = true
			return nil, ""
		}
		n = inner
	}
	t.step()
	t.open(n)
	return n, jsonpointer.Unescape(pointer[last+1:])
}

// member is what n holds at a key, nil if it holds nothing there.
func (t *tracker) member(n *node, key string) *node {
	t.open(n)
	if n.members != nil {
		return n.members[key]
	}
	if i, ok := index(key, len(n.list)); ok {
		return n.list[i]
	}
	return nil
}

// index reads the place of an element in a list of n. The API server's library counts from the end below 0.
func index(key string, n int) (int, bool) {
	i, err := strconv.Atoi(key)
	if i < 0 {
		i += n
	}
	return i, err == nil && i >= 0 && i < n
}

// at returns what is at a pointer: nil for nothing, which the API server's library copies as null.
func (t *tracker) at(pointer string) *node {
	holder, key := t.holder(pointer)
	if t.lost {
		return nil
	}
	n := t.member(holder, key)
	if n == nil {
		n = nothing()
	}
	return n
}

// nothing stands for what is not there. What an op says about it is not shown.
func nothing() *node { return &node{v: &value{place: hidden}} }

// take removes what is at a pointer, and returns it.
func (t *tracker) take(pointer string) *node {
	holder, key := t.holder(pointer)
	if t.lost {
		return nil
	}
	n := t.member(holder, key)
	switch i, ok := index(key, len(holder.list)); {
	case holder.members != nil:
		delete(holder.members, key)
	case ok:
		holder.list = slices.Delete(holder.list, i, i+1)
	default:
		t.lost = true
	}
	if n == nil {
		n = nothing()
	}
	return n
}

// put sets what is at a pointer. With insert, the elements of a list from there on make room.
func (t *tracker) put(pointer string, n *node, insert bool) {
	holder, key := t.holder(pointer)
	if t.lost {
		return
	}
	if holder.members != nil {
		holder.members[key] = n
		return
	}
	if !holder.v.raw.IsArray() {
		t.lost = true
		return
	}
	i, ok := index(key, len(holder.list))
	switch {
	case ok && !insert:
		holder.list[i] = n
	case ok:
		holder.list = slices.Insert(holder.list, i, n)
	case insert && (key == "-" || key == strconv.Itoa(len(holder.list))):
		holder.list = append(holder.list, n)
	default:
		t.lost = true
	}
}

// inner is what n holds at a key or index, with the place that counts for it; p is n's own. The node is nil if nothing in it
// was looked at, and so everything in it has been where n has been.
func (n *node) inner(p place, key string, i int) (*node, place) {
	var in *node
	switch {
	case n == nil, !n.opened && !n.v.opened:
		return nil, within(p, key)
	case n.opened && n.members != nil:
		in = n.members[key]
	case n.opened && i < len(n.list):
		in = n.list[i]
	case n.v.members != nil:
		in = &node{v: n.v.members[key]}
	case i < len(n.v.list):
		in = &node{v: n.v.list[i]}
	}
	if in == nil || in.v == nil {
		return nil, hidden
	}
	return in, in.v.place
}
