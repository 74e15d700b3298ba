// Package apply applies the ops of a patch to a Pod, as the API server would, and adds the ops that create
// missing parents. It does not judge what a patch does: that is up to package rules.
//
// change.go is the result. apply.go is the order of the ops and what each kind of op does, walk.go how the ops
// reach their places; schema.go tells which parents are lists. verify.go lets the API server's own libraries
// do the same. stray.go is what an op is told that does not get to its place, and meant.go finds the path that its author
// meant. message.go names ops and fields for users.
package apply

import (
	"slices"

	"github.com/txn2/amp/internal/patch/jsontree"
	"github.com/txn2/amp/internal/review"
)

// A Change is what a patch makes of a Pod. Nothing changes it after [Apply] or [Change.Verify] returned it,
// but its nodes expand when they are read: one goroutine at a time may use it.
type Change struct {
	// Given are the ops as the endpoint sent them. Their numbers, in every message and in this type, count
	// from 1.
	Given []review.Op
	// Ops are Given, completed: before an op, those that create its missing parents; after all, those that a
	// completion of package rules adds.
	Ops []review.Op
	// Numbers holds for each of Ops the number of the op of Given that it is, or that needed it.
	Numbers []int

	// Before and After are the Pod without and with the patch. They share the nodes that the patch did not
	// change; each other node of After knows the op that put it there.
	Before, After *jsontree.Node
	// Touched are the places that the ops changed, in the order of the ops, even if to the same value.
	Touched []Touch
	// Simple reports that the patch is one of those for which json-patch.v4 does what [Apply] does; FuzzSimple of package patch
	// compares them. Its ops are add, replace and remove; none brings null; no parent was null, or an object with a repeated key;
	// each index is "-" or written in the usual way. For any other patch, Verify asks the library.
	Simple bool
	// Dropped is what the adds and replaces of whole objects and lists dropped, in the order of the ops.
	Dropped []Drop
	// MoreDropped counts what else was dropped, after all that is in Dropped.
	MoreDropped int

	// Invalid says why the API server could not decode After as a Pod, nil if it can. Only [Change.Verify]
	// sets it. Its text may quote values.
	Invalid error
	// Unknown are the fields and the repeated keys of After that the API server would drop. Only [Change.Verify]
	// sets it.
	Unknown []error
}

// A Touch is a place that an op changed.
type Touch struct {
	Op    int // its number
	Place jsontree.Pointer
}

// A Drop is what an add or a replace dropped of the Pod when it put an object in the place of another one, or a list in
// the place of another one. It holds names, not nodes: a patch may replace a value thousands of times.
type Drop struct {
	Op    int // its number
	Place jsontree.Pointer
	// Entries are those of the object or list that the new value does not have.
	Entries []Entry
	List    bool
}

// An Entry is a key of an object, or an element of a list that has a name.
type Entry struct {
	Name string
	of   string // what sets it apart from others of that name: a Secret from a ConfigMap, a port of TCP from one of UDP
}

// Empty reports whether the patch as a whole changed nothing: Before and After mean the same.
func (c *Change) Empty() bool { return jsontree.Same(c.Before, c.After) }

// LastOp returns the number of the last op that changed something at, above or below the place or pattern p.
// If none did, it returns that of the last op.
func (c *Change) LastOp(p jsontree.Pointer) int {
	for _, touch := range slices.Backward(c.Touched) {
		if p.Overlaps(touch.Place) {
			return touch.Op
		}
	}
	return len(c.Given)
}
