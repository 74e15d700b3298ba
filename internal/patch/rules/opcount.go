package rules

import (
	"fmt"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/review"
)

// tooManyCompleted refuses more ops than the API server takes in a PATCH request. Package callout reads no patch with so many,
// but a few ops may need many parents.
func tooManyCompleted(c *apply.Change, _ *Settings) []Finding {
	if len(c.Ops) <= review.MaxOps {
		return nil
	}
	return refuse(0, fmt.Sprintf("the patch has %d ops with those that create missing parents; the limit is %d, as for a PATCH request to the API server",
		len(c.Ops), review.MaxOps))
}
