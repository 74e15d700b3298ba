package compare

import (
	"time"

	"github.com/txn2/amp/internal/review"
)

// Candidate is what a candidate made of a Pod, beside what amp answered. It is made once and never changed.
type Candidate struct {
	Review *review.Record // the record of the review, which was answered before
	// Event is the id of the event about the candidate, empty if it has none.
	Event string

	Step    review.Step    // the call of the candidate, and the check of its patch
	Refusal *review.Answer // the candidate's, if it denied the Pod; nil if it did not
	Result  Result
	Found   Comparison // of what amp answered, first, and the candidate, second
	Time    time.Time  // when that was known
}

// Result is how the call of a candidate ended, for the metrics.
type Result string

// The results.
const (
	ResultSame      Result = "same"      // the candidate would have made the same Pod, or have denied it, too
	ResultDifferent Result = "different" // the candidate would have made another Pod, or only one of the two denied it
	ResultFailed    Result = "failed"    // the candidate failed
	ResultAlone     Result = "alone"     // the candidate did not fail, but the review did: there is nothing to compare with
	ResultDropped   Result = "dropped"   // amp did not compare: there was no room, or amp ended
)

// Results lists every result.
var Results = []Result{ResultSame, ResultDifferent, ResultFailed, ResultAlone, ResultDropped}

// Result is the result if amp's own answer is the first outcome, and that of a candidate the second.
func (c *Comparison) Result() Result {
	switch c.Verdict {
	case Same:
		return ResultSame
	case FirstFailed:
		return ResultAlone
	case SecondFailed, BothFailed:
		return ResultFailed
	}
	return ResultDifferent
}
