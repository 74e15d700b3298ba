package audit

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/endpoints/events"
)

func init() {
	// The library knows no option but this variable. amp, in the same process in the demo, sets it alike.
	jsonpatch.AccumulatedCopySizeLimit = maxCopied
}

// maxDiffBytes bounds the Pods that are compared. Larger ones are no reading.
const maxDiffBytes = 3 << 20

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

func diffOf(d *events.Data) Diff {
	switch {
	case d.Outcome == outcomeOf[events.Validated]:
		return Diff{Reason: "/validate changes nothing; the patch is with the mutation's event."}
	case d.Outcome == outcomeOf[events.Unchanged], d.Outcome == outcomeOf[events.Rejected], d.Outcome == outcomeOf[events.FailedOpen]:
		return Diff{Reason: "No patch was answered."}
	case len(d.Object) == 0:
		return Diff{Reason: fmt.Sprintf("An event of level %s does not hold the Pod. Level Full does (AMP_EVENTS_LEVEL), and reveals all that Pods contain.", d.Level)}
	case len(d.Object) > maxDiffBytes:
		return Diff{Reason: "The Pod is larger than 3 MiB, which is too much to compare here."}
	}
	after, err := patched(d)
	if err != nil {
		return Diff{Reason: "The patch does not apply to the Pod in this event: " + firstLine(err.Error())}
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

func patched(d *events.Data) (after []byte, err error) {
	defer func() {
		if p := recover(); p != nil { // the library panics on some patches
			err = fmt.Errorf("applying it panicked")
		}
	}()
	type op struct {
		Op    string          `json:"op"`
		Path  string          `json:"path"`
		From  string          `json:"from,omitempty"`
		Value json.RawMessage `json:"value,omitempty"`
	}
	ops := []op{}
	for _, o := range d.Patch {
		ops = append(ops, op{o.Op, o.Path, o.From, o.Value})
	}
	text, err := json.Marshal(ops)
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.DecodePatch(text)
	if err != nil {
		return nil, err
	}
	return patch.Apply(d.Object)
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

// where names what a line of YAML lies below: keys, and list elements by their place. It reads what
// sigs.k8s.io/yaml writes: block style, lists as far in as their key.
func where(lines []string, at int) string {
	if at < 0 || at >= len(lines) {
		return ""
	}
	var path []string
	column, dash := shape(lines[at])
	inList := dash >= 0 // the line above may be of an element before this one
	place := 1
	for i := at - 1; i >= 0 && (inList || column > 0); i-- {
		c, d := shape(lines[i])
		key, _, isKey := strings.Cut(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(lines[i]), "- ")), ":")
		switch {
		case inList && d == dash: // the element before
			place++
		case inList && (c <= dash && d < 0 || d >= 0 && c <= dash): // the list's key
			if isKey {
				path = append([]string{key + " " + strconv.Itoa(place)}, path...)
			}
			inList, column, place = d >= 0, c, 1
			dash = d
		case !inList && c < column: // the key that this one is below
			if isKey {
				path = append([]string{key}, path...)
			}
			inList, column, dash, place = d >= 0, c, d, 1
		case !inList && c == column && d >= 0: // the first key of the same element
			inList, dash, place = true, d, 1
		}
	}
	return strings.Join(path, " › ")
}

// shape returns the column of a line's key, and of the dash in front of it, -1 if there is none.
func shape(line string) (column, dash int) {
	column = len(line) - len(strings.TrimLeft(line, " "))
	if strings.HasPrefix(line[column:], "- ") {
		return column + 2, column
	}
	return column, -1
}
