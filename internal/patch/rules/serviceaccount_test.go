package rules_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestServiceAccountAlias(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"the old name alone": {patchtest.Rich, `[{"op":"replace","path":"/spec/serviceAccount","value":"x"}]`, `op 1 (replace "/spec/serviceAccount"): spec.serviceAccount is the old name of spec.serviceAccountName, which wins: set spec.serviceAccountName instead`},
	})
	patchtest.Accepted(t, map[string]patchtest.Case{
		"the new name alone":            {patchtest.Rich, `[{"op":"replace","path":"/spec/serviceAccountName","value":"x"}]`},
		"both names":                    {patchtest.Rich, `[{"op":"replace","path":"/spec/serviceAccountName","value":"x"},{"op":"replace","path":"/spec/serviceAccount","value":"x"}]`},
		"the old name removed":          {patchtest.Rich, `[{"op":"remove","path":"/spec/serviceAccount"}]`},
		"the old name, with no new one": {patchtest.Bare, `[{"op":"add","path":"/spec/serviceAccount","value":"x"}]`},
	})
}
