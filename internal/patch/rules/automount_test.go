package rules_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestAutomountWithoutEffect(t *testing.T) {
	mounted := spec(`"volumes":[{"name":"kube-api-access-x7k","projected":{}}],`)
	patchtest.Warned(t, map[string]patchtest.Warning{
		"the token is mounted already": {
			Pod: mounted, Ops: `[{"op":"add","path":"/spec/automountServiceAccountToken","value":false}]`,
			Warnings: []string{`op 1 (add "/spec/automountServiceAccountToken"): has no effect alone: the API server has mounted the token already; also remove the volume kube-api-access-… and its mounts`},
		},
	})
	patchtest.Accepted(t, map[string]patchtest.Case{
		"no token is mounted":    {patchtest.Bare, `[{"op":"add","path":"/spec/automountServiceAccountToken","value":false}]`},
		"the token is removed":   {mounted, `[{"op":"add","path":"/spec/automountServiceAccountToken","value":false},{"op":"remove","path":"/spec/volumes/0"}]`},
		"the mount is turned on": {mounted, `[{"op":"add","path":"/spec/automountServiceAccountToken","value":true}]`},
	})
}
