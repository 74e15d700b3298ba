package rules_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestRepeatedKey(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"a key twice in a value":      {patchtest.Bare, `[{"op":"add","path":"/metadata/labels","value":{"a":"1","b":"2","\u0061":"3"}}]`, `op 1 (add "/metadata/labels"): its value has the key "a" twice in one object`},
		"a key twice deep in a value": {patchtest.Bare, `[{"op":"add","path":"/spec/x","value":[{"a":{"b":1,"b":2}}]}]`, `op 1 (add "/spec/x"): its value has the key "b" twice in one object`},
	})
}
