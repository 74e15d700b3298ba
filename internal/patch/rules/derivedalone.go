package rules

import (
	"fmt"

	"github.com/txn2/amp/internal/patch/apply"
)

// derivedAlone refuses a patch that sets a derived value and not the field that the API server derives it from.
func derivedAlone(c *apply.Change, _ *Settings) []Finding {
	if c.Before.Get("spec") == c.After.Get("spec") {
		return nil
	}
	for _, d := range derivations {
		for _, value := range d.values {
			if !c.After.Get(value...).IsNull() && differ(c, value) {
				return refuse(c.LastOp(value), fmt.Sprintf("the API server computes %s from %s, and rejects any other value: set %s instead", value, d.source, d.source))
			}
		}
	}
	return nil
}
