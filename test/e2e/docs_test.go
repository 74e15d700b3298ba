package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/txn2/amp/test/e2e/harness"
)

// blocks are the fenced blocks of a language in a document.
func blocks(text, language string) []string {
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

// TestEventsReference checks what docs/events.md says.
func TestEventsReference(t *testing.T) {
	text, err := harness.Document("docs/events.md")
	if err != nil {
		t.Fatal(err)
	}

	t.Run("its examples are events by the schema, of each type and each level", func(t *testing.T) {
		missing := map[string]bool{"Metadata": true, "Patch": true, "Full": true, "/final": true}
		for _, outcome := range []string{"mutated", "unchanged", "shadowed", "denied", "rejected", "failedopen", "validated", "compared"} {
			missing[outcome] = true
		}
		for _, block := range blocks(text, "json") {
			e := harness.ParseStructured([]byte(block))
			if e.Faults != nil {
				t.Errorf("%v\n%s", e.Faults, block)
			}
			delete(missing, e.Data.Outcome)
			delete(missing, e.Data.Level)
			if strings.HasSuffix(e.ID, "/final") {
				delete(missing, "/final")
			}
		}
		if len(missing) > 0 {
			t.Errorf("there is no example of %v", missing)
		}
	})

	t.Run("its receiver receives", func(t *testing.T) {
		w := anyWorld(t)
		code := blocks(text, "go")
		if len(code) != 1 {
			t.Fatalf("there are %d blocks of Go", len(code))
		}
		main := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(main, []byte(code[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		receiver := w.Program(t, main)
		w.With(t, "K_SINK="+receiver.URL, "AMP_EVENTS_SOURCE="+source)
		ns := w.Namespace(t, harness.Enabled(harness.Serve(t, harness.Labels("changed", "yes")).URL))
		id := ns.MustCreate(harness.Pod("web")).Annotations[stamp]
		want := fmt.Sprintf("%s %s com.txn2.amp.pod.mutated.v1 %s/web ", source, id, ns.Name)
		harness.Eventually(t, "the receiver says what it received", func(context.Context) error {
			if out := receiver.Output(); !strings.HasPrefix(out, want) {
				return fmt.Errorf("it said %q, not %q", out, want)
			}
			return nil
		})
	})
}
