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

// Compared is the outcome in the events about candidates, which are about no review of their own. Where events are listed and
// counted, one of the outcomes below stands for it, so that lists and charts show whether candidates agree.
const (
	Compared          = "compared"
	ComparedSame      = "compared-same"      // the candidate would have made the same of the Pod
	ComparedDifferent = "compared-different" // it would have made something else, also where the review itself failed
	ComparedFailed    = "compared-failed"    // it failed
)

// All lists every outcome that is listed and counted, in the order in which the page offers and stacks them.
var All = []string{Mutated, Unchanged, Shadowed, Denied, Rejected, FailedOpen, Validated, ComparedSame, ComparedDifferent, ComparedFailed}

var byType = map[string]string{
	events.Mutated:    Mutated,
	events.Unchanged:  Unchanged,
	events.Shadowed:   Shadowed,
	events.Denied:     Denied,
	events.Rejected:   Rejected,
	events.FailedOpen: FailedOpen,
	events.Validated:  Validated,
	events.Compared:   Compared,
}

// Of returns the outcome that events of a type report. ok is false for a type that is not one of amp's.
func Of(eventType string) (name string, ok bool) {
	name, ok = byType[eventType]
	return name, ok
}

var byResult = map[string]string{
	events.ResultSame:      ComparedSame,
	events.ResultDifferent: ComparedDifferent,
	events.ResultAlone:     ComparedDifferent,
	events.ResultFailed:    ComparedFailed,
}

// Listed returns the outcome by which an event is listed and counted. ok is false for an event about a candidate that does not
// say what came of it.
func Listed(d *events.Data) (name string, ok bool) {
	if d.Outcome != Compared {
		return d.Outcome, true
	}
	if d.Comparison == nil {
		return "", false
	}
	name, ok = byResult[d.Comparison.Result]
	return name, ok
}
