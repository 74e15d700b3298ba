package patch

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/txn2/amp/internal/review"
)

const (
	// maxOps is the API server's own limit for the ops of a PATCH request (maxJSONPatchOperations in its
	// endpoints/handlers). It sets none for webhooks, who had better keep to it too.
	maxOps = 10_000
	// maxCopied is what the API server allows all the copies of one patch to add: its limit for a request.
	maxCopied = 3 << 20
	// maxLevels bounds how deep the value of an op, or what it moves or copies, may nest. The deepest field of
	// a Pod is at a dozen levels; json-patch.v4 reads a value anew for each level of it.
	maxLevels = 100
)

func init() {
	// The library knows no options but these variables. It is set as the API server sets it.
	jsonpatch.AccumulatedCopySizeLimit = maxCopied
}

// An application is a patch on its way through a Pod: op by op, so that the op that fails is known and what
// it found there.
type application struct {
	given         []review.Op // what the endpoint sent
	before, after *node

	done    []review.Op // the ops so far, with those that make missing parents
	numbers []int       // for each of done the number of the endpoint's op, from 1
	touched []touch
	tests   bool // one of them is a test
	copied  int  // bytes

	number   int        // of the op at hand
	op       *review.Op // at hand
	warnings []string
}

// A touch is a place that an op changes.
type touch struct {
	number int // of the op
	at     pointer
}

// apply applies the op of that number.
func (a *application) apply(number int, op *review.Op) error {
	a.number, a.op = number, op
	var do func(pointer) error
	switch op.Op {
	case "add":
		do = a.add
	case "remove":
		do = a.remove
	case "replace":
		do = a.replace
	case "move":
		do = a.move
	case "copy":
		do = a.copy
	case "test":
		do = a.test
	default:
		return a.fail("it is no op of RFC 6902: use add, remove, replace, move, copy or test, in lower case")
	}
	path, err := a.pointer("path", op.Path)
	if err != nil {
		return err
	}
	if err := do(path); err != nil {
		return err
	}
	a.note(*op)
	return nil
}

// note adds an op to those that are answered.
func (a *application) note(op review.Op) {
	a.done = append(a.done, op)
	a.numbers = append(a.numbers, a.number)
}

func (a *application) touch(at pointer) { a.touched = append(a.touched, touch{a.number, at}) }

func (a *application) add(path pointer) error {
	value, err := a.value()
	if err != nil {
		return err
	}
	parent, err := a.open(path, a.op.Path, making)
	if err != nil {
		return err
	}
	if parent.kind == '{' {
		a.warnLost(parent.get(path[len(path)-1]), value)
	}
	return a.put(parent, path, value)
}

func (a *application) remove(path pointer) error {
	parent, err := a.open(path, a.op.Path, changing)
	if err != nil {
		return err
	}
	_, err = a.take(parent, path, a.op.Path)
	if err == nil {
		a.touch(path)
	}
	return err
}

func (a *application) replace(path pointer) error {
	value, err := a.value()
	if err != nil {
		return err
	}
	parent, err := a.open(path, a.op.Path, changing)
	if err != nil {
		return err
	}
	last := len(path) - 1
	if parent.kind == '{' {
		return a.put(parent, path, value) // of what is not there, too: json-patch.v4 lets that pass
	}
	at, err := a.index(parent, path, last, a.op.Path, len(parent.elements))
	if err != nil {
		return err
	}
	parent.elements[at] = value
	a.touch(path)
	return nil
}

func (a *application) move(path pointer) error {
	from, err := a.pointer("from", a.op.From)
	if err != nil {
		return err
	}
	if len(from) < len(path) && slices.Equal(from, path[:len(from)]) {
		return a.fail("nothing can be moved into itself")
	}
	parent, err := a.open(from, a.op.From, changing)
	if err != nil {
		return err
	}
	value, err := a.take(parent, from, a.op.From)
	if err != nil {
		return err
	}
	a.touch(from)
	if err := a.fits(value, path); err != nil {
		return err
	}
	value.wantWhole()
	if parent, err = a.open(path, a.op.Path, changing); err != nil {
		return err
	}
	return a.put(parent, path, value.by(a.number))
}

func (a *application) copy(path pointer) error {
	from, err := a.pointer("from", a.op.From)
	if err != nil {
		return err
	}
	source, err := a.look(from, a.op.From)
	if err != nil {
		return err
	}
	if source == nil {
		return a.fail("there is nothing at %s to copy", shown(a.op.From))
	}
	if err := a.fits(source, path); err != nil {
		return err
	}
	source.wantWhole()
	parent, err := a.open(path, a.op.Path, changing)
	if err != nil {
		return err
	}
	text := source.appendJSON(nil)
	if compact, err := json.Marshal(json.RawMessage(text)); err == nil {
		text = compact // as the library does, which counts it so
	}
	if a.copied += len(text); a.copied > maxCopied {
		return a.fail("the patch copies more than 3 MiB in all, which is the API server's limit")
	}
	return a.put(parent, path, newNode(string(text), a.number))
}

func (a *application) test(path pointer) error {
	value, err := a.value()
	if err != nil {
		return err
	}
	a.tests = true
	found, err := a.look(path, a.op.Path)
	if err != nil {
		return err
	}
	if found == nil {
		if value.null() {
			return nil // what is not there is null to json-patch.v4
		}
		return a.fail("the test failed: nothing is there")
	}
	if err := a.fits(found, path); err != nil {
		return err
	}
	found.wantWhole()
	if !same(found, value, 0) {
		return a.fail("the test failed: the value there is another")
	}
	return nil
}

// value is the op's, checked for what would confuse the reader of the result.
func (a *application) value() (*node, error) {
	if len(a.op.Value) == 0 {
		return nil, a.fail("it has no value")
	}
	if !json.Valid(a.op.Value) {
		return nil, a.fail("its value is not valid JSON")
	}
	value := newNode(string(a.op.Value), a.number)
	if value.levels() > maxLevels {
		return nil, a.fail("its value nests deeper than %d levels, no field of a Pod does", maxLevels)
	}
	if key := repeated(value); key != "" {
		return nil, a.fail("its value has the key %s twice in one object", shown(unquote(key)))
	}
	return value, nil
}

// repeated is a key, in quotes, that n or something in it has twice; "" if there is none.
func repeated(n *node) string {
	n.expand()
	if n.repeated != "" {
		return n.repeated
	}
	for i := range n.members {
		if key := repeated(n.members[i].value); key != "" {
			return key
		}
	}
	for _, e := range n.elements {
		if key := repeated(e); key != "" {
			return key
		}
	}
	return ""
}

// fits fails the op if n is too deep to be worked on at p.
func (a *application) fits(n *node, p pointer) error {
	if len(p)+n.levels() > maxLevels+maxSegments {
		return a.fail("the result nests deeper than %d levels, no field of a Pod does", maxLevels)
	}
	return nil
}

func (a *application) pointer(what, text string) (pointer, error) {
	p, err := parsePointer(text)
	if err == nil {
		return p, nil
	}
	if what == "from" && text == "" {
		return nil, a.fail("it has no \"from\", or that is the whole Pod: name a field")
	}
	return nil, a.fail("its %s is no pointer to a field: %v", what, err)
}

// How the parents of a place are opened.
type opening int

const (
	reading  opening = iota
	changing         // they will be changed
	making           // and made, where they are missing
)

// open returns the object or list that holds the last segment of p, whose text is text. It makes plain
// indices of p's segments up to there.
func (a *application) open(p pointer, text string, how opening) (*node, error) {
	slot := &a.after
	for i, segment := range p {
		n := *slot
		n.want(needPresence)
		switch n.kind {
		case '{', '[':
		default:
			return nil, a.fail("%s is no object or list, so it can hold no %s", shown(prefix(text, i)), shown(segment))
		}
		if how == reading {
			n.expand()
		} else {
			n = own(slot)
		}
		if i == len(p)-1 {
			return n, nil
		}

		if n.kind == '[' {
			at, err := a.index(n, p, i, text, len(n.elements))
			if err != nil {
				return nil, err
			}
			slot = &n.elements[at]
			if (*slot).null() {
				return nil, a.fail("%s is null, and elements of lists are not made up", shown(prefix(text, i+1)))
			}
			continue
		}
		at := n.find(segment)
		if at < 0 || n.members[at].value.null() {
			if how != making {
				return nil, a.fail("%s is missing, and only an add has its parents made", shown(prefix(text, i+1)))
			}
			if at >= 0 {
				n.members[at].value.want(needPresence)
			}
			empty := "{}"
			if isList(p[:i+1], p[i+1]) {
				empty = "[]"
			}
			a.note(review.Op{Op: "add", Path: prefix(text, i+1), Value: json.RawMessage(empty)})
			n.set(segment, newNode(empty, a.number))
			at = n.find(segment)
		}
		slot = &n.members[at].value
	}
	panic("a pointer without segments") // parsePointer returns none
}

// look returns what is at p, nil if nothing is.
func (a *application) look(p pointer, text string) (*node, error) {
	parent, err := a.open(p, text, reading)
	if err != nil {
		return nil, err
	}
	if parent.kind == '{' {
		return parent.get(p[len(p)-1]), nil
	}
	at, err := a.index(parent, p, len(p)-1, text, len(parent.elements))
	if err != nil {
		return nil, err
	}
	return parent.elements[at], nil
}

// put adds value at p, of which parent is the parent: into a list before what is there, in an object in its
// place.
func (a *application) put(parent *node, p pointer, value *node) error {
	last := len(p) - 1
	if parent.kind == '{' {
		if old := parent.get(p[last]); old != nil {
			old.want(needPresence)
		}
		parent.set(p[last], value)
		a.touch(p)
		return nil
	}
	if p[last] == "-" {
		p[last] = strconv.Itoa(len(parent.elements))
	}
	at, err := a.index(parent, p, last, a.op.Path, len(parent.elements)+1)
	if err != nil {
		return err
	}
	parent.elements = slices.Insert(parent.elements, at, value)
	a.touch(p)
	return nil
}

// take removes what is at p, of which parent is the parent.
func (a *application) take(parent *node, p pointer, text string) (*node, error) {
	last := len(p) - 1
	if parent.kind == '{' {
		at := parent.find(p[last])
		if at < 0 {
			return nil, a.fail("there is nothing at %s: take only what the Pod has", shown(text))
		}
		value := parent.members[at].value
		value.want(needPresence)
		parent.remove(at)
		return value, nil
	}
	at, err := a.index(parent, p, last, text, len(parent.elements))
	if err != nil {
		return nil, err
	}
	value := parent.elements[at]
	parent.elements = slices.Delete(parent.elements, at, at+1)
	return value, nil
}

// index reads segment i of p as an index in list, less than limit, and writes it back plain. What is an
// index is json-patch.v4's view: negative ones count from the end.
func (a *application) index(list *node, p pointer, i int, text string, limit int) (int, error) {
	at, err := strconv.Atoi(p[i])
	switch {
	case p[i] == "-":
		return 0, a.fail("%s names no element: only an add may end in \"-\"", shown(prefix(text, i+1)))
	case err != nil:
		return 0, a.fail("%s is a list: %s is no index in it", shown(prefix(text, i)), shown(p[i]))
	case at >= limit || at < -limit:
		return 0, a.fail("%s", a.size(p[:i], prefix(text, i), len(list.elements)))
	case at < 0:
		at += limit
	}
	p[i] = strconv.Itoa(at)
	return at, nil
}

// size says how many elements a list has that were too few.
func (a *application) size(p pointer, text string, n int) string {
	if len(p) != 2 || p[0] != "spec" {
		return fmt.Sprintf("%s has %d elements", shown(text), n)
	}
	name := bare(p[1])
	switch n {
	case 0:
		return "the Pod has no " + name
	case 1:
		name = strings.TrimSuffix(name, "s")
	}
	return fmt.Sprintf("the Pod has %d %s", n, name)
}

// fail is the failure of the op at hand.
func (a *application) fail(format string, args ...any) error {
	return failure(a.number, a.op, format, args...)
}

// failure is the failure of an op. What the arguments show must be no value of the Pod or of the patch:
// they may be secrets.
func failure(number int, op *review.Op, format string, args ...any) error {
	return &review.Failure{Result: review.ResultPatch, Cause: describe(number, op) + ": " + fmt.Sprintf(format, args...)}
}

// describe names an op as people are to find it in what the endpoint sent.
func describe(number int, op *review.Op) string {
	name := op.Op
	switch name {
	case "move", "copy":
		return fmt.Sprintf("op %d (%s %s from %s)", number, name, shown(op.Path), shown(op.From))
	case "add", "remove", "replace", "test":
	default:
		name = shown(name)
	}
	return fmt.Sprintf("op %d (%s %s)", number, name, shown(op.Path))
}

// shown is a text that the endpoint chose, short and in quotes, so that no control character comes through.
func shown(text string) string { return strconv.Quote(review.Clip(text, 100)) }
