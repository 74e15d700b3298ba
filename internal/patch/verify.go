package patch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"
)

// verify has the API server's own libraries decide: json-patch.v4 applies the patch, and the result is
// decoded as a Pod. They see a sparse Pod, which holds what the ops touch and stubs for what stands beside
// it in lists; the whole one would cost five times as much and tell no more.
//
// It adds a warning for what the patch brings and no Pod has.
func (a *application) verify() error {
	sparse := a.before.appendSparse(nil, false)
	if a.tests {
		// A test compares text. Both sides of it reach the API server with <, > and & escaped, for Go's
		// encoder writes the Pod and amp's answer.
		sparse = escapeHTML(sparse)
	}
	ops := a.library()
	result, err := applyLibrary(ops, sparse)
	if err != nil {
		// It does not say where. What fails after some ops fails after more of them, too.
		at := sort.Search(len(ops)-1, func(i int) bool {
			_, err := applyLibrary(ops[:i+1], sparse)
			return err != nil
		})
		if op := &a.done[at]; op.Op == "test" {
			return failure(a.numbers[at], op, "the test failed: the value there is the same but spelt otherwise, or a list with null in it: the API server compares text and cannot compare that")
		}
		return failure(a.numbers[at], &a.done[at], "the API server's patch library (json-patch.v4) does not take it")
	}
	if !Same(result, a.after.appendSparse(nil, false)) {
		return a.fail("the API server's patch library (json-patch.v4) makes something else of the patch than amp does: this is a bug of amp's")
	}

	strict, err := decode(result)
	if err != nil {
		return a.misfit(sparse)
	}
	if len(strict) > 0 {
		a.warnUnknown()
	}
	return nil
}

// misfit is the failure of a patch whose result is no Pod, sparse being the Pod as it came.
func (a *application) misfit(sparse []byte) error {
	var first *misfit
	misfits(a.after, podSchema(), "", 0, func(m misfit) {
		if first == nil && m.op != 0 && m.problem != "" {
			first = &m
		}
	})
	if first != nil {
		return failure(first.op, &a.given[first.op-1], "%s %s", first.field, first.problem)
	}
	if _, err := decode(sparse); err != nil {
		// It was none before, either: the cluster's API is another than amp's, and so the judge of this.
		return nil
	}
	return a.fail("the result is no Pod that the API server could decode")
}

// decode reads a Pod as the API server does and returns the fields it does not know.
func decode(pod []byte) (unknown []error, err error) {
	return kjson.UnmarshalStrict(pod, &corev1.Pod{}, kjson.DisallowUnknownFields)
}

// library is the ops as the API server's library takes them, what amp's answer would be decoded to.
func (a *application) library() jsonpatch.Patch {
	patch := make(jsonpatch.Patch, len(a.done))
	for i := range a.done {
		op := &a.done[i]
		fields := jsonpatch.Operation{"op": raw(quote(op.Op)), "path": raw(quote(op.Path))}
		switch op.Op {
		case "move", "copy":
			fields["from"] = raw(quote(op.From))
		case "test":
			fields["value"] = raw(string(escapeHTML(op.Value)))
		case "add", "replace":
			fields["value"] = raw(string(op.Value))
		}
		patch[i] = fields
	}
	return patch
}

// raw is a member of an op. What the library decodes from null is nil, which it treats unlike the text.
func raw(text string) *json.RawMessage {
	value := json.RawMessage(bytes.TrimSpace([]byte(text)))
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

// applyLibrary contains the panics of the library, of which it has a few for odd patches.
func applyLibrary(patch jsonpatch.Patch, pod []byte) (result []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("json-patch.v4 panicked: %v", p)
		}
	}()
	return patch.Apply(pod)
}

// appendSparse appends the part of n that the ops need; all of it if whole, or if it came with an op. Of an
// object it leaves out the members that no op looked at, in a list there are stubs for such elements.
func (n *node) appendSparse(b []byte, whole bool) []byte {
	whole = whole || n.base == nil || n.base.seen == needWhole
	switch {
	case whole && !n.owned:
		return append(b, n.raw...)
	case !n.expanded:
		return n.appendStub(b)
	}
	return n.appendLevel(b, func(b []byte, child *node) []byte {
		switch {
		case whole || child.base == nil || child.base.seen != needNothing:
			return child.appendSparse(b, whole)
		case n.kind == '[':
			return child.appendStub(b)
		}
		return b
	})
}

// appendStub appends an empty value of n's kind.
func (n *node) appendStub(b []byte) []byte {
	switch n.kind {
	case '{':
		return append(b, "{}"...)
	case '[':
		return append(b, "[]"...)
	case '"':
		return append(b, `""`...)
	}
	return append(b, n.raw...)
}
