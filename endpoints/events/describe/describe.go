// Package describe says in words what an event holds: each operation of a patch, the answer in one line, and
// how the Pod differs after the patch. It is pure, and it reads what others wrote: any event is valid input.
package describe

import (
	"cmp"
	"strings"

	"github.com/txn2/amp/endpoints/events"
)

// The outcomes, as the data of events spells them.
var (
	mutated, unchanged, shadowed = outcomeOf(events.Mutated), outcomeOf(events.Unchanged), outcomeOf(events.Shadowed)
	denied, rejected             = outcomeOf(events.Denied), outcomeOf(events.Rejected)
	failedOpen, validated        = outcomeOf(events.FailedOpen), outcomeOf(events.Validated)
	compared                     = outcomeOf(events.Compared)
)

func outcomeOf(eventType string) string {
	outcome, _ := events.OutcomeOf(eventType)
	return outcome
}

// A Change is one operation of a patch.
type Change struct {
	events.Op
	// Words says it as a person would: adds environment variable X to container notebook.
	Words string `json:"words"`
	// Redacted: the event's level hides something of the value.
	Redacted bool `json:"redacted,omitempty"`
}

const (
	maxDescribed = 1000 // operations that are put in words
	maxGist      = 160  // characters of a Gist
)

// Changes puts the operations of an event in words. Each is about the Pod as the ones before it left it.
func Changes(d *events.Data) []Change {
	changes := []Change{}
	pod := known(d)
	for _, op := range d.Patch[:min(len(d.Patch), maxDescribed)] {
		changes = append(changes, Change{Op: op, Words: pod.words(&op), Redacted: strings.Contains(string(op.Value), events.Redacted)})
		pod.follow(&op)
	}
	return changes
}

// Gist says in one line what amp answered. Lists show it beside the endpoints, so it does not name them.
func Gist(d *events.Data) string {
	var text string
	switch {
	case d.Outcome == denied:
		text = d.Message
	case d.Outcome == rejected, d.Outcome == failedOpen, d.Outcome == shadowed && d.Message != "":
		text = cmp.Or(failure(d), d.Message)
	case d.Outcome == compared:
		text = Compared(d)
	case d.Outcome == unchanged:
		text = "no change"
	case d.Outcome == validated:
		text = "let it pass"
	case len(d.Patch) == 0:
		text = changes(answered(d))
	default:
		text = known(d).brief(d.Patch)
	}
	return clip(text, maxGist)
}

// failure is why an endpoint's call failed, empty if none did. A review ends with the first that fails.
func failure(d *events.Data) string {
	for _, e := range d.Endpoints {
		if e.Error != "" {
			return e.Error
		}
	}
	return ""
}

// answered is how many operations the endpoints' patches have.
func answered(d *events.Data) (n int) {
	for _, e := range d.Endpoints {
		n += e.Ops
	}
	return n
}

// clip bounds a text to a number of characters.
func clip(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}
