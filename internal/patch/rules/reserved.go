package rules

import (
	"slices"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
	"github.com/txn2/amp/internal/review"
)

var (
	optOut = jsontree.Pointer{"metadata", "labels", review.OptOutLabel}
	stamp  = jsontree.Pointer{"metadata", "annotations", review.StampAnnotation}
)

// reserved refuses a patch that changes one of the two keys on a Pod that are not an endpoint's: the label by which a Pod
// opts out of amp, and the stamp, by which amp names the Pod's event.
//
// A Pod that is a copy of a stamped one comes with a stamp. It may get lost with the object that holds it: the patch that
// sets all annotations anew is good for the Pod that was copied, and amp does not leave that stamp on a Pod anyway.
func reserved(c *apply.Change, _ *Settings) []Finding {
	if c.Before.Get("metadata") == c.After.Get("metadata") {
		return nil
	}
	// null is not the same as nothing: the API server reads it as the empty text.
	if !jsontree.Same(c.Before.Get(optOut...), c.After.Get(optOut...)) {
		return refuse(c.LastOp(optOut), "a patch may not change the label "+review.OptOutLabel+", by which a Pod opts out of amp: leave it as it is")
	}
	was, is := c.Before.Get(stamp...), c.After.Get(stamp...)
	named := func(t apply.Touch) bool { return stamp.Contains(t.Place) }
	if !jsontree.Same(was, is) && (is != nil || slices.ContainsFunc(c.Touched, named)) {
		return refuse(c.LastOp(stamp), "a patch may not change the annotation "+review.StampAnnotation+", which is amp's: leave it as it is")
	}
	return nil
}
