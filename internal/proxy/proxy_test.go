package proxy_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/review"
)

func TestReview(t *testing.T) {
	const a, b, v = "http://a", "http://b", "http://v"
	full := &review.Policy{Enabled: true, Mutate: endpoints(t, a, b), Validate: endpoints(t, v)}
	with := func(change func(p *review.Policy)) *review.Policy {
		p := *full
		change(&p)
		return &p
	}
	mutate := review.Review{Phase: review.Mutate, Namespace: "x", User: "bob", Pod: json.RawMessage("pod"), Labels: map[string]string{"component": "hub"}}
	validate := mutate
	validate.Phase = review.Validate
	stamped := validate
	stamped.Stamp = "u"

	for name, test := range map[string]struct {
		world world
		r     review.Review
		left  time.Duration

		outcome  review.Outcome
		message  string
		warnings []string
		patch    string // the paths of its ops
		calls    []call
	}{
		"a chain: each endpoint sees what the last one made": {
			world: world{policy: full, answers: map[string]review.Answer{a: patch("/1"), b: patch("/2")}}, r: mutate,
			outcome: review.OutcomeMutated, patch: "/1 /2", warnings: []string{"amp: checked", "amp: checked"},
			calls: []call{{a, 1, "pod", 1500 * time.Millisecond}, {b, 2, "pod/1", 1500 * time.Millisecond}}},
		"a chain that ends where it began": {
			world: world{policy: full, answers: map[string]review.Answer{a: patch("/1"), b: patch("-")}}, r: mutate,
			outcome: review.OutcomeUnchanged, warnings: []string{"amp: checked"},
			calls: []call{{a, 1, "pod", 1500 * time.Millisecond}, {b, 2, "pod/1", 1500 * time.Millisecond}}},
		"patches that do not go together are a failure of the later endpoint": {
			world: world{policy: full, answers: map[string]review.Answer{a: patch("/1"), b: patch("/2")}, together: map[string]error{"/2": &review.Failure{Result: review.ResultPatch, Cause: "not together"}}}, r: mutate,
			outcome: review.OutcomeRejected, message: "amp: endpoint http://b: not together", warnings: []string{"amp: checked", "amp: checked"},
			calls: []call{{a, 1, "pod", 1500 * time.Millisecond}, {b, 2, "pod/1", 1500 * time.Millisecond}}},
		"no endpoint wants a change": {
			world: world{policy: full}, r: mutate, outcome: review.OutcomeUnchanged,
			calls: []call{{a, 1, "pod", 1500 * time.Millisecond}, {b, 2, "pod", 1500 * time.Millisecond}}},
		"a failed endpoint ends the chain and voids its patch": {
			world: world{policy: full, answers: map[string]review.Answer{a: patch("/1")}, failures: map[string]error{b: &review.Failure{Result: review.ResultLate, Cause: "no answer"}}}, r: mutate,
			outcome: review.OutcomeRejected, message: "amp: endpoint http://b: no answer", warnings: []string{"amp: checked"},
			calls: []call{{a, 1, "pod", 1500 * time.Millisecond}, {b, 2, "pod/1", 1500 * time.Millisecond}}},
		"a patch that is refused is its endpoint's failure": {
			world: world{policy: full, answers: map[string]review.Answer{a: patch("/1")}, refused: map[string]error{"/1": &review.Failure{Result: review.ResultPatch, Cause: `op 1 (remove "/1"): no`}}}, r: mutate,
			outcome: review.OutcomeRejected, message: `amp: endpoint http://a: op 1 (remove "/1"): no`,
			calls: []call{{a, 1, "pod", 1500 * time.Millisecond}}},
		"a refusal ends the chain": {
			world: world{policy: full, answers: map[string]review.Answer{a: {Status: 200, Refused: true, Message: "no"}}}, r: mutate,
			outcome: review.OutcomeDenied, message: "no",
			calls: []call{{a, 1, "pod", 1500 * time.Millisecond}}},
		"a validation has half the time": {
			world: world{policy: full}, r: validate, outcome: review.OutcomeValidated,
			calls: []call{{v, 1, "pod", 750 * time.Millisecond}}},
		"the API server's time, less a margin": {
			world: world{policy: full}, r: mutate, left: time.Second, outcome: review.OutcomeUnchanged,
			calls: []call{{a, 1, "pod", 900 * time.Millisecond}, {b, 2, "pod", 900 * time.Millisecond}}},
		"the namespace's time": {
			world: world{policy: with(func(p *review.Policy) { p.Timeout = 300 * time.Millisecond })}, r: mutate, outcome: review.OutcomeUnchanged,
			calls: []call{{a, 1, "pod", 300 * time.Millisecond}, {b, 2, "pod", 300 * time.Millisecond}}},
		"the namespace's time is cut to amp's": {
			world: world{policy: with(func(p *review.Policy) { p.Timeout = time.Minute })}, r: mutate, outcome: review.OutcomeUnchanged,
			warnings: []string{"amp: namespace x: annotation amp.txn2.com/timeout 1m0s is more than AMP_TIMEOUT: reduced to 1.5s"},
			calls:    []call{{a, 1, "pod", 1500 * time.Millisecond}, {b, 2, "pod", 1500 * time.Millisecond}}},

		"the namespace's level of events is cut to amp's": {
			world: world{policy: with(func(p *review.Policy) { p.Events = review.LevelFull }), events: review.LevelPatch}, r: mutate, outcome: review.OutcomeUnchanged,
			warnings: []string{"amp: namespace x: annotation amp.txn2.com/events Full is more than AMP_EVENTS_LEVEL: reduced to Patch"},
			calls:    []call{{a, 1, "pod", 1500 * time.Millisecond}, {b, 2, "pod", 1500 * time.Millisecond}}},
		"even to none": {
			world: world{policy: with(func(p *review.Policy) { p.Events = review.LevelMetadata }), events: review.LevelNone}, r: mutate, outcome: review.OutcomeUnchanged,
			warnings: []string{"amp: namespace x: annotation amp.txn2.com/events Metadata is more than AMP_EVENTS_LEVEL: reduced to None"},
			calls:    []call{{a, 1, "pod", 1500 * time.Millisecond}, {b, 2, "pod", 1500 * time.Millisecond}}},
		"a lower level of events is not": {
			world: world{policy: with(func(p *review.Policy) { p.Events = review.LevelNone }), events: review.LevelPatch}, r: mutate, outcome: review.OutcomeUnchanged,
			calls: []call{{a, 1, "pod", 1500 * time.Millisecond}, {b, 2, "pod", 1500 * time.Millisecond}}},

		"a namespace that has not opted in": {
			world: world{policy: &review.Policy{}}, r: mutate, outcome: review.OutcomeSkipped},
		"a namespace that cannot be read": {
			world: world{policyErr: errors.New("reading namespace x: gone")}, r: mutate,
			outcome: review.OutcomeRejected, message: "amp: reading namespace x: gone"},
		"a namespace with a bad value": {
			world: world{policy: with(func(p *review.Policy) { p.Err = errors.New("namespace x: bad") })}, r: mutate,
			outcome: review.OutcomeRejected, message: "amp: namespace x: bad"},
		"a bad value and no endpoint": {
			world: world{policy: &review.Policy{Enabled: true, Err: errors.New("namespace x: bad")}}, r: mutate,
			outcome: review.OutcomeRejected, message: "amp: namespace x: bad"},
		"a namespace without an endpoint": {
			world: world{policy: &review.Policy{Enabled: true}}, r: mutate,
			outcome: review.OutcomeSkipped, warnings: []string{"amp: namespace x names no endpoint: set annotation amp.txn2.com/ep"}},
		"a namespace without an endpoint, whose Pod has a stamp": {
			world: world{policy: &review.Policy{Enabled: true}, events: review.LevelPatch}, r: stamped,
			outcome: review.OutcomeSkipped, warnings: []string{"amp: namespace x names no endpoint: set annotation amp.txn2.com/ep"}},
		"a namespace with endpoints for validation only": {
			world: world{policy: with(func(p *review.Policy) { p.Mutate = nil })}, r: mutate, outcome: review.OutcomeSkipped},
		"a namespace with endpoints for mutation only": {
			world: world{policy: with(func(p *review.Policy) { p.Validate = nil })}, r: validate, outcome: review.OutcomeSkipped},
		"a Pod outside the selector is left alone whatever else is wrong": {
			world: world{policy: with(func(p *review.Policy) {
				p.Pods, p.Err = selector(t, "component=singleuser-server"), errors.New("bad")
			})}, r: mutate, outcome: review.OutcomeSkipped},
		"a Pod within the selector": {
			world: world{policy: with(func(p *review.Policy) { p.Pods, p.Mutate = selector(t, "component=hub"), p.Mutate[:1] })}, r: mutate,
			outcome: review.OutcomeUnchanged, calls: []call{{a, 1, "pod", 1500 * time.Millisecond}}},
		"a Pod with more labels than amp reads may be within the selector": {
			world: world{policy: with(func(p *review.Policy) { p.Pods = selector(t, "component=hub") })}, r: review.Review{Phase: review.Mutate, Pod: mutate.Pod, ManyLabels: true},
			outcome: review.OutcomeRejected,
			message: "amp: the Pod has more than 1000 labels, and amp does not look among so many for those of annotation amp.txn2.com/pods"},
		"without a selector they do not matter": {
			world: world{policy: with(func(p *review.Policy) { p.Mutate = p.Mutate[:1] })}, r: review.Review{Phase: review.Mutate, Pod: mutate.Pod, ManyLabels: true},
			outcome: review.OutcomeUnchanged, calls: []call{{a, 1, "pod", 1500 * time.Millisecond}}},
		"a creator who is not named": {
			world: world{policy: with(func(p *review.Policy) { p.Creators = review.Globs{"system:serviceaccount:jhub:*"} })}, r: mutate,
			outcome: review.OutcomeRejected,
			message: "amp: namespace x: bob may not create the Pods that amp forwards here; annotation amp.txn2.com/creators names who may"},
		"a creator who is named": {
			world: world{policy: with(func(p *review.Policy) { p.Creators, p.Mutate = review.Globs{"b*"}, p.Mutate[:1] })}, r: mutate,
			outcome: review.OutcomeUnchanged, calls: []call{{a, 1, "pod", 1500 * time.Millisecond}}},
		"a review that is none of amp's": {
			world: world{policy: full}, r: review.Review{Phase: review.Mutate, Unhandled: "not a Pod"},
			outcome: review.OutcomeSkipped, warnings: []string{"amp: not a Pod"}},
		"a mirror Pod": {
			world: world{policy: full}, r: review.Review{Phase: review.Mutate, FromNode: true}, outcome: review.OutcomeSkipped},
		"a review without its Pod": {
			world: world{policy: full}, r: review.Review{Phase: review.Mutate},
			outcome: review.OutcomeRejected, message: "amp: the review holds no Pod: request.object must be one"},
		"shadow mode calls and checks, and answers nothing": {
			world: world{policy: with(func(p *review.Policy) { p.Shadow, p.Mutate = true, p.Mutate[:1] }), answers: map[string]review.Answer{a: patch("/1")}}, r: mutate,
			outcome: review.OutcomeShadowed, calls: []call{{a, 1, "pod", 1500 * time.Millisecond}}},
		"a panic is a failure": {
			world: world{policy: full, panics: "call"}, r: mutate,
			outcome: review.OutcomeRejected, message: "amp: an error in amp itself; its log has the details"},
		"a panic in a namespace that ignores failures": {
			world: world{policy: with(func(p *review.Policy) { p.FailurePolicy = review.Ignore }), panics: "call"}, r: mutate,
			outcome: review.OutcomeFailedOpen, message: "amp: an error in amp itself; its log has the details",
			warnings: []string{"amp: not mutated: an error in amp itself; its log has the details"}},
	} {
		run(t, name, func(t *testing.T) {
			w := &test.world
			rec, answer := w.proxy().Review(t.Context(), &test.r, time.Now(), test.left)
			v := rec.Verdict
			if v.Outcome != test.outcome || v.Message != test.message {
				t.Errorf("%s %q, want %s %q", v.Outcome, v.Message, test.outcome, test.message)
			}
			if diff := cmp.Diff(test.warnings, v.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			var paths []string
			for _, op := range v.Patch {
				paths = append(paths, op.Path)
			}
			if got := strings.Join(paths, " "); got != test.patch {
				t.Errorf("patch %q, want %q", got, test.patch)
			}
			if diff := cmp.Diff(test.calls, w.calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if len(w.records) != 1 || w.records[0] != rec {
				t.Errorf("%d records, want this one", len(w.records))
			}
			if diff := cmp.Diff(string(review.Write(rec)), string(answer)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if w.panics != "" && (w.panicked != 1 || strings.Contains(w.log.String(), "secret")) {
				t.Errorf("%d panics counted, log %s", w.panicked, w.log.String())
			}
		})
	}
}

func TestReviewOfALateAPIServerAsksNobody(t *testing.T) {
	w := &world{policy: &review.Policy{Enabled: true, Mutate: endpoints(t, "http://a")}, failures: map[string]error{"http://a": context.DeadlineExceeded}}
	rec, _ := w.proxy().Review(t.Context(), &review.Review{Phase: review.Mutate, Pod: json.RawMessage("pod")}, time.Now(), 50*time.Millisecond)
	if len(w.calls) == 1 && w.calls[0].Budget > 0 {
		t.Errorf("the endpoint had %v", w.calls[0].Budget)
	}
	if rec.Verdict.Outcome != review.OutcomeRejected {
		t.Errorf("outcome %s", rec.Verdict.Outcome)
	}
}

func TestRecordNamesTheResultOfEachStep(t *testing.T) {
	const a, b = "http://a", "http://b"
	w := &world{policy: &review.Policy{Enabled: true, Mutate: endpoints(t, a, b)},
		answers:  map[string]review.Answer{a: patch("/1"), b: {Status: 503}},
		failures: map[string]error{b: &review.Failure{Result: review.ResultStatus, Cause: "answered 503"}}}
	rec, _ := w.proxy().Review(t.Context(), &review.Review{Phase: review.Mutate, Pod: json.RawMessage("pod")}, time.Now(), 0)
	var got []review.Result
	for _, step := range rec.Run.Steps {
		got = append(got, step.Result)
	}
	if diff := cmp.Diff([]review.Result{review.ResultOK, review.ResultStatus}, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if rec.Run.Steps[1].Status != 503 {
		t.Errorf("status %d", rec.Run.Steps[1].Status)
	}
}
