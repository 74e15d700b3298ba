package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/txn2/amp/endpoints/jsonpointer"
	"github.com/txn2/amp/internal/patch/jsontree"
	"github.com/txn2/amp/internal/review"
)

// maxSegments bounds a pointer. The deepest field of a Pod is a dozen segments down; without a bound, a patch
// of a few paths could create hundreds of thousands of parents.
const maxSegments = 64

// ParsePointer reads a JSON pointer to a field of a Pod. Its error is a sentence about the pointer.
func ParsePointer(text string) (jsontree.Pointer, error) {
	switch {
	case text == "":
		return nil, errors.New("it is the whole Pod, which a patch may not replace or read: name a field")
	case strings.Count(text, "/") > maxSegments:
		return nil, fmt.Errorf("it has more than %d segments; no field of a Pod is that deep", maxSegments)
	}
	return jsonpointer.Parse(text)
}

// pointer reads the member path or from of the current op.
func (a *applier) pointer(member, text string) (jsontree.Pointer, error) {
	p, err := ParsePointer(text)
	if err == nil {
		return p, nil
	}
	if member == "from" && text == "" {
		return nil, a.fail(`it has no "from", or its "from" is the whole Pod: name a field`)
	}
	hint, _ := meant(text)
	return nil, a.fail("its %s is not a pointer to a field: %v%s", member, err, hint)
}

// An opening says why the parents of a place are opened.
type opening int

const (
	reading  opening = iota
	changing         // an op changes them
	creating         // an op changes them, and those that are missing are created
)

// open returns the object or list that holds the last segment of p, whose text is text. In p it makes the
// indices up to there plain.
func (a *applier) open(p jsontree.Pointer, text string, why opening) (*jsontree.Node, error) {
	n := a.change.After
	if err := a.countOpened(n); err != nil {
		return nil, err
	}
	if why != reading && isContainer(n) {
		n = n.Edit()
		a.change.After = n
	}
	for i := 0; ; i++ {
		n.NeedPresence()
		if !isContainer(n) {
			return nil, a.cannotHold(p, i, text)
		}
		if i == len(p)-1 {
			return n, nil
		}
		at, err := a.step(n, p, i, text, why)
		if err != nil {
			return nil, err
		}
		child := n.Child(at)
		if err := a.countOpened(child); err != nil {
			return nil, err
		}
		if why == reading || !isContainer(child) {
			n = child
		} else {
			n = n.EditChild(at)
		}
	}
}

// countOpened counts the children of what the current op opens, before they take memory. A short text has few.
func (a *applier) countOpened(n *jsontree.Node) error {
	if n.Length() >= alwaysSmall {
		if err := a.count(n.Unread()); err != nil {
			return err
		}
	}
	if n.RepeatsKey() {
		a.change.Simple = false
	}
	return nil
}

func isContainer(n *jsontree.Node) bool {
	return n.Kind() == jsontree.Object || n.Kind() == jsontree.List
}

// step returns the position of segment i of p in n, the value of the segments before it. A member that is
// missing or null is created if that is why the parents are opened.
func (a *applier) step(n *jsontree.Node, p jsontree.Pointer, i int, text string, why opening) (at int, err error) {
	if n.Kind() == jsontree.List {
		at, err := a.element(n, p, i, text, len(n.List()))
		if err == nil && n.Child(at).IsNull() {
			err = a.fail("%s is null, and amp does not invent the elements of lists: replace the whole element", Quote(prefix(text, i+1)))
		}
		return at, err
	}
	at = n.Find(p[i])
	if at >= 0 && !n.Child(at).IsNull() {
		return at, nil
	}
	if why != creating {
		return -1, a.missing(prefix(text, i+1), text)
	}
	empty := emptyParent(p[:i+1], p[i+1])
	if empty == "" {
		return -1, a.cannotHold(p, i+1, text)
	}
	if at >= 0 { // null
		a.change.Simple = false
		n.Child(at).NeedPresence()
	}
	a.answer(review.Op{Op: "add", Path: prefix(text, i+1), Value: json.RawMessage(empty)})
	return n.Set(p[i], jsontree.NewValue(empty, a.number)), nil
}

// look returns what is at p, nil if nothing is.
func (a *applier) look(p jsontree.Pointer, text string) (*jsontree.Node, error) {
	parent, err := a.open(p, text, reading)
	if err != nil {
		return nil, err
	}
	last := len(p) - 1
	if parent.Kind() == jsontree.Object {
		return parent.Get(p[last]), nil
	}
	at, err := a.element(parent, p, last, text, len(parent.List()))
	if err != nil {
		return nil, err
	}
	return parent.Child(at), nil
}

// put adds a value at p, whose parent is parent: to a list before what is there, to an object in its place.
func (a *applier) put(parent *jsontree.Node, p jsontree.Pointer, value *jsontree.Node) error {
	last := len(p) - 1
	if parent.Kind() == jsontree.Object {
		parent.Get(p[last]).NeedPresence()
		parent.Set(p[last], value)
		a.touch(p)
		return nil
	}
	size := len(parent.List())
	copied := size
	if p[last] == "-" {
		p[last], copied = strconv.Itoa(size), 0
	}
	at, err := a.element(parent, p, last, a.op.Path, size+1)
	if err != nil {
		return err
	}
	if err := a.shift(size-at, copied); err != nil {
		return err
	}
	parent.Insert(at, value)
	a.touch(p)
	return nil
}

// take removes what is at p, whose parent is parent.
func (a *applier) take(parent *jsontree.Node, p jsontree.Pointer, text string) (*jsontree.Node, error) {
	last := len(p) - 1
	var at int
	if parent.Kind() == jsontree.Object {
		if at = parent.Find(p[last]); at < 0 {
			return nil, a.missing(text, text)
		}
		parent.Child(at).NeedPresence()
	} else {
		var err error
		if at, err = a.element(parent, p, last, text, len(parent.List())); err != nil {
			return nil, err
		}
		size := len(parent.List())
		if err := a.shift(size-at-1, size); err != nil {
			return nil, err
		}
	}
	value := parent.Child(at)
	parent.Remove(at)
	return value, nil
}

// shift counts the elements that the current op moves up or down in a list, and those that json-patch.v4 copies for it.
func (a *applier) shift(moved, copied int) error {
	const remedy = `: add at the end ("-"), or replace the list as a whole`
	a.shifted, a.copiedElements = a.shifted+moved, a.copiedElements+copied
	switch {
	case a.shifted > maxShifted:
		return a.fail("the patch moves more than 1,000,000 elements within lists, in all" + remedy)
	case a.copiedElements > maxCopiedElements:
		return a.fail("the patch changes long lists so often that the API server would copy more than 20,000,000 elements" + remedy)
	}
	return nil
}

// element reads segment i of p as an index in list, less than limit, and makes it plain in p. An index is
// what json-patch.v4 takes for one: negative ones count from the end.
func (a *applier) element(list *jsontree.Node, p jsontree.Pointer, i int, text string, limit int) (int, error) {
	at, err := strconv.Atoi(p[i])
	switch {
	case p[i] == "-":
		return 0, a.fail(`%s does not name an element: only an add may end in "-"; use an index`, Quote(prefix(text, i+1)))
	case err != nil:
		return 0, a.noIndex(list, p, i, text)
	case at >= limit || at < -limit:
		return 0, a.pastEnd(p, i, text, len(list.List()), limit, at)
	case at < 0:
		at += limit
	}
	if plain := strconv.Itoa(at); plain != p[i] {
		a.change.Simple = false
		p[i] = plain
	}
	return at, nil
}

// prefix returns the part of the text of a pointer that holds its first n segments.
func prefix(text string, n int) string {
	for i := range len(text) {
		if text[i] == '/' {
			if n == 0 {
				return text[:i]
			}
			n--
		}
	}
	return text
}
