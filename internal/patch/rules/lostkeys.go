package rules

import (
	"fmt"

	"github.com/txn2/amp/internal/patch/apply"
)

// lostKeys warns if an add puts an object in the place of another one and thereby drops keys: RFC 6902 lets
// an add replace, which the author of the endpoint may not know.
func lostKeys(c *apply.Change, _ *Settings) (found []Finding) {
	for _, drop := range c.Dropped {
		found = append(found, Finding{
			Severity: Warn, Op: drop.Op,
			Text: fmt.Sprintf("drops %s that the Pod had: add single keys to keep the others", names(drop.Keys)),
		})
	}
	return found
}
