package rules

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// annotationKeys refuses a patch that brings a malformed key of an annotation, as a kube-apiserver 1.36 does
// (apimachinery's ValidateAnnotations). Unlike in labels, the DNS name in the key may have capital letters.
func annotationKeys(c *apply.Change, _ *Settings) (found []Finding) {
	before, after := c.Before.Get("metadata", "annotations"), c.After.Get("metadata", "annotations")
	if before == after {
		return nil
	}
	after.Each(func(key string, _ *jsontree.Node) {
		// The first is enough: for each, LastOp goes through all ops.
		if found == nil && before.Get(key) == nil && len(validation.IsQualifiedName(strings.ToLower(key))) > 0 {
			found = refuse(c.LastOp(jsontree.Pointer{"metadata", "annotations", key}),
				fmt.Sprintf("annotation key %s is malformed: %s", apply.Quote(key), keyRemedy(key)))
		}
	})
	return found
}
