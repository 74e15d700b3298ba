package rules_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestDerivedAlone(t *testing.T) {
	const remedy = ", and rejects any other value: set "
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"another priority":    {priority, `[{"op":"replace","path":"/spec/priority","value":7}]`, `op 1 (replace "/spec/priority"): the API server computes spec.priority from spec.priorityClassName` + remedy + `spec.priorityClassName instead`},
		"a priority":          {patchtest.Bare, `[{"op":"add","path":"/spec/priority","value":7}]`, `op 1 (add "/spec/priority"): the API server computes spec.priority from spec.priorityClassName` + remedy + `spec.priorityClassName instead`},
		"a preemption policy": {priority, `[{"op":"add","path":"/spec/preemptionPolicy","value":"Never"}]`, `op 1 (add "/spec/preemptionPolicy"): the API server computes spec.preemptionPolicy from spec.priorityClassName` + remedy + `spec.priorityClassName instead`},
		"an overhead":         {patchtest.Bare, `[{"op":"add","path":"/spec/overhead","value":{}}]`, `op 1 (add "/spec/overhead"): the API server computes spec.overhead from spec.runtimeClassName` + remedy + `spec.runtimeClassName instead`},
		"more overhead":       {overhead, `[{"op":"add","path":"/spec/overhead/memory","value":"1"}]`, `op 1 (add "/spec/overhead/memory"): the API server computes spec.overhead from spec.runtimeClassName` + remedy + `spec.runtimeClassName instead`},
	})
	patchtest.Accepted(t, map[string]patchtest.Case{
		"a priority removed":        {priority, `[{"op":"remove","path":"/spec/priority"}]`},
		"the same priority":         {priority, `[{"op":"replace","path":"/spec/priority","value":0},{"op":"add","path":"/metadata/labels/x","value":"y"}]`},
		"an overhead removed":       {overhead, `[{"op":"remove","path":"/spec/overhead"}]`},
		"something else altogether": {priority, `[{"op":"add","path":"/spec/hostname","value":"x"}]`},
	})
}
