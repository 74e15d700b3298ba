package rules

import (
	"fmt"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// mainContainer warns if another container comes to stand before the one that was the first: kubectl logs and exec, and
// other webhooks and endpoints, take the first container for the main one.
func mainContainer(c *apply.Change, _ *Settings) []Finding {
	place := jsontree.Pointer{"spec", "containers"}
	before, after := c.Before.Get(place...), c.After.Get(place...)
	if before == after || len(before.List()) == 0 || len(after.List()) < 2 {
		return nil
	}
	was, first := before.List()[0].Get("name").Text(), after.List()[0]
	is := first.Get("name").Text()
	if was == is {
		return nil
	}
	for _, container := range after.List()[1:] {
		if container.Get("name").Text() != was {
			continue
		}
		op := latest(after, first)
		if op == 0 {
			op = c.LastOp(append(place, "0"))
		}
		return []Finding{{Severity: Warn, Op: op,
			Text: fmt.Sprintf(`puts container %s before the first one, %s, which other tools take for the main one: put it at the end ("-")`, apply.Quote(is), apply.Quote(was))}}
	}
	return nil // the container that was the first is gone, or has another name
}
