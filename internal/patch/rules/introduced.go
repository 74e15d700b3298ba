package rules

import (
	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// A flaw is something in a Pod that the API server refuses under either failure policy. The rules about flaws
// do as a kube-apiserver 1.36 does (pkg/apis/core/validation, and apimachinery's ValidateAnnotations and
// ValidateLabels).
type flaw struct {
	key   [2]string        // the container, if it is in one, and the name or path: the same flaw may move in a list
	op    int              // the number of the op that brought it, 0 if no single op did
	place jsontree.Pointer // if op is 0: the last op that changed this brought it
	text  func() string    // called for one flaw at most: there may be very many
}

// introduced returns the first flaw that the Pod has only since the patch. What was wrong before is up to
// the API server. Flaws come from changes at the given places; if the patch touched none of them, it brought
// no flaw. The function find returns the flaws of a Pod: with all, every one; without, it may leave
// out those in parts that the patch did not touch, which saves time.
func introduced(c *apply.Change, places []jsontree.Pointer, find func(pod *jsontree.Node, all bool) []flaw) []Finding {
	if !touched(c, places) {
		return nil
	}
	found := find(c.After, false)
	if len(found) == 0 {
		return nil
	}
	had := map[[2]string]bool{}
	for _, f := range find(c.Before, true) {
		had[f.key] = true
	}
	for _, f := range found {
		switch {
		case had[f.key]:
		case f.op != 0:
			return refuse(f.op, f.text())
		default:
			return refuse(c.LastOp(f.place), f.text())
		}
	}
	return nil
}

// touched reports whether the patch touched something at, above or below one of the places.
func touched(c *apply.Change, places []jsontree.Pointer) bool {
	for _, touch := range c.Touched {
		for _, place := range places {
			if place.Overlaps(touch.Place) {
				return true
			}
		}
	}
	return false
}

// latest returns the number of the last op that put one of the values where it is, 0 if none did.
func latest(values ...*jsontree.Node) int {
	op := 0
	for _, value := range values {
		op = max(op, value.Op())
	}
	return op
}
