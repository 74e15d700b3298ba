package jsontree

// AppendJSON appends the JSON text of n to dst.
func (n *Node) AppendJSON(dst []byte) []byte {
	if !n.editable {
		return append(dst, n.raw...)
	}
	return n.appendLevel(dst, func(dst []byte, child *Node) []byte { return child.AppendJSON(dst) })
}

// Raw returns the JSON text of n, which [Node.Edit] must not have made.
func (n *Node) Raw() string { return n.raw }

// A need says how much of an original value the ops need, that is, how much of it another program must see to
// apply them with the same result.
type need uint8

const (
	needNothing  need = iota
	needPresence      // that it is there, and those of its children that are needed themselves
	needWhole         // all of its value
)

// NeedPresence notes that the ops need to know that n is there. n may be absent.
func (n *Node) NeedPresence() { n.need(needPresence) }

func (n *Node) need(much need) {
	if n != nil && n.original != nil && n.original.needed < much {
		n.original.needed = much
	}
}

// Needed reports whether the ops need n, or something in it, and whether they need all of n.
func (n *Node) Needed() (inside, whole bool) {
	if n == nil || n.original == nil {
		return false, false
	}
	return n.original.needed != needNothing, n.original.needed == needWhole
}

// NeedWhole notes that the ops need all of n.
func (n *Node) NeedWhole() {
	if !n.editable {
		n.need(needWhole)
		return
	}
	// What an op puts below n later is new, or was moved and is noted then.
	if n.needsAll {
		return
	}
	n.needsAll = true
	n.need(needPresence)
	for i := range n.members {
		if value := n.members[i].value; value != nil {
			value.NeedWhole()
		}
	}
	for _, element := range n.elements {
		element.NeedWhole()
	}
}

// AppendSparse appends the part of n that the ops need, and all that came with an op. It leaves out the
// members of objects that no op needs, and writes empty values for such elements of lists. A document before
// a patch and the document after it are sparse in the same places.
func (n *Node) AppendSparse(dst []byte) []byte { return n.appendSparse(dst, false) }

func (n *Node) appendSparse(dst []byte, whole bool) []byte {
	whole = whole || n.original == nil || n.original.needed == needWhole
	switch {
	case whole && !n.editable:
		return append(dst, n.raw...)
	case !n.expanded:
		return n.appendEmpty(dst)
	}
	return n.appendLevel(dst, func(dst []byte, child *Node) []byte {
		switch {
		case whole || child.original == nil || child.original.needed != needNothing:
			return child.appendSparse(dst, whole)
		case n.kind == List:
			return child.appendEmpty(dst)
		}
		return dst
	})
}

// AppendBrought appends what came with an op, and the objects and lists that it is in. It leaves out all that was there before,
// also from lists, so that an index means nothing. If nothing came with an op, it may append nothing.
func (n *Node) AppendBrought(dst []byte) []byte {
	switch {
	case n.op != 0:
		return n.AppendJSON(dst)
	case !n.editable:
		return dst
	}
	return n.appendLevel(dst, func(dst []byte, child *Node) []byte { return child.AppendBrought(dst) })
}

// appendEmpty appends an empty value of n's kind, which stands for n.
func (n *Node) appendEmpty(dst []byte) []byte {
	switch n.kind {
	case Object:
		return append(dst, "{}"...)
	case List:
		return append(dst, "[]"...)
	case String:
		return append(dst, `""`...)
	}
	return append(dst, n.raw...)
}

// appendLevel appends the expanded object or list n. The function appends each child; one for which it appends nothing is left
// out, key included.
func (n *Node) appendLevel(dst []byte, appendChild func(dst []byte, child *Node) []byte) []byte {
	dst = append(dst, byte(n.kind))
	start := len(dst)
	for i := range n.members {
		m := &n.members[i]
		if m.value == nil {
			continue
		}
		before := len(dst)
		if before > start {
			dst = append(dst, ',')
		}
		dst = append(dst, m.quoted...)
		dst = append(dst, ':')
		value := len(dst)
		if dst = appendChild(dst, m.value); len(dst) == value {
			dst = dst[:before]
		}
	}
	for _, element := range n.elements {
		before := len(dst)
		if before > start {
			dst = append(dst, ',')
		}
		value := len(dst)
		if dst = appendChild(dst, element); len(dst) == value {
			dst = dst[:before]
		}
	}
	return append(dst, byte(n.kind)+2) // } is two after {, and ] after [
}
