package rules

import (
	"strings"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// automountWithoutEffect warns of a patch that turns the mount of the token off, after the API server has
// mounted the token (plugin/pkg/admission/serviceaccount Admit).
func automountWithoutEffect(c *apply.Change, _ *Settings) []Finding {
	field := jsontree.Pointer{"spec", "automountServiceAccountToken"}
	if c.After.Get(field...).Kind() != jsontree.False || !differ(c, field) {
		return nil
	}
	for _, volume := range c.After.Get("spec", "volumes").List() {
		if strings.HasPrefix(volume.Get("name").Text(), "kube-api-access-") {
			return []Finding{{Severity: Warn, Op: c.LastOp(field),
				Text: "has no effect alone: the API server has mounted the token already; also remove the volume kube-api-access-… and its mounts"}}
		}
	}
	return nil
}
