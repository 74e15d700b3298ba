package patch

import (
	"encoding/json"
	"strings"

	"github.com/txn2/amp/internal/review"
)

var escape = strings.NewReplacer("~", "~0", "/", "~1")

// Annotate returns the ops that set an annotation on the Pod. They apply to any Pod that [Checker.Check]
// returned; what AMP_PATCH_DENY keeps from endpoints is no matter here.
func Annotate(pod json.RawMessage, key, value string) []review.Op {
	root := newNode(string(pod), 0)
	var ops []review.Op
	add := func(path, value string) {
		ops = append(ops, review.Op{Op: "add", Path: path, Value: json.RawMessage(value)})
	}
	if root.get("metadata").null() {
		add("/metadata", "{}")
	}
	if root.get("metadata", "annotations").null() {
		add("/metadata/annotations", "{}")
	}
	add("/metadata/annotations/"+escape.Replace(key), quote(value))
	return ops
}
