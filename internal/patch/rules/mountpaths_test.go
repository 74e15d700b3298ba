package rules_test

import (
	"strings"
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestMountPaths(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"two mounts at a path": {patchtest.Rich, `[{"op":"add","path":"/spec/containers/0/volumeMounts/-","value":{"name":"w","mountPath":"/v"}}]`, `op 1 (add "/spec/containers/0/volumeMounts/-"): container "main" would have two mounts at the same mountPath, of the volumes "v" and "w"`},
	})
}

// TestMountPathsOfAnotherContainer is about a flaw that one container had before, and another one has since.
func TestMountPathsOfAnotherContainer(t *testing.T) {
	const twice = `"volumeMounts":[{"name":"v","mountPath":"/v"},{"name":"w","mountPath":"/v"}]`
	was := strings.Replace(patchtest.Rich, `"volumeMounts":[{"name":"v","mountPath":"/v"}]`, twice, 1)
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"the same two mounts": {was, `[{"op":"copy","from":"/spec/containers/0/volumeMounts","path":"/spec/containers/1/volumeMounts"}]`,
			`op 1 (copy "/spec/containers/1/volumeMounts" from "/spec/containers/0/volumeMounts"): container "side" would have two mounts at the same mountPath, of the volumes "v" and "w"`},
	})
	patchtest.Warned(t, map[string]patchtest.Warning{
		"the container that had them, moved": {Pod: was, Ops: `[{"op":"move","from":"/spec/containers/0","path":"/spec/containers/1"}]`, Warnings: []string{
			`op 1 (move "/spec/containers/1" from "/spec/containers/0"): puts container "side" before the first one, "main", which other tools take for the main one: put it at the end ("-")`}},
	})
}

func TestMountPathsAccepts(t *testing.T) {
	patchtest.Accepted(t, map[string]patchtest.Case{
		"a path mounted in another container": {patchtest.Rich, `[{"op":"add","path":"/spec/containers/1/volumeMounts/-","value":{"name":"v","mountPath":"/v"}}]`},
	})
}
