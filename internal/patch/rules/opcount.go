package rules

import (
	"fmt"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/review"
)

// MaxOps is the most ops of a patch.
const MaxOps = review.MaxOps

// tooManySent refuses a patch with more ops than the API server takes in a PATCH request, before any work
// is done for them.
func tooManySent(ops []review.Op) []Finding {
	if len(ops) <= MaxOps {
		return nil
	}
	return tooMany(fmt.Sprintf("the patch has %d ops", len(ops)))
}

// tooManyCompleted does the same for the ops that amp would answer: a few ops may need many parents.
func tooManyCompleted(c *apply.Change, _ *Settings) []Finding {
	if len(c.Ops) <= MaxOps {
		return nil
	}
	return tooMany(fmt.Sprintf("the patch has %d ops with those that create missing parents", len(c.Ops)))
}

func tooMany(text string) []Finding {
	return refuse(0, fmt.Sprintf("%s; the limit is %d, as for a PATCH request to the API server", text, MaxOps))
}
