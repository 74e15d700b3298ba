package redact

import (
	"encoding/json"
	"slices"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/compare"
)

// made is a Pod that a patch makes, as the level Patch shows it. One goroutine at a time may use it.
type made struct {
	t *tracker // nil if nothing came to another place than the one where it was written
}

// newMade returns the Pod that the ops make of pod.
func newMade(pod json.RawMessage, ops []events.Op) *made {
	if !slices.ContainsFunc(ops, relocates) {
		return &made{}
	}
	t := &tracker{root: newNode(string(pod), root), left: maxSteps}
	for i := 0; i < len(ops) && !t.lost; i++ {
		t.follow(&ops[i])
	}
	return &made{t}
}

// value returns value, which the Pod has at the JSON pointer path, as the level Patch shows it: see valueAt. A value that the
// patch moved or copied is shown only if every place that it passed through may be shown.
func (m *made) value(path string, value json.RawMessage) json.RawMessage {
	if m.t == nil {
		return valueAt(path, value, nil)
	}
	n := m.t.copy(m.t.take(path, false))
	if m.t.lost {
		return json.RawMessage(redacted)
	}
	return valueAt(path, value, n)
}

// shown returns how many of the steps of a path may be shown. Fields may not where valueAt redacts the object that they are
// in as a whole, because its keys may be data.
func (m *made) shown(path compare.Place) int {
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
