package emit

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/review"
)

// TestASecretThatMovesIsNotShown: one endpoint puts a secret at the place of a name, the next one moves it to where it
// belongs. Only the level Full shows it.
func TestASecretThatMovesIsNotShown(t *testing.T) {
	for _, level := range []review.Level{review.LevelPatch, review.LevelFull} {
		t.Run(string(level), func(t *testing.T) {
			rec := aMutation(t)
			rec.Plan.Level = level
			rec.Run.Steps[0].Ops = []review.Op{
				{Op: "add", Path: "/spec/hostname", Value: json.RawMessage(`"hunter2"`)},
				{Op: "add", Path: "/spec/subdomain", Value: json.RawMessage(`"visible"`)},
			}
			rec.Run.Steps[1].Ops = []review.Op{
				{Op: "test", Path: "/spec/hostname", Value: json.RawMessage(`"hunter2"`)},
				{Op: "move", From: "/spec/hostname", Path: "/spec/containers/0/env/0/value"},
				{Op: "move", From: "/spec/containers/0/env/0/name", Path: "/spec/schedulerName"},
			}
			data := string(anEvent(t, rec).Data())
			if strings.Contains(data, "hunter2") != (level == review.LevelFull) || !strings.Contains(data, "visible") ||
				!strings.Contains(data, `"path":"/metadata/annotations/amp.txn2.com~1event","value":"uid-1"`) {
				t.Error(data)
			}
		})
	}
}
