package rules_test

import (
	"encoding/json"
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
	"github.com/txn2/amp/internal/review"
)

func TestTooManyOps(t *testing.T) {
	many := make([]review.Op, 10_000)
	for i := range many {
		many[i] = review.Op{Op: "add", Path: "/metadata/annotations/x", Value: json.RawMessage(`"y"`)}
	}
	_, err := patchtest.NewChecker(t).Check(t.Context(), "ns", json.RawMessage(patchtest.Bare), many)
	if want := "the patch has 10001 ops with those that create missing parents; the limit is 10000, as for a PATCH request to the API server"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	if _, err = patchtest.NewChecker(t).Check(t.Context(), "ns", json.RawMessage(patchtest.Rich), many); err != nil {
		t.Error(err)
	}
}
