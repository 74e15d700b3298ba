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
	reviews := all[:len(all)-1]
	if listed := append(slices.Clone(reviews), outcome.ComparedSame, outcome.ComparedDifferent, outcome.ComparedFailed); !slices.Equal(listed, outcome.All) || all[len(reviews)] != outcome.Compared {
		t.Errorf("the types have the outcomes %q, All is %q", all, outcome.All)
	}
	var schema struct {
		Properties struct {
			Outcome struct{ Enum []string }
		}
	}
	if err := json.Unmarshal(events.Schema, &schema); err != nil || !slices.Equal(schema.Properties.Outcome.Enum, all) {
		t.Errorf("the schema has %q, the types %q, %v", schema.Properties.Outcome.Enum, all, err)
	}
	if name, ok := outcome.Of("com.example.other.v1"); ok {
		t.Errorf("a foreign type has the outcome %q", name)
	}
}

// TestHowAComparisonIsListed: every result that the schema allows, and nothing else.
func TestHowAComparisonIsListed(t *testing.T) {
	var schema struct {
		Defs struct {
			Comparison struct {
				Properties struct{ Result struct{ Enum []string } }
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(events.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	results := schema.Defs.Comparison.Properties.Result.Enum
	if len(results) != 4 {
		t.Errorf("the schema has the results %q", results)
	}
	for _, result := range results {
		if name, ok := outcome.Listed(&events.Data{Outcome: outcome.Compared, Comparison: &events.Comparison{Result: result}}); !ok || !slices.Contains(outcome.All, name) {
			t.Errorf("%s is listed as %q", result, name)
		}
	}
	for _, d := range []events.Data{{Outcome: outcome.Compared}, {Outcome: outcome.Compared, Comparison: &events.Comparison{Result: "x"}}} {
		if name, ok := outcome.Listed(&d); ok {
			t.Errorf("%+v is listed as %q", d, name)
		}
	}
	if name, ok := outcome.Listed(&events.Data{Outcome: outcome.Denied}); !ok || name != outcome.Denied {
		t.Errorf("a denial is listed as %q", name)
	}
}
