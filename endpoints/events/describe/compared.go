package describe

import (
	"cmp"
	"fmt"

	"github.com/txn2/amp/endpoints/events"
)

// Compared says in one line what a candidate would have made of the Pod, beside what amp answered.
func Compared(d *events.Data) string {
	c := d.Comparison
	if c == nil {
		return ""
	}
	switch {
	case c.Result == events.ResultFailed:
		return "the candidate failed: " + cmp.Or(failure(d), d.Message)
	case c.Result == events.ResultAlone:
		return "the review failed, and the candidate did not"
	case c.Result == events.ResultSame && c.Candidate == denied:
		return "the candidate would have denied it, too"
	case c.Result == events.ResultSame:
		return "the candidate would have made the same Pod"
	case c.Candidate == denied:
		return "only the candidate would have denied it: " + d.Message
	case c.Differing == 0:
		return "the candidate would not have denied it"
	case len(c.Differences) == 0 && c.Differing == 1:
		return "the candidate's Pod differs at 1 place"
	case len(c.Differences) == 0:
		return fmt.Sprintf("the candidate's Pod differs at %d places", c.Differing)
	case c.Differing == 1:
		return "the candidate's Pod differs at " + c.Differences[0].Where
	}
	return fmt.Sprintf("the candidate's Pod differs at %s and %d more", c.Differences[0].Where, c.Differing-1)
}
