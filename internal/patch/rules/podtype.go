package rules

import "github.com/txn2/amp/internal/patch/apply"

// podType refuses a patch whose result the API server could not decode as a Pod. It names the first value
// that the patch brought and that has another type than its field.
func podType(c *apply.Change, _ *Settings) []Finding {
	if c.Invalid == nil {
		return nil
	}
	var first *mismatch
	mismatches(c.After, func(m mismatch) {
		if first == nil && m.op != 0 && m.problem != "" {
			first = &m
		}
	})
	if first != nil {
		return []Finding{{Op: first.op, Text: first.field + " " + first.problem, Err: c.Invalid}}
	}
	if c.WasInvalid() {
		// The cluster's API is another than the one amp is built with, so its API server decides.
		return nil
	}
	return []Finding{{Op: len(c.Given), Text: "the API server could not decode the result as a Pod", Err: c.Invalid}}
}
