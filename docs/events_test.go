package docs

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestEventFields checks that docs/events.md has a row for each field of an event's data.
func TestEventFields(t *testing.T) {
	text, err := os.ReadFile("../endpoints/events/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct{ Properties map[string]any }
	if err := json.Unmarshal(text, &schema); err != nil || len(schema.Properties) < 10 {
		t.Fatalf("%d properties: %v", len(schema.Properties), err)
	}
	page := pages(t)["docs/events.md"]
	for name := range schema.Properties {
		if !strings.Contains(page, "\n| `"+name+"` ") && !strings.Contains(page, "\n| `"+name+".") {
			t.Errorf("docs/events.md has no row for %s", name)
		}
	}
}
