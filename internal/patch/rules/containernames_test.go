package rules_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestContainerNames(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"two containers of a name": {patchtest.Rich, `[{"op":"add","path":"/spec/initContainers/0","value":{"name":"side"}}]`, `op 1 (add "/spec/initContainers/0"): the Pod would have two containers named "side", init containers included: give the new one another name`},
		"a renamed container":      {patchtest.Rich, `[{"op":"replace","path":"/spec/containers/1/name","value":"main"}]`, `op 1 (replace "/spec/containers/1/name"): the Pod would have two containers named "main", init containers included: give the new one another name`},
	})
}

func TestContainerNamesAccepts(t *testing.T) {
	patchtest.Accepted(t, map[string]patchtest.Case{
		"a name in both containers and volumes": {patchtest.Rich, `[{"op":"add","path":"/spec/volumes/-","value":{"name":"main"}}]`},
	})
}
