package patch

import (
	"encoding/json"

	"github.com/txn2/amp/endpoints/jsonpointer"
	"github.com/txn2/amp/internal/jsonscan"
	"github.com/txn2/amp/internal/patch/jsontree"
	"github.com/txn2/amp/internal/review"
)

// Annotate returns the ops that set an annotation on the Pod. They apply to any Pod that [Checker.Check]
// returned. AMP_PATCH_DENY does not matter here: it is for endpoints.
func Annotate(pod json.RawMessage, key, value string) []review.Op {
	root := jsontree.NewDocument(jsonscan.String(pod))
	var ops []review.Op
	add := func(path, value string) {
		ops = append(ops, review.Op{Op: "add", Path: path, Value: json.RawMessage(value)})
	}
	if root.Get("metadata").IsNull() {
		add("/metadata", "{}")
	}
	if root.Get("metadata", "annotations").IsNull() {
		add("/metadata/annotations", "{}")
	}
	add("/metadata/annotations/"+jsonpointer.Escape(key), jsontree.Quote(value))
	return ops
}

// Unannotate returns the op that takes an annotation off the Pod, none if the Pod does not have it.
func Unannotate(pod json.RawMessage, key string) []review.Op {
	if jsontree.NewDocument(jsonscan.String(pod)).Get("metadata", "annotations", key) == nil {
		return nil
	}
	return []review.Op{{Op: "remove", Path: "/metadata/annotations/" + jsonpointer.Escape(key)}}
}
