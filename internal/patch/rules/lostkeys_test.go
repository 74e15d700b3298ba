package rules_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestLostKeys(t *testing.T) {
	patchtest.Warned(t, map[string]patchtest.Warning{
		"a map that loses keys": {
			Pod:      patchtest.Rich,
			Ops:      `[{"op":"add","path":"/metadata/annotations","value":{"c~d":"2","x":"y"}}]`,
			Warnings: []string{`op 1 (add "/metadata/annotations"): drops "a/b" that the Pod had: add single keys to keep the others`},
		},
		"a map that loses more keys than are named": {
			Pod:      patchtest.Owned,
			Ops:      `[{"op":"add","path":"/spec/x","value":{"a":1,"b":1,"c":1,"d":1}},{"op":"add","path":"/spec/x","value":{}},{"op":"remove","path":"/spec/x"},{"op":"add","path":"/metadata/labels/x","value":"y"}]`,
			Warnings: []string{`op 2 (add "/spec/x"): drops "a", "b", "c" and 1 more that the Pod had: add single keys to keep the others`},
		},
		"a map that loses many keys": {
			Pod:      patchtest.Rich,
			Ops:      `[{"op":"add","path":"/spec/containers/0","value":{"name":"x"}},{"op":"add","path":"/spec/volumes/0/x","value":1},{"op":"remove","path":"/spec/volumes/0/x"},{"op":"add","path":"/metadata","value":{"name":"w","namespace":"ns"}}]`,
			Warnings: []string{`op 4 (add "/metadata"): drops "labels", "annotations" that the Pod had: add single keys to keep the others`},
		},
	})
}

func TestLostKeysAccepts(t *testing.T) {
	patchtest.Accepted(t, map[string]patchtest.Case{
		"a replace, which says that it drops keys": {patchtest.Rich, `[{"op":"replace","path":"/metadata/annotations","value":{"x":"y"}}]`},
		"a map written anew that keeps every key":  {patchtest.Rich, `[{"op":"add","path":"/metadata/labels","value":{"app":"x","y":"z"}}]`},
	})
}
