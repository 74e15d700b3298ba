package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
)

// Left says why a recorded event was not replayed.
type Left string

// The reasons, in the order of the report.
const (
	LeftUnreadable Left = "it is not JSON, or not an event of amp"
	LeftLog        Left = "it is a line of amp's log"
	LeftCompared   Left = "it is about a candidate endpoint"
	LeftValidate   Left = "it is of the validate phase, which changes nothing"
	LeftDuplicate  Left = "it is the same event once more"
	LeftSuperseded Left = "it was taken back: an event of the same review with /final supersedes it"
	LeftLevel      Left = "its level is below Full, so that it does not hold the Pod: set AMP_EVENTS_LEVEL=Full, for one namespace at first (amp.txn2.com/events)"
	LeftNoPod      Left = "it does not hold a Pod"
	LeftRedacted   Left = "values in it are redacted"
	LeftOutside    Left = "amp failed for another reason than the endpoint, so that there is no answer to compare with"
	LeftBroken     Left = "its patch does not apply to its Pod"
	LeftNoOutcome  Left = "it does not say what became of the Pod"
)

// envelope is a CloudEvent, or the audit function's answer for one event, or a line of amp's log.
type envelope struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Data        json.RawMessage `json:"data"`
	Base64      []byte          `json:"data_base64"`

	Event json.RawMessage `json:"event"` // of GET api/events/ID
	Msg   string          `json:"msg"`   // of a line of the log
}

// readEnvelope reads an event without its data.
func readEnvelope(text []byte) (*envelope, Left) {
	e := new(envelope)
	// A line of the log may have a member "event" that is a text.
	if err := json.Unmarshal(text, e); err != nil {
		return nil, LeftUnreadable
	}
	if e.SpecVersion == "" && len(e.Event) > 0 && e.Event[0] == '{' {
		inner := e.Event
		e = new(envelope)
		if err := json.Unmarshal(inner, e); err != nil {
			return nil, LeftUnreadable
		}
	}
	switch _, known := events.OutcomeOf(e.Type); {
	case e.SpecVersion == "" && e.Msg != "":
		return nil, LeftLog
	case e.SpecVersion == "" || e.ID == "" || e.Source == "":
		return nil, LeftUnreadable
	case strings.HasPrefix(e.Type, "com.txn2.amp.pod.compared."):
		return e, LeftCompared
	case !known:
		return nil, LeftUnreadable
	}
	return e, ""
}

// recorded is what one event says of its review.
type recorded struct {
	namespace, name string // name may be a generateName with a * behind it
	user            string
	before          json.RawMessage // the Pod as it came
	after           json.RawMessage // as the endpoints wanted it; before if it was denied or failed
	ops             []events.Op     // of the endpoints
	outcome         review.Outcome  // mutated, unchanged, denied or rejected, also of what was shadowed or failed open
	message         string
}

// pod names the Pod, for people.
func (r *recorded) pod() string { return r.namespace + "/" + r.name }

// readRecorded reads the data of an event. The result also names the Pod of an event that is left.
func readRecorded(e *envelope) (*recorded, Left) {
	text := e.Data
	if len(text) == 0 {
		text = e.Base64
	}
	var d events.Data
	if err := json.Unmarshal(text, &d); err != nil {
		return &recorded{}, LeftUnreadable
	}
	r := &recorded{namespace: d.Namespace, name: d.Pod.Name, user: d.User, before: d.Object, after: d.Object, message: d.Message, outcome: review.Outcome(d.Outcome)}
	if r.name == "" {
		r.name = d.Pod.GenerateName + "*"
	}
	switch {
	case d.Operation != string(review.Mutate):
		return r, LeftValidate
	case d.Level != events.LevelFull:
		return r, LeftLevel
	case len(d.Object) == 0 || d.Object[0] != '{':
		return r, LeftNoPod
	case redacted(d.Object) || hidden(d.Patch):
		return r, LeftRedacted
	}
	failed := false
	for i := range d.Endpoints {
		failed = failed || d.Endpoints[i].Error != ""
	}
	switch shadowed := r.outcome == review.OutcomeShadowed; {
	case r.outcome == review.OutcomeRejected, r.outcome == review.OutcomeFailedOpen, shadowed && r.message != "" && failed:
		if r.outcome = review.OutcomeRejected; !failed {
			return r, LeftOutside
		}
	case shadowed && r.message != "" && len(d.Endpoints) == 0:
		return r, LeftOutside
	case shadowed && r.message != "":
		r.outcome = review.OutcomeDenied
	case r.outcome == review.OutcomeMutated, shadowed && len(d.Patch) > 0:
		r.outcome = review.OutcomeMutated
		isStamp := func(op events.Op) bool { return op.Step == 0 }
		r.ops = slices.DeleteFunc(d.Patch, isStamp)
		var err error
		if r.after, err = applied(d.Object, r.ops); err != nil {
			return r, LeftBroken
		}
	case shadowed:
		r.outcome = review.OutcomeUnchanged
	case r.outcome != review.OutcomeUnchanged && r.outcome != review.OutcomeDenied:
		return r, LeftNoOutcome
	}
	return r, ""
}

var redactedValue = fmt.Appendf(nil, "%q", events.Redacted)

func redacted(text []byte) bool { return bytes.Contains(text, redactedValue) }

func hidden(ops []events.Op) bool {
	for i := range ops {
		if redacted(ops[i].Value) {
			return true
		}
	}
	return false
}

// applied is the Pod after ops.
func applied(pod json.RawMessage, ops []events.Op) (json.RawMessage, error) {
	all := make([]review.Op, len(ops))
	for i := range ops {
		op := &ops[i]
		all[i] = review.Op{Op: op.Op, Path: op.Path, From: op.From, Value: op.Value}
	}
	return patch.Apply(pod, all)
}
