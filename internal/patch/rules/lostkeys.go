package rules

import (
	"fmt"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// lostKeys warns if an add puts an object in the place of another one and thereby drops keys: RFC 6902 lets
// an add replace, which the author of the endpoint may not know.
func lostKeys(c *apply.Change, _ *Settings) (found []Finding) {
	for _, o := range c.Overwritten {
		if c.Given[o.Op-1].Op != "add" || o.New.Kind() != jsontree.Object {
			continue
		}
		var lost []string
		o.Old.Each(func(key string, _ *jsontree.Node) {
			if o.New.Get(key) == nil {
				lost = append(lost, key)
			}
		})
		if len(lost) > 0 {
			found = append(found, Finding{
				Severity: Warn, Op: o.Op,
				Text: fmt.Sprintf("drops %s that the Pod had: add single keys to keep the others", names(lost)),
			})
		}
	}
	return found
}
