package jsontree

import "slices"

// Edit returns a node with the value of n that may be changed: n itself if it came from Edit, else a copy, which
// the caller puts where n was. n must be an object or a list.
func (n *Node) Edit() *Node {
	if n.editable {
		return n
	}
	n.expand()
	return &Node{
		raw: n.raw, kind: n.kind, expanded: true, editable: true, original: n.original, op: n.op,
		level: &level{members: copyWithRoom(n.members), elements: copyWithRoom(n.elements)},
	}
}

// copyWithRoom copies s so that an append of one more does not copy it again.
func copyWithRoom[T any](s []T) []T {
	if s == nil {
		return nil // an object has no elements, and a list no members
	}
	return append(make([]T, 0, len(s)+1), s...)
}

// EditChild is Edit for the member or element of n at a position, where it puts the copy. n must be editable.
func (n *Node) EditChild(at int) *Node {
	slot := n.child(at)
	*slot = (*slot).Edit()
	return *slot
}

// Set gives the object n a member, in the place of the one with that key if there is one, and returns its
// position. n must be editable.
func (n *Node) Set(key string, value *Node) (at int) {
	if at := n.Find(key); at >= 0 {
		n.members[at].value = value
		return at
	}
	n.append(member{key, Quote(key), value})
	return len(n.members) - 1
}

// append adds a member with a new key.
func (n *Node) append(m member) {
	n.members = append(n.members, m)
	if n.positions != nil {
		n.positions[m.key] = len(n.members) - 1
	}
}

// Insert puts an element into the list n at an index, before what is there. n must be editable.
func (n *Node) Insert(at int, value *Node) { n.elements = slices.Insert(n.elements, at, value) }

// Replace puts a value in the place of the member or element of n at a position. n must be editable.
func (n *Node) Replace(at int, value *Node) { *n.child(at) = value }

// Remove takes away the member or element of n at a position. n must be editable.
func (n *Node) Remove(at int) {
	if n.kind == List {
		n.elements = slices.Delete(n.elements, at, at+1)
		return
	}
	if n.positions != nil {
		delete(n.positions, n.members[at].key)
	}
	// The place stays, empty: many removals that each move up the rest would take quadratic time.
	n.members[at].value = nil
}

// MovedBy returns n as the op with that number moved it: a copy, unless n came from Edit.
func (n *Node) MovedBy(op int) *Node {
	if n.editable {
		n.op = int32(op)
		return n
	}
	c := *n
	c.op = int32(op)
	// Its children get the number when they are read again.
	c.expanded, c.level = false, none
	return &c
}
