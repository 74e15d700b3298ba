// Package compare says whether two versions of an endpoint make the same of one Pod, and what differs. It is pure.
//
//	compare.go  two outcomes: the verdict, and what differs
//	pods.go     two Pods: each place at which they differ
//	place.go    a place in a Pod, by index and by name
package compare

import (
	"encoding/json"
	"slices"
)

// Outcome is what one version makes of a Pod. The zero value, with which there is no Pod, is a failure.
type Outcome struct {
	// Pod is the Pod after the patch, or as it was if there is none. It must be valid JSON. It is nil if the version denied
	// the Pod or failed.
	Pod json.RawMessage
	// Denied says that the version denied the Pod, in which case Pod is ignored.
	Denied bool
}

// failed reports whether an outcome is a failure.
func (o *Outcome) failed() bool { return !o.Denied && o.Pod == nil }

// Verdict says how two outcomes are related.
type Verdict string

// The verdicts.
const (
	Same         Verdict = "same"          // both make the same Pod, or both deny it
	Different    Verdict = "different"     // each makes a Pod, not the same one
	FirstDenies  Verdict = "first denies"  // and the second does not
	SecondDenies Verdict = "second denies" // and the first does not
	FirstFailed  Verdict = "first failed"  // and the second did not
	SecondFailed Verdict = "second failed" // and the first did not
	BothFailed   Verdict = "both failed"   // so that there is nothing to compare
)

// Comparison is what Outcomes found.
type Comparison struct {
	Verdict Verdict
	// Differences are what differs between two Pods, in the order of their places; none with another verdict than Different.
	// They are at most MaxDifferences.
	Differences []Difference
	// More counts the differences after those.
	More int
}

// MaxDifferences is the most differences that a Comparison holds.
const MaxDifferences = 100

// Outcomes compares two outcomes for the same Pod. Two Pods are the same if they mean the same as JSON, where a field that is
// null is as if it were absent. amp's own annotation on a mutated Pod makes no difference: see [review.StampAnnotation].
func Outcomes(first, second Outcome) Comparison {
	switch {
	case first.failed() && second.failed():
		return Comparison{Verdict: BothFailed}
	case first.failed():
		return Comparison{Verdict: FirstFailed}
	case second.failed():
		return Comparison{Verdict: SecondFailed}
	case first.Denied && second.Denied:
		return Comparison{Verdict: Same}
	case first.Denied:
		return Comparison{Verdict: FirstDenies}
	case second.Denied:
		return Comparison{Verdict: SecondDenies}
	}
	c := comparer{Comparison{Verdict: Same}}
	c.pods(first.Pod, second.Pod)
	if len(c.found.Differences) > 0 {
		c.found.Verdict = Different
	}
	return c.found
}

// Groups returns what groups many Pods with differences of the same kind: the groups of the differences, each once and
// sorted or, if there are none, the verdict.
func (c *Comparison) Groups() []string {
	if len(c.Differences) == 0 {
		return []string{string(c.Verdict)}
	}
	all := make([]string, len(c.Differences))
	for i := range c.Differences {
		all[i] = c.Differences[i].Group()
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Kind says how two Pods differ at a place.
type Kind string

// The kinds of a difference.
const (
	OnlyFirst  Kind = "only first"  // only the first Pod has something there
	OnlySecond Kind = "only second" // only the second Pod has something there
	OtherValue Kind = "other value" // both have something there, not the same
	OtherOrder Kind = "other order" // both have the same elements there, or elements of the same names, in another order
)

// Difference is one place at which two Pods differ.
type Difference struct {
	Kind Kind
	// First and Second are what each Pod has there. The one that has nothing is the zero value.
	First, Second Value
}

// Value is a value in a Pod.
type Value struct {
	// Place is where it stands in its own Pod: an element of a list may have another index in the other one.
	Place Place
	// JSON is the value; nil with OtherOrder, which is about the whole list.
	JSON json.RawMessage
}

// Place is where the difference is: in the first Pod, if that has something there.
func (d *Difference) Place() Place {
	if d.Kind == OnlySecond {
		return d.Second.Place
	}
	return d.First.Place
}

// Group is a text that is the same for differences of the same kind of different Pods:
//
//	/spec/containers/notebook/env/TOKEN/value: other value
func (d *Difference) Group() string { return d.Place().Names() + ": " + string(d.Kind) }
