package apply_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/patchtest"
)

// change applies a patch to the Pod.
func change(t *testing.T, pod, ops string) *apply.Change {
	t.Helper()
	c, err := apply.Apply(t.Context(), json.RawMessage(pod), patchtest.Ops(t, ops), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChange(t *testing.T) {
	c := change(t, patchtest.Rich, `[
		{"op":"test","path":"/kind","value":"Pod"},
		{"op":"add","path":"/spec/initContainers/-1/env/-","value":{"name":"A"}},
		{"op":"add","path":"/metadata/annotations","value":{}},
		{"op":"move","from":"/spec/volumes/-1","path":"/spec/volumes/0"},
		{"op":"replace","path":"/metadata/labels/app","value":"w"},
		{"op":"remove","path":"/spec/nodeName"},
		{"op":"copy","from":"/spec/priority","path":"/spec/x"}]`)

	if want := []int{1, 2, 2, 3, 4, 5, 6, 7}; !slices.Equal(c.Numbers, want) || len(c.Ops) != len(want) || c.Ops[1].Path != "/spec/initContainers/-1/env" {
		t.Errorf("the ops %v have the numbers %v, want %v", c.Ops, c.Numbers, want)
	}
	var touched []string
	for _, touch := range c.Touched {
		touched = append(touched, string(rune('0'+touch.Op))+" "+touch.Place.String())
	}
	want := []string{"2 spec.initContainers.0.env.0", "3 metadata.annotations", "4 spec.volumes.1", "4 spec.volumes.0", "5 metadata.labels.app", "6 spec.nodeName", "7 spec.x"}
	if !slices.Equal(touched, want) {
		t.Errorf("the touched places are %q, want %q", touched, want)
	}
	if d := c.Dropped; len(d) != 1 || d[0].Op != 3 || !slices.Equal(apply.Names(d[0].Entries), []string{"a/b", "c~d"}) {
		t.Errorf("the dropped keys are %+v", d)
	}
	if got := string(c.Before.AppendJSON(nil)); got != patchtest.Rich {
		t.Errorf("before is %s", got)
	}
	for keys, op := range map[string]int{"spec nodeName": 0, "metadata annotations": 3, "spec x": 7, "metadata labels app": 5} {
		if got := c.After.Get(strings.Fields(keys)...).Op(); got != op {
			t.Errorf("%s came with op %d, want %d", keys, got, op)
		}
	}
	if c.Empty() {
		t.Error("the patch changed nothing")
	}
}

func TestLastOp(t *testing.T) {
	c := change(t, patchtest.Rich, `[
		{"op":"replace","path":"/spec/containers/0/image","value":"j"},
		{"op":"add","path":"/metadata/labels/x","value":"y"},
		{"op":"replace","path":"/spec/containers/1","value":{"name":"side"}},
		{"op":"test","path":"/kind","value":"Pod"}]`)
	for text, want := range map[string]int{
		"/spec/containers/0/image":     1,
		"/spec/containers/0":           1,
		"/spec/containers/1/image":     3,
		"/spec/containers/*/image":     3,
		"/spec":                        3,
		"/metadata":                    2,
		"/metadata/labels/y":           4, // no op changed it
		"/spec/containers/0/imagePull": 4,
	} {
		p, err := apply.ParsePointer(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.LastOp(p); got != want {
			t.Errorf("LastOp(%s) = %d, want %d", text, got, want)
		}
	}
}

// TestVerifyReturnsANewChange: nothing alters a Change that a step has returned.
func TestVerifyReturnsANewChange(t *testing.T) {
	c := change(t, patchtest.Rich, `[{"op":"add","path":"/spec/x","value":1},{"op":"add","path":"/spec/hostNetwork","value":"true"}]`)
	verified, err := c.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if verified.Invalid == nil || c.Invalid != nil {
		t.Errorf("Invalid = %v, and %v before", verified.Invalid, c.Invalid)
	}
	if c.WasInvalid() {
		t.Error("the Pod was not valid before")
	}
	c = change(t, patchtest.Rich, `[{"op":"add","path":"/spec/x","value":1}]`)
	if verified, err = c.Verify(t.Context()); err != nil || verified.Invalid != nil || len(verified.Unknown) != 1 || len(c.Unknown) != 0 {
		t.Errorf("verified = %+v, error = %v", verified, err)
	}
}

func TestParsePointer(t *testing.T) {
	for text, want := range map[string]int{strings.Repeat("/a", 64): 64, strings.Repeat("/a", 65): 0, "": 0, "spec": 0, "/": 1} {
		if p, err := apply.ParsePointer(text); len(p) != want || (err == nil) != (want > 0) {
			t.Errorf("ParsePointer(%q) = %q, %v; want %d segments", text, p, err, want)
		}
	}
}
