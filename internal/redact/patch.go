package redact

import (
	"encoding/json"

	"github.com/tidwall/gjson"

	"github.com/txn2/amp/endpoints/events"
)

// Patch makes the values of a patch such as the level Patch shows them. ops are the ops of all endpoints in their order,
// and pod is the Pod that the first of them changes.
//
// A value is shown only if every place that it passes through may be shown (SPEC, section 6). So Patch follows what is
// moved and copied, in both directions of time: a value that was put at the place of a name and is later moved to that
// of an environment variable is hidden where it was put, too. If Patch cannot follow the ops, it shows no value.
func Patch(pod json.RawMessage, ops []events.Op) {
	written := make([]*node, len(ops))
	if relocates(ops) {
		t := tracker{root: &node{v: &value{raw: gjson.ParseBytes(pod), place: root}}, left: maxSteps}
		for i := range ops {
			if written[i] = t.follow(&ops[i]); t.lost {
				hide(ops)
				return
			}
		}
	}
	for i := range ops {
		if op := &ops[i]; op.Value != nil {
			op.Value = valueAt(placeOf(op.Path), op.Value, written[i])
		}
	}
}

// relocates reports whether a value may come to another place than the one where it was written.
func relocates(ops []events.Op) bool {
	for i := range ops {
		if ops[i].Op == "move" || ops[i].Op == "copy" {
			return true
		}
	}
	return false
}

func hide(ops []events.Op) {
	for i := range ops {
		if ops[i].Value != nil {
			ops[i].Value = json.RawMessage(redacted)
		}
	}
}
