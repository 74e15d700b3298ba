// Package outcome names how a review ended, as the data of amp's events spells it. It knows the names and
// decides nothing.
package outcome

import "github.com/txn2/amp/endpoints/events"

// The outcomes.
const (
	Mutated    = "mutated"    // amp answered with a patch
	Unchanged  = "unchanged"  // the endpoints wanted no change
	Shadowed   = "shadowed"   // shadow mode: amp answered no change, and says what it would have answered
	Denied     = "denied"     // an endpoint denied the Pod: a policy decision, not a failure
	Rejected   = "rejected"   // something failed, under the failure policy Fail
	FailedOpen = "failedopen" // something failed, under the failure policy Ignore
	Validated  = "validated"  // /validate let the Pod pass
)

// All lists every outcome, in the order in which the page offers and stacks them.
var All = []string{Mutated, Unchanged, Shadowed, Denied, Rejected, FailedOpen, Validated}

var byType = map[string]string{
	events.Mutated:    Mutated,
	events.Unchanged:  Unchanged,
	events.Shadowed:   Shadowed,
	events.Denied:     Denied,
	events.Rejected:   Rejected,
	events.FailedOpen: FailedOpen,
	events.Validated:  Validated,
}

// Of returns the outcome that events of a type report. ok is false for a type that is not one of amp's.
func Of(eventType string) (name string, ok bool) {
	name, ok = byType[eventType]
	return name, ok
}
