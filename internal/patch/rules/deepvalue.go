package rules

import (
	"fmt"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// deepValue refuses a value that nests deeper than any field of a Pod: the work grows with the depth.
func deepValue(value *jsontree.Node) (fault string) {
	if value.Levels() <= apply.MaxLevels {
		return ""
	}
	return fmt.Sprintf("its value nests deeper than %d levels; no field of a Pod does", apply.MaxLevels)
}
