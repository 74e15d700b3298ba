package apply

import (
	"fmt"
	"strings"

	"github.com/txn2/amp/internal/patch/jsontree"
)

// The failures of an op whose path, or from, does not lead to where it should. Each names what is there, or is missing,
// and then what to do: the path that was probably meant, or else what helps with this op.

// cannotHold is the failure of an op that goes below the value before segment i of p, which is not an object or a list.
func (a *applier) cannotHold(p jsontree.Pointer, i int, text string) error {
	hint, whole := meant(text)
	if whole {
		return a.fail("%s", hint)
	}
	return a.fail("%s is not an object or a list, so it cannot hold %s%s", Quote(prefix(text, i)), Quote(p[i]), hint)
}

// longPath is how long a path may be that a message shows twice: a warning has 256 characters, and its end is the remedy.
const longPath = 60

// missing is the failure of an op that needs what is at a place, which is a part of a path or from.
func (a *applier) missing(place, text string) error {
	hint, whole := meant(text)
	if whole {
		return a.fail("%s", hint)
	}
	cause := Quote(place) + " is missing"
	if place == text && text == a.op.Path && len(text) > longPath { // the op is named by it already
		cause = "it is missing"
	}
	if a.op.Op == "test" {
		cause = "the test failed: " + cause
	}
	if hint != "" && !isKnown(place) {
		return a.fail("%s, and unknown to amp's Kubernetes %s API%s", cause, APIVersion, hint)
	}
	switch a.op.Op {
	case "replace":
		if place != text && isListAt(place) {
			cause += ": add a whole element at " + Quote(place+"/-") + ", which also creates the list"
		} else {
			cause += ": use add, which also creates missing parents"
		}
	case "remove":
		cause += ": remove only what the Pod has"
	case "move", "copy":
		if text == a.op.From {
			cause += fmt.Sprintf(": %s only what the Pod has", a.op.Op)
		} else {
			cause += ": add it first, because only an add creates missing parents"
		}
	}
	return a.fail("%s", cause)
}

// noIndex is the failure of an op with a segment i of p that is not an index in a list.
func (a *applier) noIndex(list *jsontree.Node, p jsontree.Pointer, i int, text string) error {
	hint, whole := meant(text)
	if whole {
		return a.fail("%s", hint)
	}
	for at, element := range list.List() {
		if p[i] != "" && element.Get("name").Text() == p[i] {
			hint = fmt.Sprintf(": %s is at index %d", Quote(p[i]), at)
			break
		}
	}
	if hint == "" {
		hint = ": name one element, the first by 0"
	}
	return a.fail("%s is a list, and %s is not an index%s", Quote(prefix(text, i)), Quote(p[i]), hint)
}

// pastEnd is the failure of an op with an index in a list of n elements, at segment i of p, that is not less than limit.
func (a *applier) pastEnd(p jsontree.Pointer, i int, text string, n, limit, index int) error {
	hint, whole := meant(text)
	if whole {
		return a.fail("%s", hint)
	}
	cause := size(p[:i], prefix(text, i), n)
	switch {
	case hint != "":
		cause += hint
	case limit > n: // an insertion
		cause += `: "-" adds at the end`
	case n == 0 && a.op.Op == "add":
		cause += fmt.Sprintf(", and amp does not invent the elements of lists: add a whole one at %s first", Quote(prefix(text, i)+"/-"))
	case n > 0 && index == n:
		cause += ", and indices count from 0"
	}
	return a.fail("%s", cause)
}

// size says how many elements a list has, n, which are fewer than an op needs.
func size(list jsontree.Pointer, text string, n int) string {
	if len(list) != 2 || list[0] != "spec" {
		if n == 1 {
			return Quote(text) + " has 1 element"
		}
		return fmt.Sprintf("%s has %d elements", Quote(text), n)
	}
	name := Key(list[1])
	switch n {
	case 0:
		return "the Pod has no " + name
	case 1:
		name = strings.TrimSuffix(name, "s")
	}
	return fmt.Sprintf("the Pod has %d %s", n, name)
}
