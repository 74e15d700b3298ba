package describe

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/endpoints/events"
)

// maxDiffBytes bounds the Pods that are compared: the diff of a larger one is not readable.
const maxDiffBytes = 3 << 20

// maxPath is how many characters of an operation's path a reason shows.
const maxPath = 120

// Diff compares the Pod as it came with what amp answered. It is in YAML, as people know Pods.
type Diff struct {
	// Reason says why there are no Hunks.
	Reason string `json:"reason,omitempty"`
	Hunks  []Hunk `json:"hunks,omitempty"`
}

// Hunk is a run of lines.
type Hunk struct {
	Before int    `json:"before"` // line number, from 1
	After  int    `json:"after"`
	Where  string `json:"where,omitempty"` // what the first line belongs to: spec › containers
	Lines  []Line `json:"lines"`
}

// Line is a line of a diff: Op is a blank, + or -.
type Line struct {
	Op   string `json:"op"`
	Text string `json:"text"`
}

// DiffOf compares the Pod of an event before and after the patch, which is a candidate's in an event about one.
func DiffOf(d *events.Data) Diff {
	switch {
	case d.Outcome == validated:
		return Diff{Reason: "/validate changes nothing. The patch is in the event of the mutation."}
	case d.Outcome == compared && len(d.Patch) == 0:
		return Diff{Reason: "The event holds no patch of the candidate."}
	case d.Outcome != mutated && d.Outcome != shadowed && d.Outcome != compared:
		return Diff{Reason: "amp answered no patch."}
	case len(d.Object) == 0:
		return Diff{Reason: fmt.Sprintf("An event of level %s does not hold the Pod. Level Full does (AMP_EVENTS_LEVEL), and shows everything that Pods contain.", d.Level)}
	case len(d.Object) > maxDiffBytes:
		return Diff{Reason: "The Pod is larger than 3 MiB, which is too large to compare here."}
	}
	after, err := patched(d)
	if err != nil {
		return Diff{Reason: "The patch does not apply to the Pod in this event: " + err.Error() + "."}
	}
	before, err1 := yaml.JSONToYAML(d.Object)
	changed, err2 := yaml.JSONToYAML(after)
	if err1 != nil || err2 != nil {
		return Diff{Reason: "The Pod cannot be written as YAML."}
	}
	hunks := hunks(before, changed)
	if len(hunks) == 0 {
		return Diff{Reason: "The patch leaves the Pod as it was."}
	}
	return Diff{Hunks: hunks}
}

// patched returns the Pod after the patch.
func patched(d *events.Data) ([]byte, error) {
	pod := known(d)
	for i := range d.Patch {
		op := &d.Patch[i]
		if err := pod.apply(op); err != nil {
			return nil, fmt.Errorf("operation %d (%s %q): %w", i+1, clip(op.Op, maxPath), clip(op.Path, maxPath), err)
		}
	}
	return json.Marshal(pod.root)
}

// hunks compares two texts, with three lines around each difference.
func hunks(before, after []byte) []Hunk {
	var all []Hunk
	for i, text := range strings.Split(strings.TrimSuffix(string(diff.Diff("a", before, "b", after)), "\n"), "\n") {
		switch {
		case i < 3 || text == "": // its header
		case text[0] == '@':
			var h Hunk
			var n int
			if _, err := fmt.Sscanf(text, "@@ -%d,%d +%d,%d @@", &h.Before, &n, &h.After, &n); err != nil {
				continue
			}
			all = append(all, h)
		case len(all) > 0:
			h := &all[len(all)-1]
			h.Lines = append(h.Lines, Line{text[:1], text[1:]})
		}
	}
	old, fresh := strings.Split(string(before), "\n"), strings.Split(string(after), "\n")
	for i := range all {
		h := &all[i]
		lead := 0
		for lead < len(h.Lines) && h.Lines[lead].Op == " " {
			lead++
		}
		if lead < len(h.Lines) && h.Lines[lead].Op == "-" {
			h.Where = where(old, h.Before-1+lead)
		} else {
			h.Where = where(fresh, h.After-1+lead)
		}
	}
	return all
}
