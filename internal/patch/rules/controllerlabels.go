package rules

import (
	"fmt"
	"slices"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// controllerLabels refuses a patch that removes or changes a label of a Pod with a controller. The controller
// finds its Pods by their labels; a ReplicaSet that does not find them creates new ones without end.
func controllerLabels(c *apply.Change, _ *Settings) []Finding {
	before, after := c.Before.Get("metadata", "labels"), c.After.Get("metadata", "labels")
	if before == after || !controlled(c.Before) {
		return nil
	}
	var changed []string
	before.Each(func(key string, value *jsontree.Node) {
		if !jsontree.Same(value, after.Get(key)) {
			changed = append(changed, key)
		}
	})
	if len(changed) == 0 {
		return nil
	}
	return refuse(c.LastOp(jsontree.Pointer{"metadata", "labels", changed[0]}),
		fmt.Sprintf("the Pod belongs to a controller that finds it by its labels: keep %s unchanged, and only add labels", names(changed)))
}

// controlled reports whether the Pod has a controller.
func controlled(pod *jsontree.Node) bool {
	return slices.ContainsFunc(pod.Get("metadata", "ownerReferences").List(), func(owner *jsontree.Node) bool {
		return owner.Get("controller").Kind() == jsontree.True
	})
}
