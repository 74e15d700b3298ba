package rules

import (
	"fmt"
	"slices"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/review"
)

// lostEntries warns if an op puts an object in the place of another one, or a list in the place of another one, and thereby
// drops what the Pod had there: keys of an object, elements of a list that have names. RFC 6902 lets an add replace, which
// the author of the endpoint may not know.
func lostEntries(c *apply.Change, _ *Settings) (found []Finding) {
	for _, drop := range c.Dropped {
		now := apply.EntriesAt(c.After, drop.Place) // a later op may have put an entry back
		lost := slices.DeleteFunc(slices.Clone(drop.Entries), func(e apply.Entry) bool {
			return now[e] || e.Name == review.StampAnnotation || // which amp takes off or replaces
				isDerived(append(slices.Clip(drop.Place), e.Name)) // which the API server fills in again
		})
		if len(lost) == 0 {
			continue
		}
		shown, remedy := names(apply.Names(lost)), "add single keys"
		if drop.List {
			remedy = "add " + apply.PlainPath(c.Given[drop.Op-1].Path) + "/-"
			if drop.Place[len(drop.Place)-1] == "hostAliases" { // package redact hides addresses
				shown = "entries"
			}
		}
		found = append(found, Finding{
			Severity: Warn, Op: drop.Op,
			Text: fmt.Sprintf("drops %s that the Pod had: %s to keep the others", shown, remedy),
		})
	}
	return found
}
