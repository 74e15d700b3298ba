package apply_test

import (
	"encoding/json"
	"testing"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/review"
)

// TestVerifyOfRepeatedKeys is about values that no rule has judged: the tree holds the last of two members, and the decoder
// reads both.
func TestVerifyOfRepeatedKeys(t *testing.T) {
	pod := json.RawMessage(`{"spec":{"volumes":[{"name":"v"}]}}`)
	for value, invalid := range map[string]bool{`{"name":"x"}`: false, `{"name":1,"name":"x"}`: true} {
		change, err := apply.Apply(t.Context(), pod, []review.Op{{Op: "add", Path: "/spec/volumes/-", Value: json.RawMessage(value)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if change, err = change.Verify(t.Context()); err != nil || (change.Invalid != nil) != invalid {
			t.Errorf("%s: %v, %v", value, change.Invalid, err)
		}
	}
}
