package outcome_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/events"
)

func TestEveryTypeHasAnOutcomeOfItsOwn(t *testing.T) {
	var all []string
	for _, eventType := range events.Types {
		name, ok := outcome.Of(eventType)
		if !ok {
			t.Errorf("the type %s has no outcome", eventType)
		}
		all = append(all, name)
	}
	if !slices.Equal(all, outcome.All) {
		t.Errorf("the types have the outcomes %q, All is %q", all, outcome.All)
	}
	var schema struct {
		Properties struct {
			Outcome struct{ Enum []string }
		}
	}
	if err := json.Unmarshal(events.Schema, &schema); err != nil || !slices.Equal(schema.Properties.Outcome.Enum, outcome.All) {
		t.Errorf("the schema has %q, All is %q, %v", schema.Properties.Outcome.Enum, outcome.All, err)
	}
	if name, ok := outcome.Of("com.example.other.v1"); ok {
		t.Errorf("a foreign type has the outcome %q", name)
	}
}
