package rules_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestMainContainer(t *testing.T) {
	warned := func(pod, ops, warning string) patchtest.Warning {
		return patchtest.Warning{Pod: pod, Ops: ops, Warnings: []string{warning}}
	}
	patchtest.Warned(t, map[string]patchtest.Warning{
		"a container put before the first one": warned(patchtest.Bare, `[{"op":"add","path":"/spec/containers/0","value":{"name":"proxy","image":"i"}},{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"A"}}]`,
			`op 1 (add "/spec/containers/0"): puts container "proxy" before the first one, "main", which other tools take for the main one: put it at the end ("-")`),
		"a container moved before it": warned(patchtest.Rich, `[{"op":"move","from":"/spec/containers/1","path":"/spec/containers/0"}]`,
			`op 1 (move "/spec/containers/0" from "/spec/containers/1"): puts container "side" before the first one, "main", which other tools take for the main one: put it at the end ("-")`),
		"the first one moved away": warned(patchtest.Rich, `[{"op":"move","from":"/spec/containers/0","path":"/spec/containers/-"}]`,
			`op 1 (move "/spec/containers/-" from "/spec/containers/0"): puts container "side" before the first one, "main", which other tools take for the main one: put it at the end ("-")`),
		"a container copied before it": warned(patchtest.Bare, `[{"op":"copy","from":"/spec/containers/0","path":"/spec/containers/0"},{"op":"replace","path":"/spec/containers/0/name","value":"twin"}]`,
			`op 1 (copy "/spec/containers/0" from "/spec/containers/0"): puts container "twin" before the first one, "main", which other tools take for the main one: put it at the end ("-")`),
		"the list replaced, in another order": warned(patchtest.Bare, `[{"op":"replace","path":"/spec/containers","value":[{"name":"proxy","image":"i"},{"name":"main","image":"i"}]}]`,
			`op 1 (replace "/spec/containers"): puts container "proxy" before the first one, "main", which other tools take for the main one: put it at the end ("-")`),
	})
}

func TestMainContainerAccepts(t *testing.T) {
	patchtest.Accepted(t, map[string]patchtest.Case{
		"a container at the end":                {patchtest.Bare, `[{"op":"add","path":"/spec/containers/-","value":{"name":"proxy","image":"i"}}]`},
		"one after the first":                   {patchtest.Rich, `[{"op":"add","path":"/spec/containers/1","value":{"name":"proxy","image":"i"}}]`},
		"an init container at index 0":          {patchtest.Rich, `[{"op":"add","path":"/spec/initContainers/0","value":{"name":"proxy","image":"i"}}]`},
		"the first one renamed":                 {patchtest.Rich, `[{"op":"replace","path":"/spec/containers/0/name","value":"x"}]`},
		"the first one removed":                 {patchtest.Rich, `[{"op":"remove","path":"/spec/containers/0"}]`},
		"another one put there, and moved away": {patchtest.Bare, `[{"op":"add","path":"/spec/containers/0","value":{"name":"proxy","image":"i"}},{"op":"move","from":"/spec/containers/0","path":"/spec/containers/-"}]`},
		"a Pod that had no containers":          {`{"apiVersion":"v1","kind":"Pod","spec":{}}`, `[{"op":"add","path":"/spec/containers","value":[{"name":"a","image":"i"},{"name":"b","image":"i"}]}]`},
	})
}
