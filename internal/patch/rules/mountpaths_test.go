package rules_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestMountPaths(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"two mounts at a path": {patchtest.Rich, `[{"op":"add","path":"/spec/containers/0/volumeMounts/-","value":{"name":"w","mountPath":"/v"}}]`, `op 1 (add "/spec/containers/0/volumeMounts/-"): container "main" would have two mounts at the same mountPath, of the volumes "v" and "w"`},
	})
}

func TestMountPathsAccepts(t *testing.T) {
	patchtest.Accepted(t, map[string]patchtest.Case{
		"a path mounted in another container": {patchtest.Rich, `[{"op":"add","path":"/spec/containers/1/volumeMounts/-","value":{"name":"v","mountPath":"/v"}}]`},
	})
}
