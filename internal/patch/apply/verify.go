package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"

	"github.com/txn2/amp/internal/jsonscan"
	"github.com/txn2/amp/internal/patch/jsontree"
	"github.com/txn2/amp/internal/review"
)

// sparseSize is how many bytes most sparse Pods have at most.
const sparseSize = 512

// Verify lets the API server's own libraries do what [Apply] did: json-patch.v4 applies c.Ops, unless the patch is simple,
// and the decoder reads the result as a Pod. It returns the change with what the decoder says, or an [*Error] if the library
// does not apply the ops, or makes something else of them than c.After, or if ctx ended.
//
// json-patch.v4 gets a sparse Pod, which holds what the ops need and empty values for what is beside it in lists. The decoder
// gets only what the ops brought: no value decodes otherwise because of what is beside it. The whole Pod would cost many times as
// much and tell no more. It is not asked about a simple patch whose values are all plain.
func (c *Change) Verify(ctx context.Context) (*Change, error) {
	if err := Late(ctx, len(c.Given)); err != nil {
		return nil, err
	}
	brings := 0 // bytes, if the patch is simple
	for i := range c.Ops {
		brings += len(c.Ops[i].Value)
	}
	small := brings+c.Before.Length() < alwaysSmall
	if !c.Simple || !small {
		before, sparse := c.sparseBefore(), c.After.AppendSparse(make([]byte, 0, sparseSize))
		if err := c.fits(before, sparse); err != nil {
			return nil, err
		}
		if !c.Simple {
			if err := c.byLibrary(ctx, before, sparse); err != nil {
				return nil, err
			}
		}
		if err := Late(ctx, len(c.Given)); err != nil {
			return nil, err
		}
	}
	verified := *c
	if c.Simple && brings < alwaysSmall && plain(c.After, PodSchema(), false) {
		return &verified, nil
	}
	brought := c.After.AppendBrought(make([]byte, 0, sparseSize))
	if len(brought) == 0 { // tests alone
		return &verified, nil
	}
	if tooLarge(jsontree.NewValue(jsonscan.String(brought), 0)) {
		return nil, c.errorOfLast("the lists of the result have too many elements for amp to read them as a Pod's: bring fewer")
	}
	verified.Unknown, verified.Invalid = decode(brought)
	return &verified, nil
}

// sparseBefore returns the sparse Pod to which the library applies the ops.
func (c *Change) sparseBefore() []byte {
	sparse := c.Before.AppendSparse(make([]byte, 0, sparseSize))
	if slices.ContainsFunc(c.Ops, func(op review.Op) bool { return op.Op == "test" }) {
		// A test compares text. Both its sides reach the API server with <, > and & escaped, because Go's
		// encoder writes the Pod and amp's answer.
		sparse = escapeHTML(sparse)
	}
	return sparse
}

// byLibrary lets json-patch.v4 change the sparse Pod before. meant is the one that [Apply] made. It returns an [*Error] if the
// library does not apply c.Ops, or makes something else of them.
func (c *Change) byLibrary(ctx context.Context, before, meant []byte) error {
	ops := c.libraryOps()
	result, err := applyLibrary(ops, before)
	if err != nil {
		return c.libraryError(ctx, ops, before, err)
	}
	if err := Late(ctx, len(c.Given)); err != nil {
		return err
	}
	if !bytes.Equal(result, meant) && !jsontree.Same(jsontree.NewValue(string(result), 0), jsontree.NewValue(string(meant), 0)) {
		return c.errorOfLast("the API server's patch library (json-patch.v4) makes something else of the patch than amp does: this is a bug in amp")
	}
	return nil
}

// maxWeight bounds the bytes that json-patch.v4 reads and writes, each of which counts for every level that it is in: the
// library reads a value again for each level that an op opens, and writes it again in the end. The deepest field of a Pod is
// a dozen levels down.
const maxWeight = 24 << 20

// fits fails if the sparse Pods and the ops are too much for the library, amp's own or the API server's. What is short
// always fits.
func (c *Change) fits(sparseBefore, sparseAfter []byte) error {
	size := len(sparseBefore)
	for i := range c.Ops {
		size += len(c.Ops[i].Value)
	}
	if size < alwaysSmall {
		return nil
	}
	before, after := string(sparseBefore), string(sparseAfter)
	weight := jsontree.Weight(before, 0) + jsontree.Weight(after, 0)
	for i := range c.Ops {
		weight += jsontree.Weight(string(c.Ops[i].Value), strings.Count(c.Ops[i].Path, "/"))
	}
	switch {
	case weight > maxWeight:
		return c.errorOfLast("the patch changes too much for the depth at which that stands, because the API server reads it again for each level: change less, or less deep")
	case jsontree.Values(before)+jsontree.Values(after) > 2*maxValues:
		return c.errorOfLast("the patch moves, copies and tests more than 100,000 values, or changes lists and objects that hold as many, and amp checks no more: change fewer")
	}
	return nil
}

// errorOfLast is an error that no single op brought.
func (c *Change) errorOfLast(text string) error {
	last := len(c.Given)
	return &Error{Number: last, Op: &c.Given[last-1], Text: text}
}

// WasInvalid reports whether the API server could not have decoded Before as a Pod.
func (c *Change) WasInvalid() bool {
	before := c.Before.AppendSparse(nil)
	if tooLarge(jsontree.NewValue(string(before), 0)) {
		return false
	}
	_, err := decode(before)
	return err != nil
}

// libraryError returns the error of the op because of which the library fails on the sparse Pod. The library's error does
// not say which: the ops up to the failing one fail, and fewer do not. It takes the library a dozen runs to find that out,
// which end with ctx.
func (c *Change) libraryError(ctx context.Context, ops jsonpatch.Patch, sparse []byte, cause error) error {
	var late error
	at := sort.Search(len(ops)-1, func(i int) bool {
		if late == nil {
			late = Late(ctx, len(c.Given))
		}
		if late != nil {
			return true
		}
		_, err := applyLibrary(ops[:i+1], sparse)
		return err != nil
	})
	if late != nil {
		return late
	}
	text := "the API server's patch library (json-patch.v4) rejects it"
	if c.Ops[at].Op == "test" {
		text = "the test failed: the value there is the same but written differently, or contains null: the API server compares text and cannot compare these"
	}
	return &Error{Number: c.Numbers[at], Op: &c.Ops[at], Text: text, Err: cause}
}

// decode reads a Pod, or a part of one, as the API server does. It returns the fields and repeated keys that the API server drops.
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
