package rules_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestEnvNames(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"an env name that holds its value": {patchtest.Rich, `[{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"TOKEN=secret"}}]`, `op 1 (add "/spec/containers/0/env/-"): the name of env 2 of container "main" is malformed: use printable ASCII characters except =`},
		"an env without a name":            {patchtest.Rich, `[{"op":"add","path":"/spec/containers/0/env/-","value":{"NAME":"A","value":"secret"}}]`, `op 1 (add "/spec/containers/0/env/-"): env 2 of container "main" has no "name": write {"name":"…","value":"…"}`},
		"an env whose name is empty":       {patchtest.Rich, `[{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"","value":"secret"}}]`, `op 1 (add "/spec/containers/0/env/-"): env 2 of container "main" has no "name": write {"name":"…","value":"…"}`},
	})
}

func TestEnvNamesAccepts(t *testing.T) {
	patchtest.Accepted(t, map[string]patchtest.Case{
		"an env name with odd characters": {patchtest.Rich, `[{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"a b/c:1"}}]`},
	})
}
