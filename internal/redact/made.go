package redact

import (
	"encoding/json"
	"slices"

	"github.com/txn2/amp/endpoints/events"
)

// Made is a Pod that a patch makes, as the level Patch shows it. One goroutine at a time may use it.
type Made struct {
	t *tracker // nil if nothing came to another place than the one where it was written
}

// NewMade returns the Pod that the ops make of pod.
func NewMade(pod json.RawMessage, ops []events.Op) *Made {
	if !slices.ContainsFunc(ops, relocates) {
		return &Made{}
	}
	t := &tracker{root: newNode(string(pod), root), left: maxSteps}
	for i := 0; i < len(ops) && !t.lost; i++ {
		t.follow(&ops[i])
	}
	return &Made{t}
}

// Value returns value, which the Pod has at the JSON pointer path, as the level Patch shows it: see [Value]. A value that the
// patch moved or copied is shown only if every place that it passed through may be shown.
func (m *Made) Value(path string, value json.RawMessage) json.RawMessage {
	if m.t == nil {
		return valueAt(path, value, nil)
	}
	n := m.t.copy(m.t.take(path, false))
	if m.t.lost {
		return json.RawMessage(redacted)
	}
	return valueAt(path, value, n)
}

// Step is one step of the way to a place in a Pod.
type Step struct {
	Key  string // a field, or the index of an element
	List bool   // whether Key is an index
}

// Shown returns how many of the steps of a path may be shown. Fields may not where [Value] redacts the object that they are
// in as a whole, because its keys may be data.
func (m *Made) Shown(path []Step) int {
	at := root
	var n *node
	if m.t != nil {
		n = m.t.root
	}
	for i, step := range path {
		if n != nil {
			at = *n.been
		}
		if !step.List && !isObject(at) {
			return i
		}
		if n != nil {
			m.t.open(n)
			kid := n.index(step.Key)
			if m.t.lost || kid < 0 || kid >= len(n.kids) {
				return i
			}
			n = n.kids[kid]
			continue
		}
		at = within(at, step.Key)
	}
	return len(path)
}
