package rules

import (
	"fmt"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// fixed are the fields that no patch changes: what identifies the Pod, who owns it, and what its creator does
// not set.
var fixed = []jsontree.Pointer{
	{"apiVersion"},
	{"kind"},
	{"metadata", "name"},
	{"metadata", "generateName"},
	{"metadata", "namespace"},
	{"metadata", "ownerReferences"},
	{"metadata", "finalizers"},
	{"metadata", "deletionTimestamp"},
	{"spec", "ephemeralContainers"},
	{"status"},
}

// identity refuses a patch that changes one of the fixed fields.
func identity(c *apply.Change, _ *Settings) []Finding {
	for _, field := range fixed {
		before, after := c.Before.Get(field...), c.After.Get(field...)
		if !jsontree.Same(before, after) && !(empty(before) && empty(after)) {
			return refuse(c.LastOp(field), fmt.Sprintf("a patch may not change %s: leave it as it is", field))
		}
	}
	return nil
}

// empty reports whether the API server reads n, in one of the fixed fields, as if it were absent.
func empty(n *jsontree.Node) bool {
	switch n.Kind() {
	case jsontree.Absent, jsontree.Null:
		return true
	case jsontree.Object:
		members := 0
		n.Each(func(string, *jsontree.Node) { members++ })
		return members == 0
	case jsontree.List:
		return len(n.List()) == 0
	case jsontree.String:
		return n.Text() == ""
	}
	return false
}
