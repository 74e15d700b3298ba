package rules

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// labelSyntax refuses a patch that brings a malformed key or value of a label, as a kube-apiserver 1.36 does
// (apimachinery's ValidateLabels).
func labelSyntax(c *apply.Change, _ *Settings) (found []Finding) {
	before, after := c.Before.Get("metadata", "labels"), c.After.Get("metadata", "labels")
	if before == after {
		return nil
	}
	after.Each(func(key string, value *jsontree.Node) {
		if found != nil { // the first is enough: for each, LastOp goes through all ops
			return
		}
		was := before.Get(key)
		var text string
		switch {
		case was == nil && len(validation.IsQualifiedName(key)) > 0:
			text = fmt.Sprintf("label key %s is malformed: %s", apply.Quote(key), keyRemedy(key))
		case !jsontree.Same(was, value) && len(validation.IsValidLabelValue(value.Text())) > 0:
			text = fmt.Sprintf("the value of label %s is malformed: "+shortName, apply.Quote(key))
		default:
			return
		}
		found = refuse(c.LastOp(jsontree.Pointer{"metadata", "labels", key}), text)
	})
	return found
}
