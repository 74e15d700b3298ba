package rules_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestControllerLabels(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"a controller's label gone": {patchtest.Owned, `[{"op":"add","path":"/metadata/labels","value":{"hash":"1","x":"y"}}]`, `op 1 (add "/metadata/labels"): the Pod belongs to a controller that finds it by its labels: keep "app" unchanged, and only add labels`},
		"a controller's label new":  {patchtest.Owned, `[{"op":"replace","path":"/metadata/labels/hash","value":"2"}]`, `op 1 (replace "/metadata/labels/hash"): the Pod belongs to a controller that finds it by its labels: keep "hash" unchanged, and only add labels`},
	})
}

func TestControllerLabelsAccepts(t *testing.T) {
	patchtest.Accepted(t, map[string]patchtest.Case{
		"a label more on a controller's Pod": {patchtest.Owned, `[{"op":"add","path":"/metadata/labels/x","value":"y"}]`},
		"a controller's labels written anew": {patchtest.Owned, `[{"op":"add","path":"/metadata/labels","value":{"hash":"1","app":"w","x":"y"}}]`},
		"any label without a controller":     {patchtest.Rich, `[{"op":"remove","path":"/metadata/labels/app"}]`},
	})
}
