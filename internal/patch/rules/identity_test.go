package rules_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestIdentity(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"another name":            {patchtest.Rich, `[{"op":"replace","path":"/metadata/name","value":"x"}]`, `op 1 (replace "/metadata/name"): a patch may not change metadata.name: leave it as it is`},
		"another name from above": {patchtest.Rich, `[{"op":"add","path":"/metadata","value":{"name":"x","namespace":"ns"}}]`, `op 1 (add "/metadata"): a patch may not change metadata.name: leave it as it is`},
		"no kind":                 {patchtest.Rich, `[{"op":"remove","path":"/kind"}]`, `op 1 (remove "/kind"): a patch may not change kind: leave it as it is`},
		"another apiVersion":      {patchtest.Rich, `[{"op":"replace","path":"/apiVersion","value":"v2"}]`, `op 1 (replace "/apiVersion"): a patch may not change apiVersion: leave it as it is`},
		"another namespace":       {patchtest.Rich, `[{"op":"replace","path":"/metadata/namespace","value":"x"}]`, `op 1 (replace "/metadata/namespace"): a patch may not change metadata.namespace: leave it as it is`},
		"a name for generateName": {patchtest.Bare, `[{"op":"add","path":"/metadata/name","value":"x"}]`, `op 1 (add "/metadata/name"): a patch may not change metadata.name: leave it as it is`},
		"another generateName":    {patchtest.Bare, `[{"op":"remove","path":"/metadata/generateName"}]`, `op 1 (remove "/metadata/generateName"): a patch may not change metadata.generateName: leave it as it is`},
		"a status":                {patchtest.Rich, `[{"op":"add","path":"/status/phase","value":"Running"}]`, `op 1 (add "/status/phase"): a patch may not change status: leave it as it is`},
		"an ephemeral container":  {patchtest.Rich, `[{"op":"add","path":"/spec/ephemeralContainers/-","value":{"name":"x"}}]`, `op 1 (add "/spec/ephemeralContainers/-"): a patch may not change spec.ephemeralContainers: leave it as it is`},
		"another owner":           {patchtest.Owned, `[{"op":"replace","path":"/metadata/ownerReferences/0/controller","value":false}]`, `op 1 (replace "/metadata/ownerReferences/0/controller"): a patch may not change metadata.ownerReferences: leave it as it is`},
		"a finalizer":             {patchtest.Bare, `[{"op":"add","path":"/metadata/finalizers/-","value":"a/b"}]`, `op 1 (add "/metadata/finalizers/-"): a patch may not change metadata.finalizers: leave it as it is`},
		"a deletionTimestamp":     {patchtest.Bare, `[{"op":"add","path":"/metadata/deletionTimestamp","value":"2026-01-02T03:04:05Z"}]`, `op 1 (add "/metadata/deletionTimestamp"): a patch may not change metadata.deletionTimestamp: leave it as it is`},
	})
}

func TestIdentityAccepts(t *testing.T) {
	patchtest.Accepted(t, map[string]patchtest.Case{
		"an empty status": {patchtest.Bare, `[{"op":"add","path":"/status","value":{}}]`},
	})
}
