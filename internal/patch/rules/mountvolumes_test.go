package rules_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestMountVolumes(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"a mount without volume":              {patchtest.Rich, `[{"op":"add","path":"/spec/initContainers/0/volumeMounts/-","value":{"name":"x","mountPath":"/v"}}]`, `op 1 (add "/spec/initContainers/0/volumeMounts/-"): container "init" would mount volume "x", which the Pod would not have: add the volume or remove the mount`},
		"a volume taken from its mount":       {patchtest.Rich, `[{"op":"remove","path":"/spec/volumes/0"},{"op":"add","path":"/metadata/labels/x","value":"y"}]`, `op 1 (remove "/spec/volumes/0"): container "main" would mount volume "v", which the Pod would not have: add the volume or remove the mount`},
		"all volumes taken from their mounts": {patchtest.Rich, `[{"op":"remove","path":"/spec/volumes"}]`, `op 1 (remove "/spec/volumes"): container "main" would mount volume "v", which the Pod would not have: add the volume or remove the mount`},
	})
}

func TestMountVolumesAccepts(t *testing.T) {
	patchtest.Accepted(t, map[string]patchtest.Case{
		"a mount before its volume":     {patchtest.Bare, `[{"op":"add","path":"/spec/containers/0/volumeMounts/-","value":{"name":"x","mountPath":"/x"}},{"op":"add","path":"/spec/volumes/-","value":{"name":"x"}}]`},
		"a volume taken with its mount": {patchtest.Rich, `[{"op":"remove","path":"/spec/volumes/0"},{"op":"remove","path":"/spec/containers/0/volumeMounts/0"}]`},
	})
}
