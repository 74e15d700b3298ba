package patch_test

import (
	"encoding/json"
	"testing"

	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/patch/patchtest"
)

// A strict checker refuses an unknown field of which another one warns, and is like that one in all else.
func TestStrict(t *testing.T) {
	lenient, err := patch.New([]string{"/spec/nodeName"})
	if err != nil {
		t.Fatal(err)
	}
	strict := lenient.Strict()
	for ops, want := range map[string]string{
		`[{"op":"add","path":"/spec/contianers","value":[]}]`:    `op 1 (add "/spec/contianers"): spec.contianers is unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers"? (the namespace has amp.txn2.com/unknown-fields: Fail)`,
		`[{"op":"add","path":"/spec/nodeName","value":"x"}]`:     `op 1 (add "/spec/nodeName"): an endpoint may not change "/spec/nodeName" (AMP_PATCH_DENY)`,
		`[{"op":"add","path":"/metadata/labels/x","value":"y"}]`: "",
	} {
		got := ""
		if _, err := strict.Check(t.Context(), "ns", json.RawMessage(patchtest.Bare), patchtest.Ops(t, ops)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", ops, got, want)
		}
	}
	checked, err := lenient.Check(t.Context(), "ns", json.RawMessage(patchtest.Bare), patchtest.Ops(t, `[{"op":"add","path":"/spec/contianers","value":[]}]`))
	if err != nil || len(checked.Warnings) != 1 {
		t.Errorf("the checker itself became strict: %v, %q", err, checked.Warnings)
	}
}
