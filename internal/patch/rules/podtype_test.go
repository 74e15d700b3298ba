package rules_test

import (
	"encoding/json"
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestPodType(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"a label that is true":            {patchtest.Bare, `[{"op":"add","path":"/metadata/labels/x","value":true}]`, `op 1 (add "/metadata/labels/x"): metadata.labels["x"] must be a string, not true or false: write it in quotes`},
		"a list for a map":                {patchtest.Bare, `[{"op":"add","path":"/metadata/labels","value":[]}]`, `op 1 (add "/metadata/labels"): metadata.labels must be an object, not a list`},
		"a string for a flag":             {patchtest.Bare, `[{"op":"add","path":"/spec/hostNetwork","value":"true"}]`, `op 1 (add "/spec/hostNetwork"): spec.hostNetwork must be true or false, not a string: write it without quotes`},
		"a string for a list":             {patchtest.Bare, `[{"op":"add","path":"/metadata/labels/x","value":"y"},{"op":"add","path":"/spec/volumes","value":"x"}]`, `op 2 (add "/spec/volumes"): spec.volumes must be a list, not a string`},
		"a number for a label":            {patchtest.Bare, `[{"op":"add","path":"/metadata/labels/x","value":1},{"op":"add","path":"/metadata/labels/y","value":"1"}]`, `op 1 (add "/metadata/labels/x"): metadata.labels["x"] must be a string, not a number: write it in quotes`},
		"a string for a port":             {patchtest.Bare, `[{"op":"add","path":"/spec/containers/0/ports/-","value":{"containerPort":"80"}}]`, `op 1 (add "/spec/containers/0/ports/-"): spec.containers[0].ports[0].containerPort must be a number, not a string: write it without quotes`},
		"a fraction for a port":           {patchtest.Bare, `[{"op":"add","path":"/spec/containers/0/ports/-","value":{"containerPort":80.5}}]`, `op 1 (add "/spec/containers/0/ports/-"): spec.containers[0].ports[0].containerPort must be a whole number of 32 bits`},
		"an object for a string":          {patchtest.Bare, `[{"op":"add","path":"/metadata/name/x","value":"y"}]`, `op 1 (add "/metadata/name/x"): "/metadata/name" is not an object or a list, so it cannot hold "x"`},
		"a quantity that is none":         {patchtest.Bare, `[{"op":"add","path":"/spec/containers/0/resources/limits/cpu","value":"much"}]`, `op 1 (add "/spec/containers/0/resources/limits/cpu"): spec.containers[0].resources.limits["cpu"] is not a valid quantity: write a number and a unit, such as "500m", "1Gi" or "1G"`},
		"what was moved to a wrong place": {patchtest.Rich, `[{"op":"move","from":"/spec/containers/0/image","path":"/spec/volumes/-"}]`, `op 1 (move "/spec/volumes/-" from "/spec/containers/0/image"): spec.volumes[2] must be an object, not a string`},
	})
}

// TestPodTypeOfAnotherAPI is about Pods that amp could not decode before the patch: the cluster's API is newer.
func TestPodTypeOfAnotherAPI(t *testing.T) {
	for sentence, test := range map[string]patchtest.Case{
		"a Pod that is a type amp does not know, in the way": {`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"c","image":{"newer":true}}]}}`, `[{"op":"test","path":"/spec/containers/0","value":{"name":"c","image":{"newer":true}}},{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"X"}}]`},
		"a Pod that is a type amp does not know":             {`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"c","image":{"newer":true}}]}}`, `[{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"X"}}]`},
	} {
		t.Run(sentence, func(t *testing.T) {
			checked, err := patchtest.NewChecker(t).Check(t.Context(), "ns", json.RawMessage(test[0]), patchtest.Ops(t, test[1]))
			if err != nil {
				t.Fatal(err)
			}
			if len(checked.Warnings) > 0 {
				t.Errorf("warnings: %q", checked.Warnings)
			}
		})
	}
}
