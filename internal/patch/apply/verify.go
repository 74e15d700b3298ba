package apply

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"

	"github.com/txn2/amp/internal/patch/jsontree"
	"github.com/txn2/amp/internal/review"
)

// sparseSize is how many bytes most sparse Pods have at most.
const sparseSize = 512

// Verify lets the API server's own libraries do what [Apply] did: json-patch.v4 applies c.Ops, and the decoder
// reads the result as a Pod. It returns the change with what the decoder says, or a *review.Failure if the
// library does not apply the ops, or makes something else of them than c.After.
//
// The libraries get a sparse Pod, which holds what the ops need and empty values for what is beside it in
// lists. The whole Pod would cost five times as much and tell no more.
func (c *Change) Verify() (*Change, error) {
	sparse := c.Before.AppendSparse(make([]byte, 0, sparseSize))
	if slices.ContainsFunc(c.Ops, func(op review.Op) bool { return op.Op == "test" }) {
		// A test compares text. Both its sides reach the API server with <, > and & escaped, because Go's
		// encoder writes the Pod and amp's answer.
		sparse = escapeHTML(sparse)
	}
	ops := c.libraryOps()
	result, err := applyLibrary(ops, sparse)
	if err != nil {
		return nil, c.libraryFailure(ops, sparse, err)
	}
	if !jsontree.SameText(string(result), string(c.After.AppendSparse(sparse[:0]))) {
		last := len(c.Given)
		return nil, failure(last, &c.Given[last-1], "the API server's patch library (json-patch.v4) makes something else of the patch than amp does: this is a bug in amp", nil)
	}
	verified := *c
	verified.Unknown, verified.Invalid = decode(result)
	return &verified, nil
}

// WasInvalid reports whether the API server could not have decoded Before as a Pod.
func (c *Change) WasInvalid() bool {
	_, err := decode(c.Before.AppendSparse(nil))
	return err != nil
}

// libraryFailure returns the failure of the op because of which the library fails on the sparse Pod. The
// library's error does not say which: the ops up to the failing one fail, and fewer do not.
func (c *Change) libraryFailure(ops jsonpatch.Patch, sparse []byte, cause error) error {
	at := sort.Search(len(ops)-1, func(i int) bool {
		_, err := applyLibrary(ops[:i+1], sparse)
		return err != nil
	})
	text := "the API server's patch library (json-patch.v4) rejects it"
	if c.Ops[at].Op == "test" {
		text = "the test failed: the value there is the same but written differently, or is a list that contains null: the API server compares text and cannot compare these"
	}
	return failure(c.Numbers[at], &c.Ops[at], text, cause)
}

// decode reads a Pod as the API server does. It returns the fields and repeated keys that the API server drops.
func decode(pod []byte) (unknown []error, err error) {
	return kjson.UnmarshalStrict(pod, &corev1.Pod{}, kjson.DisallowUnknownFields)
}

// libraryOps returns the ops as the library decodes them from amp's answer.
func (c *Change) libraryOps() jsonpatch.Patch {
	patch := make(jsonpatch.Patch, len(c.Ops))
	for i := range c.Ops {
		op := &c.Ops[i]
		members := jsonpatch.Operation{"op": member([]byte(jsontree.Quote(op.Op))), "path": member([]byte(jsontree.Quote(op.Path)))}
		switch op.Op {
		case "move", "copy":
			members["from"] = member([]byte(jsontree.Quote(op.From)))
		case "test":
			members["value"] = member(escapeHTML(op.Value))
		case "add", "replace":
			members["value"] = member(bytes.Clone(op.Value))
		}
		patch[i] = members
	}
	return patch
}

// member returns a member of an op. The library decodes null to nil, which it treats differently from the text.
func member(text []byte) *json.RawMessage {
	value := json.RawMessage(bytes.TrimSpace(text))
	if string(value) == "null" {
		return nil
	}
	return &value
}

func escapeHTML(text []byte) []byte {
	var b bytes.Buffer
	json.HTMLEscape(&b, text)
	return b.Bytes()
}

// A libraryPanic is the error of a patch on which the library panicked.
type libraryPanic struct{ value any }

func (p *libraryPanic) Error() string { return fmt.Sprintf("json-patch.v4 panicked: %v", p.value) }

// applyLibrary contains the panics of the library, which has a few for odd patches.
func applyLibrary(patch jsonpatch.Patch, pod []byte) (result []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &libraryPanic{p}
		}
	}()
	return patch.Apply(pod)
}
