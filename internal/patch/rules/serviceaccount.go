package rules

import (
	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// serviceAccountAlias refuses a patch that sets the old name of serviceAccountName to something else. The API
// server would ignore it without a word (pkg/apis/core/v1 Convert_v1_PodSpec_To_core_PodSpec).
func serviceAccountAlias(c *apply.Change, _ *Settings) []Finding {
	alias := jsontree.Pointer{"spec", serviceAccount[1]}
	name := c.After.Get("spec", serviceAccount[0])
	if unset(name) || !differ(c, alias) || unset(c.After.Get(alias...)) || jsontree.Same(name, c.After.Get(alias...)) {
		return nil
	}
	return refuse(c.LastOp(alias), "spec.serviceAccount is the old name of spec.serviceAccountName, which wins: set spec.serviceAccountName instead")
}
