package redact

import (
	"encoding/json"
	"slices"

	"github.com/txn2/amp/endpoints/events"
)

// Patch makes the values of a patch such as the level Patch shows them. ops are the ops of all endpoints in their order,
// and pod is the Pod that the first of them changes.
//
// A value is shown only if every place that it passes through may be shown. So Patch follows what is
// moved and copied, in both directions of time: a value that was put at the place of a name and is later moved to that
// of an environment variable is hidden where it was put, too. If Patch cannot follow the ops, it shows no value.
func Patch(pod json.RawMessage, ops []events.Op) {
	written := make([]*node, len(ops))
	lost := false
	if slices.ContainsFunc(ops, relocates) {
		t := tracker{root: newNode(string(pod), root), left: maxSteps}
		for i := 0; i < len(ops) && !t.lost; i++ {
			written[i] = t.follow(&ops[i])
		}
		lost = t.lost
	}
	for i := range ops {
		op := &ops[i]
		switch {
		case op.Value == nil:
		case lost:
			op.Value = json.RawMessage(redacted)
		default:
			op.Value = valueAt(op.Path, op.Value, written[i])
		}
	}
}

// relocates reports whether a value comes to another place than the one where it was written.
func relocates(op events.Op) bool { return op.Op == "move" || op.Op == "copy" }
