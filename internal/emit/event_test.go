package emit

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/eventstest"
	"github.com/txn2/amp/internal/review"
)

func anEndpoint(t testing.TB, text string) review.Endpoint {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return review.NewEndpoint(u)
}

const traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// aMutation is the record of a mutation whose Pod and patch are full of secrets.
func aMutation(t testing.TB) *review.Record {
	t.Helper()
	steps := []review.Step{
		{Endpoint: anEndpoint(t, "http://user:s3cret@hook:8080/mutate?s3cret"), Status: 200, Result: review.ResultOK, Took: 1250 * time.Microsecond,
			Warnings: []string{"amp: no Pod has spec.contianers"},
			Ops: []review.Op{
				{Op: "add", Path: "/metadata/annotations", Value: json.RawMessage(`{}`)},
				{Op: "add", Path: "/metadata/annotations/x", Value: json.RawMessage(`"s3cret"`)},
				{Op: "test", Path: "/spec/containers/0/env/0/value", Value: json.RawMessage(`"s3cret"`)},
			}},
		{Endpoint: anEndpoint(t, "https://other/"), Status: 200, Result: review.ResultOK, Took: time.Millisecond,
			Ops: []review.Op{
				{Op: "copy", From: "/metadata/labels/a", Path: "/metadata/labels/b", Value: json.RawMessage(`"s3cret"`)},
				{Op: "remove", Path: "/spec/containers/0/args", From: "s3cret", Value: json.RawMessage(`"s3cret"`)},
				{Op: "add", Path: "/spec/containers/0/env/-", Value: json.RawMessage(`{"name":"TOKEN","value":"s3cret"}`)},
			}},
	}
	stamp := []review.Op{{Op: "add", Path: "/metadata/annotations/amp.txn2.com~1event", Value: json.RawMessage(`"uid-1"`)}}
	patch := slices.Concat(steps[0].Ops, steps[1].Ops, stamp)
	return &review.Record{
		Review: &review.Review{UID: "uid-1", Phase: review.Mutate, Namespace: "jhub", GenerateName: "jupyter-", User: "system:serviceaccount:jhub:hub",
			Pod:         json.RawMessage(`{"kind":"Pod","spec":{"containers":[{"env":[{"name":"A","value":"s3cret"}]}]}, "future":1e400}`),
			Labels:      map[string]string{"l": "s3cret"},
			Controller:  &review.Owner{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "jupyter", UID: "o"},
			TraceParent: traceParent, PodUID: "", Stamp: "forged"},
		Plan: review.Plan{Policy: &review.Policy{}, FailurePolicy: review.Fail, Event: "uid-1", Level: review.LevelPatch,
			Warnings: []string{"timeout is cut"}},
		Run:     review.Run{Steps: steps, Patch: patch, Stamp: stamp},
		Verdict: review.Verdict{Outcome: review.OutcomeMutated, Patch: patch},
		Time:    time.Date(2026, 11, 23, 10, 0, 0, 123456789, time.FixedZone("CET", 3600)),
		Took:    3500 * time.Microsecond,
	}
}

var aSource = *types.ParseURIRef("https://amp.example/cluster-a")

// anEvent is rec's event; it holds it against sdk-go's rules and its data against the schema.
func anEvent(t testing.TB, rec *review.Record) event.Event {
	t.Helper()
	e, err := newEvent(rec, aSource, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkEvent(t, e)
	return e
}

func checkEvent(t testing.TB, e event.Event) {
	t.Helper()
	if err := e.Validate(); err != nil {
		t.Error(err)
	}
	eventstest.Check(t, e.Data())
	if e.DataSchema() != events.SchemaURL || e.DataContentType() != "application/json" {
		t.Errorf("dataschema %q, datacontenttype %q", e.DataSchema(), e.DataContentType())
	}
}

func TestEventOfAMutation(t *testing.T) {
	const head = `{"uid":"uid-1","level":"LEVEL","namespace":"jhub","pod":{"generateName":"jupyter-"},"controller":{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"jupyter","uid":"o"},` +
		`"user":"system:serviceaccount:jhub:hub","operation":"mutate","outcome":"mutated","warnings":["timeout is cut"],"failurePolicy":"Fail",` +
		`"endpoints":[{"url":"http://hook:8080/mutate","status":200,"durationMs":1.25,"ops":3,"warnings":["amp: no Pod has spec.contianers"]},{"url":"https://other/","status":200,"durationMs":1,"ops":3}],"durationMs":3.5`
	const patch = `,"patch":[{"step":1,"op":"add","path":"/metadata/annotations","value":{}},{"step":1,"op":"add","path":"/metadata/annotations/x","value":"SECRET"},` +
		`{"step":1,"op":"test","path":"/spec/containers/0/env/0/value","value":"SECRET"},{"step":2,"op":"copy","path":"/metadata/labels/b","from":"/metadata/labels/a"},` +
		`{"step":2,"op":"remove","path":"/spec/containers/0/args"},{"step":2,"op":"add","path":"/spec/containers/0/env/-","value":{"name":"TOKEN","value":"SECRET"}},` +
		`{"step":0,"op":"add","path":"/metadata/annotations/amp.txn2.com~1event","value":"uid-1"}]`
	const object = `,"object":{"kind":"Pod","spec":{"containers":[{"env":[{"name":"A","value":"s3cret"}]}]},"future":1e400}`

	for level, want := range map[review.Level]string{
		review.LevelMetadata: strings.ReplaceAll(head, "LEVEL", "Metadata") + "}",
		review.LevelPatch:    strings.ReplaceAll(strings.ReplaceAll(head+patch, "LEVEL", "Patch"), "SECRET", "[redacted]") + "}",
		review.LevelFull:     strings.ReplaceAll(strings.ReplaceAll(head+patch, "LEVEL", "Full"), "SECRET", "s3cret") + object + "}",
	} {
		t.Run(string(level), func(t *testing.T) {
			rec := aMutation(t)
			rec.Plan.Level = level
			e := anEvent(t, rec)
			if diff := cmp.Diff(want, string(e.Data())); diff != "" {
				t.Errorf("data (-want +got):\n%s", diff)
			}
			e.DataEncoded = nil
			text, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			const attributes = `{"specversion":"1.0","id":"uid-1","source":"https://amp.example/cluster-a","type":"com.txn2.amp.pod.mutated.v1","subject":"jhub/jupyter-*",` +
				`"datacontenttype":"application/json","dataschema":"https://amp.txn2.com/schemas/events.v1.json","time":"2026-11-23T09:00:00.123456789Z",` +
				`"namespace":"jhub","outcome":"mutated","traceparent":"` + traceParent + `"}`
			if diff := cmp.Diff(attributes, string(text)); diff != "" {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEvents(t *testing.T) {
	failed := func(rec *review.Record, outcome review.Outcome) {
		rec.Run.Steps[1].Err, rec.Run.Steps[1].Ops, rec.Run.Steps[1].Status = errors.New("answered\n500"), nil, 0
		rec.Run.Patch, rec.Run.Stamp = nil, nil
		rec.Verdict = review.Verdict{Outcome: outcome, Message: "amp: endpoint https://other/: answered 500"}
	}
	for name, test := range map[string]struct {
		edit      func(*review.Record)
		kind      string
		subject   string
		ops       []string // of the patch: step, op
		message   string
		mutation  string
		podUID    string
		endpoints int
	}{
		"a mutation": {edit: func(*review.Record) {}, kind: events.Mutated, subject: "jhub/jupyter-*", endpoints: 2,
			ops: []string{"1 add", "1 add", "1 test", "2 copy", "2 remove", "2 add", "0 add"}},
		"a Pod with a name": {edit: func(rec *review.Record) { rec.Review.Name = "jupyter-alice" }, kind: events.Mutated, subject: "jhub/jupyter-alice", endpoints: 2,
			ops: []string{"1 add", "1 add", "1 test", "2 copy", "2 remove", "2 add", "0 add"}},
		"no change": {edit: func(rec *review.Record) {
			rec.Run.Patch, rec.Run.Stamp, rec.Verdict = nil, nil, review.Verdict{Outcome: review.OutcomeUnchanged}
		}, kind: events.Unchanged, subject: "jhub/jupyter-*", endpoints: 2},
		"shadow mode": {edit: func(rec *review.Record) {
			rec.Run.Patch, rec.Run.Stamp, rec.Verdict = rec.Run.Patch[:6], nil, review.Verdict{Outcome: review.OutcomeShadowed}
		}, kind: events.Shadowed, subject: "jhub/jupyter-*", endpoints: 2,
			ops: []string{"1 add", "1 add", "1 test", "2 copy", "2 remove", "2 add"}},
		"shadow mode, the second endpoint failed": {edit: func(rec *review.Record) { failed(rec, review.OutcomeShadowed) },
			kind: events.Shadowed, subject: "jhub/jupyter-*", endpoints: 2, message: "amp: endpoint https://other/: answered 500"},
		"shadow mode, one undid what the other did": {edit: func(rec *review.Record) {
			rec.Run.Patch, rec.Run.Stamp, rec.Verdict = nil, nil, review.Verdict{Outcome: review.OutcomeShadowed}
		}, kind: events.Shadowed, subject: "jhub/jupyter-*", endpoints: 2},
		"a failure under Fail": {edit: func(rec *review.Record) { failed(rec, review.OutcomeRejected) },
			kind: events.Rejected, subject: "jhub/jupyter-*", endpoints: 2, message: "amp: endpoint https://other/: answered 500"},
		"an endpoint's denial": {edit: func(rec *review.Record) {
			rec.Run.Steps[1].Ops = nil
			rec.Run.Patch, rec.Run.Stamp, rec.Run.Refusal = nil, nil, &review.Answer{Refused: true, Message: "no GPUs left"}
			rec.Verdict = review.Verdict{Outcome: review.OutcomeDenied, Message: "no GPUs left", Code: 403}
		}, kind: events.Denied, subject: "jhub/jupyter-*", endpoints: 2, message: "no GPUs left"},
		"a failure under Ignore": {edit: func(rec *review.Record) {
			failed(rec, review.OutcomeFailedOpen)
			rec.Plan.FailurePolicy = review.Ignore
		}, kind: events.FailedOpen, subject: "jhub/jupyter-*", endpoints: 2, message: "amp: endpoint https://other/: answered 500"},
		"a Namespace with a bad value, and no Pod": {edit: func(rec *review.Record) {
			rec.Review = &review.Review{UID: "uid-1", Phase: review.Mutate, Namespace: "x"}
			rec.Run, rec.Plan.Level, rec.Plan.Warnings = review.Run{Err: errors.New("bad")}, review.LevelFull, nil
			rec.Verdict = review.Verdict{Outcome: review.OutcomeRejected, Message: "amp: bad"}
		}, kind: events.Rejected, subject: "x/", message: "amp: bad"},
		"a validation": {edit: func(rec *review.Record) {
			rec.Review.Phase, rec.Review.Name, rec.Review.PodUID, rec.Review.Stamp = review.Validate, "jupyter-x1", "pod-uid", "uid-0"
			rec.Run, rec.Plan.Warnings = review.Run{}, nil
			rec.Verdict = review.Verdict{Outcome: review.OutcomeValidated}
		}, kind: events.Validated, subject: "jhub/jupyter-x1", mutation: "uid-0", podUID: "pod-uid"},
		"a validation under shadow": {edit: func(rec *review.Record) {
			rec.Review.Phase, rec.Review.Stamp = review.Validate, ""
			rec.Run.Patch, rec.Run.Stamp, rec.Verdict = nil, nil, review.Verdict{Outcome: review.OutcomeShadowed}
		}, kind: events.Shadowed, subject: "jhub/jupyter-*", endpoints: 2},
	} {
		for _, level := range []review.Level{review.LevelMetadata, review.LevelPatch, review.LevelFull} {
			t.Run(name+" at "+string(level), func(t *testing.T) {
				rec := aMutation(t)
				rec.Plan.Level = level
				test.edit(rec)
				e := anEvent(t, rec)
				var d events.Data
				if err := json.Unmarshal(e.Data(), &d); err != nil {
					t.Fatal(err)
				}
				var ops []string
				for _, op := range d.Patch {
					ops = append(ops, string('0'+rune(op.Step))+" "+op.Op)
				}
				wantOps := test.ops
				if level == review.LevelMetadata {
					wantOps = nil
				}
				if diff := cmp.Diff(wantOps, ops); diff != "" {
					t.Errorf("patch (-want +got):\n%s", diff)
				}
				got := []any{e.Type(), e.Subject(), d.Message, d.Mutation, d.Pod.UID, len(d.Endpoints), "com.txn2.amp.pod." + e.Extensions()["outcome"].(string) + ".v1"}
				want := []any{test.kind, test.subject, test.message, test.mutation, test.podUID, test.endpoints, test.kind}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("event (-want +got):\n%s", diff)
				}
				if strings.Contains(string(e.Data()), "s3cret") != (rec.Plan.Level == review.LevelFull && rec.Review.Pod != nil) {
					t.Errorf("secrets at level %s: %s", rec.Plan.Level, e.Data())
				}
			})
		}
	}
}

// TestEachOutcomeButSkippedHasAType: amp emits an event for every review that it did not skip.
func TestEachOutcomeButSkippedHasAType(t *testing.T) {
	for _, outcome := range review.Outcomes {
		if eventType, ok := events.TypeOf(string(outcome)); ok != (outcome != review.OutcomeSkipped) {
			t.Errorf("%s has the type %q", outcome, eventType)
		}
	}
}

func TestNoEvent(t *testing.T) {
	for name, edit := range map[string]func(*review.Record){
		"a review that was left alone": func(rec *review.Record) { rec.Verdict = review.Verdict{Outcome: review.OutcomeSkipped} },
		"no id":                        func(rec *review.Record) { rec.Plan.Event = "" },
		"level None":                   func(rec *review.Record) { rec.Plan.Level = review.LevelNone },
		"no level":                     func(rec *review.Record) { rec.Plan.Level = "" },
		"a Pod that is not JSON": func(rec *review.Record) {
			rec.Plan.Level, rec.Review.Pod = review.LevelFull, json.RawMessage(`{"s3cret`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			rec := aMutation(t)
			edit(rec)
			if e, err := newEvent(rec, aSource, nil); err == nil {
				t.Errorf("there is one: %v", e)
			} else if strings.Contains(err.Error(), "s3cret") {
				t.Error(err)
			}
		})
	}
}

func TestWhatIsNotUTF8IsMadeSo(t *testing.T) {
	rec := aMutation(t)
	rec.Review.Namespace, rec.Review.TraceParent = "a\xffb", "00-1"
	rec.Run.Steps[0].Ops[0] = review.Op{Op: "add", Path: "/metadata/labels/x", Value: json.RawMessage("\"c\xffd\"")}
	e := anEvent(t, rec)
	if !strings.Contains(string(e.Data()), `"namespace":"a\ufffdb"`) || !strings.Contains(string(e.Data()), "c\uFFFDd") || e.Subject() != "a\uFFFDb/jupyter-*" {
		t.Error(e)
	}
	if _, ok := e.Extensions()["traceparent"]; ok {
		t.Error("a traceparent that is none is passed on")
	}
}

// aReview is the record of a mutation of a Pod that a real API server sent.
func aReview(t testing.TB) *review.Record {
	t.Helper()
	body, err := os.ReadFile("../review/testdata/jupyterhub-user.review.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := review.Read(body, review.Mutate)
	if err != nil {
		t.Fatal(err)
	}
	rec := aMutation(t)
	rec.Review = r
	return rec
}
