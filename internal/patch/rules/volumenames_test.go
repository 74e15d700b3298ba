package rules_test

import (
	"strings"
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestVolumeNames(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"two volumes of a name": {patchtest.Rich, `[{"op":"add","path":"/spec/volumes/-","value":{"name":"v"}}]`, `op 1 (add "/spec/volumes/-"): the Pod would have two volumes named "v": give the new one another name`},
	})
}

func TestVolumeNamesAccepts(t *testing.T) {
	patchtest.Accepted(t, map[string]patchtest.Case{
		"a duplicate that goes again": {patchtest.Rich, `[{"op":"add","path":"/spec/volumes/-","value":{"name":"v"}},{"op":"remove","path":"/spec/volumes/0"}]`},
		"what was wrong before":       {strings.Replace(patchtest.Rich, `{"name":"w","emptyDir"`, `{"name":"v","emptyDir"`, 1), `[{"op":"add","path":"/spec/volumes/-","value":{"name":"x"}}]`},
	})
}
