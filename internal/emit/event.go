package emit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/endpoints/jsonpointer"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/redact"
	"github.com/txn2/amp/internal/review"
)

var (
	contentType = event.ApplicationJSON
	dataSchema  = types.ParseURI(events.SchemaURL)
)

// newEvent is the event of rec, which must have one: rec.Plan.Event is its id, and rec.Plan.Level says how much it tells.
// The overrides are more extensions.
func newEvent(rec *review.Record, source types.URIRef, overrides map[string]string) (event.Event, error) {
	return newEventWith(rec, NewData, source, overrides)
}

// newEventWith is newEvent with other data.
func newEventWith(rec *review.Record, newData func(*review.Record) *events.Data, source types.URIRef, overrides map[string]string) (event.Event, error) {
	eventType, ok := events.TypeOf(string(rec.Verdict.Outcome))
	if !ok || rec.Plan.Event == "" {
		return event.Event{}, fmt.Errorf("a review with the outcome %s has no event", rec.Verdict.Outcome)
	}
	level := rec.Plan.Level
	if level != review.LevelMetadata && level != review.LevelPatch && level != review.LevelFull {
		return event.Event{}, fmt.Errorf("the level %q has no events", level)
	}
	data, err := json.Marshal(newData(rec))
	if err != nil {
		// The text of err would quote the Pod.
		return event.Event{}, errors.New("encoding the data of the event: the Pod or a patch is not valid JSON")
	}
	if !utf8.Valid(data) {
		// JSON is UTF-8, and receivers reject anything else. encoding/json does not check raw values.
		data = bytes.ToValidUTF8(data, []byte(string(utf8.RuneError)))
	}

	r := rec.Review
	subject := r.Namespace + "/" + r.Name
	if r.Name == "" && r.GenerateName != "" {
		subject = r.Namespace + "/" + r.GenerateName + "*"
	}
	subject = validUTF8(subject)
	extensions := map[string]any{"namespace": validUTF8(r.Namespace), "outcome": string(rec.Verdict.Outcome)}
	if validTraceParent(r.TraceParent) {
		extensions["traceparent"] = r.TraceParent
	}
	for extension, value := range overrides {
		extensions[extension] = value
	}
	return event.Event{
		Context: &event.EventContextV1{
			ID:              validUTF8(rec.Plan.Event),
			Source:          source,
			Type:            eventType,
			DataContentType: &contentType,
			DataSchema:      dataSchema,
			Subject:         &subject,
			Time:            &types.Timestamp{Time: rec.Time.UTC()},
			Extensions:      extensions,
		},
		DataEncoded: data,
	}, nil
}

// NewData is the data of the event of rec, by the level of its plan. It is also what a program shows that sends no event.
func NewData(rec *review.Record) *events.Data {
	r := rec.Review
	data := &events.Data{
		UID:           r.UID,
		Level:         events.Level(rec.Plan.Level),
		Namespace:     r.Namespace,
		Pod:           events.Pod{Name: r.Name, GenerateName: r.GenerateName},
		User:          r.User,
		Operation:     string(r.Phase),
		Outcome:       string(rec.Verdict.Outcome),
		Message:       review.Line(rec.Verdict.Message),
		Warnings:      rec.Plan.Warnings,
		FailurePolicy: string(rec.Plan.FailurePolicy),
		Endpoints:     make([]events.Endpoint, len(rec.Run.Steps)),
		DurationMS:    milliseconds(rec.Took),
	}
	if r.Controller != nil {
		data.Owner = &events.Controller{APIVersion: r.Controller.APIVersion, Kind: r.Controller.Kind, Name: r.Controller.Name, UID: r.Controller.UID}
	}
	if rec.Verdict.Outcome == review.OutcomeValidated {
		data.Pod.UID, data.Mutation = r.PodUID, r.Stamp
	}
	for i := range rec.Run.Steps {
		step := &rec.Run.Steps[i]
		e := &data.Endpoints[i]
		*e = events.Endpoint{URL: step.Endpoint.Name, Status: step.Status, DurationMS: milliseconds(step.Took), Ops: len(step.Ops),
			Warnings: review.Bounded(step.Warnings, step.MoreWarnings, review.MaxWarnings)}
		if step.Err != nil {
			e.Error = review.Line(step.Err.Error())
		}
	}
	if rec.Plan.Level == review.LevelMetadata {
		return data
	}
	data.Patch = newPatch(rec)
	if rec.Plan.Level == review.LevelFull {
		data.Object = r.Pod
	}
	return data
}

// newPatch is the patch that amp answered or, in shadow mode, would have answered, or that of a candidate. There is none if a later endpoint
// failed, denied the Pod or undid every change.
func newPatch(rec *review.Record) []events.Op {
	run := &rec.Run
	switch {
	case rec.Verdict.Outcome == review.OutcomeMutated, rec.Verdict.Outcome == review.OutcomeCompared:
	case rec.Verdict.Outcome == review.OutcomeShadowed && rec.Review.Phase == review.Mutate && len(run.Patch) > 0:
	default:
		return nil
	}
	ops := Ops(run.Steps)
	steps := len(ops)
	for i := range run.Stamp {
		ops = append(ops, newOp(0, &run.Stamp[i]))
	}
	if rec.Plan.Level == review.LevelFull {
		return ops
	}
	redact.Patch(rec.Review.Pod, ops)
	for i := range run.Stamp {
		if op := &ops[steps+i]; op.Path == stampPath { // amp's own value
			op.Value = run.Stamp[i].Value
		}
	}
	return ops
}

// stampPath is the JSON pointer of the stamp in a Pod.
var stampPath = "/metadata/annotations/" + jsonpointer.Escape(review.StampAnnotation)

// Ops are the operations of the steps as an event has them, with every value.
func Ops(steps []review.Step) []events.Op {
	var ops []events.Op
	for i := range steps {
		for j := range steps[i].Ops {
			ops = append(ops, newOp(i+1, &steps[i].Ops[j]))
		}
	}
	return ops
}

// newOp leaves out the members that have no meaning for this op. An endpoint may have sent them.
func newOp(step int, op *review.Op) events.Op {
	shown := events.Op{Step: step, Op: op.Op, Path: op.Path}
	switch op.Op {
	case "move", "copy":
		shown.From = op.From
	case "add", "replace", "test":
		shown.Value = op.Value
	}
	return shown
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func validUTF8(s string) string { return strings.ToValidUTF8(s, string(utf8.RuneError)) }

// validTraceParent reports whether s is a traceparent of W3C Trace Context level 1, or of a later version that begins like
// one (sections 3.2.2.3 and 4.3).
func validTraceParent(s string) bool {
	if len(s) < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	version, trace, parent, flags := s[:2], s[3:35], s[36:52], s[53:55]
	switch {
	case !lowerHex(version + trace + parent + flags), version == "ff",
		strings.Trim(trace, "0") == "", strings.Trim(parent, "0") == "":
		return false
	case len(s) == 55:
		return true
	}
	if version == "00" || s[55] != '-' {
		return false
	}
	return outbound.EncodeAttribute(s) == s
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f') {
			return false
		}
	}
	return true
}
