package proxy_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/txn2/amp/internal/review"
)

// TestEvents checks which reviews have an event, and what the annotation on a mutated Pod says.
func TestEvents(t *testing.T) {
	const a = "http://a"
	opted := &review.Policy{Enabled: true, Mutate: endpoints(t, a)}
	with := func(change func(p *review.Policy)) *review.Policy {
		p := *opted
		change(&p)
		return &p
	}
	changes := map[string]review.Answer{a: patch("/1")}
	mutate := review.Review{UID: "u", Phase: review.Mutate, Pod: json.RawMessage("pod")}
	dryRun, validate := mutate, mutate
	dryRun.DryRun = true
	validate.Phase, validate.Stamp = review.Validate, "earlier"

	for name, test := range map[string]struct {
		world   world
		r       review.Review
		event   string
		level   review.Level
		stamp   string
		outcome review.Outcome
	}{
		"a mutation is stamped":                {world{policy: opted, answers: changes, events: review.LevelPatch}, mutate, "u", review.LevelPatch, "amp.txn2.com/event=u", review.OutcomeMutated},
		"no change is not":                     {world{policy: opted, events: review.LevelPatch}, mutate, "u", review.LevelPatch, "", review.OutcomeUnchanged},
		"shadow mode stamps nothing":           {world{policy: with(func(p *review.Policy) { p.Shadow = true }), answers: changes, events: review.LevelPatch}, mutate, "u", review.LevelPatch, "", review.OutcomeShadowed},
		"a dry run leaves no event":            {world{policy: opted, answers: changes, events: review.LevelPatch}, dryRun, "", review.LevelPatch, "", review.OutcomeMutated},
		"events are off":                       {world{policy: opted, answers: changes}, mutate, "", "", "", review.OutcomeMutated},
		"a namespace that wants no events":     {world{policy: with(func(p *review.Policy) { p.Events = review.LevelNone }), answers: changes, events: review.LevelPatch}, mutate, "", review.LevelNone, "", review.OutcomeMutated},
		"one that may not turn them off":       {world{policy: with(func(p *review.Policy) { p.Events = review.LevelNone }), answers: changes, events: review.LevelPatch, required: true}, mutate, "u", review.LevelMetadata, "amp.txn2.com/event=u", review.OutcomeMutated},
		"a namespace lowers the level":         {world{policy: with(func(p *review.Policy) { p.Events = review.LevelMetadata }), answers: changes, events: review.LevelFull}, mutate, "u", review.LevelMetadata, "amp.txn2.com/event=u", review.OutcomeMutated},
		"a namespace does not raise it":        {world{policy: with(func(p *review.Policy) { p.Events = review.LevelFull }), answers: changes, events: review.LevelMetadata}, mutate, "u", review.LevelMetadata, "amp.txn2.com/event=u", review.OutcomeMutated},
		"a failure has an event":               {world{policy: opted, failures: map[string]error{a: errors.New("down")}, events: review.LevelPatch}, mutate, "u", review.LevelPatch, "", review.OutcomeRejected},
		"a bad Namespace has one":              {world{policy: with(func(p *review.Policy) { p.Err = errors.New("bad") }), events: review.LevelPatch}, mutate, "u", review.LevelPatch, "", review.OutcomeRejected},
		"a Namespace that cannot be read":      {world{policyErr: errors.New("gone"), events: review.LevelPatch}, mutate, "u", review.LevelPatch, "", review.OutcomeRejected},
		"what amp leaves alone has none":       {world{policy: &review.Policy{}, events: review.LevelPatch}, mutate, "", "", "", review.OutcomeSkipped},
		"a stamped Pod without an endpoint":    {world{policy: opted, events: review.LevelPatch}, validate, "u", review.LevelPatch, "", review.OutcomeValidated},
		"the same, created by another user":    {world{policy: with(func(p *review.Policy) { p.Creators = review.Globs{"hub"} }), events: review.LevelPatch}, validate, "u", review.LevelPatch, "", review.OutcomeValidated},
		"a stamped Pod, while events are off":  {world{policy: opted}, validate, "", "", "", review.OutcomeSkipped},
		"the same, without events":             {world{policy: opted, events: review.LevelNone}, validate, "", "", "", review.OutcomeSkipped},
		"an operator who wants no events":      {world{policy: opted, answers: changes, events: review.LevelNone}, mutate, "", review.LevelNone, "", review.OutcomeMutated},
		"an unstamped Pod without an endpoint": {world{policy: opted, events: review.LevelPatch}, review.Review{UID: "u", Phase: review.Validate, Pod: json.RawMessage("pod")}, "", "", "", review.OutcomeSkipped},
	} {
		run(t, name, func(t *testing.T) {
			rec, _ := test.world.proxy().Review(t.Context(), &test.r, time.Now(), 0)
			if rec.Plan.Event != test.event || rec.Plan.Level != test.level || rec.Verdict.Outcome != test.outcome {
				t.Errorf("%s, event %q at level %q; want %s, %q, %q", rec.Verdict.Outcome, rec.Plan.Event, rec.Plan.Level, test.outcome, test.event, test.level)
			}
			var paths []string
			for _, op := range rec.Verdict.Patch {
				paths = append(paths, op.Path)
			}
			want := strings.TrimSpace("/1 " + test.stamp)
			if test.outcome != review.OutcomeMutated {
				want = ""
				if len(rec.Run.Stamp) > 0 { // the event would show it
					t.Errorf("stamped by %v", rec.Run.Stamp)
				}
			}
			if got := strings.Join(paths, " "); got != want {
				t.Errorf("patch %q, want %q", got, want)
			}
		})
	}
}

// TestCopiesOfStampedPods is about Pods that come with the stamp of another Pod.
func TestCopiesOfStampedPods(t *testing.T) {
	const a, b = "http://a", "http://b"
	opted := &review.Policy{Enabled: true, Mutate: endpoints(t, a)}
	with := func(change func(p *review.Policy)) *review.Policy {
		p := *opted
		change(&p)
		return &p
	}
	two := with(func(p *review.Policy) { p.Mutate = endpoints(t, a, b) })
	shadow := with(func(p *review.Policy) { p.Shadow = true })
	changes := map[string]review.Answer{a: patch("/1")}
	undone := map[string]review.Answer{a: patch("/1"), b: patch("-")}
	const off, on = "amp.txn2.com/event", "amp.txn2.com/event=u"
	for name, test := range map[string]struct {
		world   world
		dryRun  bool
		phase   review.Phase
		outcome review.Outcome
		patch   string
	}{
		"no change takes it off":                        {world{policy: opted, events: review.LevelPatch}, false, review.Mutate, review.OutcomeUnchanged, off},
		"in a dry run, too":                             {world{policy: opted, events: review.LevelPatch}, true, review.Mutate, review.OutcomeUnchanged, off},
		"while events are off, too":                     {world{policy: opted}, false, review.Mutate, review.OutcomeUnchanged, off},
		"so does a change that another endpoint undoes": {world{policy: two, answers: undone, events: review.LevelPatch}, false, review.Mutate, review.OutcomeUnchanged, off},
		"a change replaces it":                          {world{policy: opted, answers: changes, events: review.LevelPatch}, false, review.Mutate, review.OutcomeMutated, "/1 " + on},
		"a change in a dry run takes it off":            {world{policy: opted, answers: changes, events: review.LevelPatch}, true, review.Mutate, review.OutcomeMutated, "/1 " + off},
		"a change without an event takes it off":        {world{policy: opted, answers: changes}, false, review.Mutate, review.OutcomeMutated, "/1 " + off},
		"a refusal leaves it":                           {world{policy: opted, answers: map[string]review.Answer{a: {Refused: true}}}, false, review.Mutate, review.OutcomeDenied, ""},
		"a failure leaves it":                           {world{policy: opted, failures: map[string]error{a: errors.New("down")}}, false, review.Mutate, review.OutcomeRejected, ""},
		"one under Ignore, too":                         {world{policy: with(func(p *review.Policy) { p.FailurePolicy = review.Ignore }), failures: map[string]error{a: errors.New("down")}}, false, review.Mutate, review.OutcomeFailedOpen, ""},
		"shadow mode leaves it":                         {world{policy: shadow, events: review.LevelPatch}, false, review.Mutate, review.OutcomeShadowed, ""},
		"shadow mode with a change, too":                {world{policy: shadow, answers: changes, events: review.LevelPatch}, false, review.Mutate, review.OutcomeShadowed, ""},
		"a namespace that did not opt in leaves it":     {world{policy: &review.Policy{}, events: review.LevelPatch}, false, review.Mutate, review.OutcomeSkipped, ""},
		"a validation leaves it":                        {world{policy: with(func(p *review.Policy) { p.Validate = endpoints(t, a) }), events: review.LevelPatch}, false, review.Validate, review.OutcomeValidated, ""},
	} {
		run(t, name, func(t *testing.T) {
			r := review.Review{UID: "u", Phase: test.phase, DryRun: test.dryRun, Stamp: "of another", Pod: json.RawMessage("stamped")}
			rec, _ := test.world.proxy().Review(t.Context(), &r, time.Now(), 0)
			var paths []string
			for _, op := range rec.Verdict.Patch {
				paths = append(paths, op.Path)
			}
			if got := strings.Join(paths, " "); rec.Verdict.Outcome != test.outcome || got != test.patch {
				t.Errorf("%s with the patch %q, want %s with %q", rec.Verdict.Outcome, got, test.outcome, test.patch)
			}
			if len(rec.Run.Patch) > 0 && rec.Verdict.Outcome == review.OutcomeUnchanged {
				t.Errorf("the run has a patch: %v", rec.Run.Patch)
			}
		})
	}
}

func TestDryRunThatAsksIsTold(t *testing.T) {
	const a = "http://a"
	w := world{policy: &review.Policy{Enabled: true, Mutate: endpoints(t, a)}, answers: map[string]review.Answer{a: patch("/1")}, events: review.LevelPatch}
	for name, test := range map[string]struct {
		dryRun, explain bool
		want            string
	}{
		"one that asks":                  {true, true, "amp: dry run, mutate: mutated, operations: 1"},
		"one that does not":              {true, false, ""},
		"a Pod that is created and asks": {false, true, ""},
	} {
		run(t, name, func(t *testing.T) {
			rec, _ := w.proxy().Review(t.Context(), &review.Review{UID: "u", Phase: review.Mutate, DryRun: test.dryRun, Explain: test.explain, Pod: json.RawMessage("pod")}, time.Now(), 0)
			first := rec.Verdict.Warnings[0]
			if _, told := review.ParseExplanation(first); told != (test.want != "") || told && first != test.want {
				t.Errorf("the first warning is %q, not %q", first, test.want)
			}
		})
	}
}

func TestRequiredEvents(t *testing.T) {
	const a = "http://a"
	policy := func(p review.FailurePolicy) *review.Policy {
		return &review.Policy{Enabled: true, Mutate: endpoints(t, a), FailurePolicy: p}
	}
	const message = "amp: event sink http://sink answered 503"
	undelivered := errors.New("event sink http://sink answered 503")
	for name, test := range map[string]struct {
		policy  *review.Policy
		sent    bool
		err     error
		outcome review.Outcome
		event   string
		message string
	}{
		"the sink takes it":                                             {policy(review.Fail), true, nil, review.OutcomeMutated, "u", ""},
		"the sink does not take it":                                     {policy(review.Fail), false, undelivered, review.OutcomeRejected, "u", message},
		"the sink does not take it, under Ignore":                       {policy(review.Ignore), false, undelivered, review.OutcomeFailedOpen, "u", message},
		"the sink may have it: what supersedes it has an id of its own": {policy(review.Ignore), true, undelivered, review.OutcomeFailedOpen, "u/final", message},
	} {
		run(t, name, func(t *testing.T) {
			w := &world{policy: test.policy, answers: map[string]review.Answer{a: patch("/1")}, events: review.LevelPatch, required: true, sent: test.sent, undelivered: test.err}
			rec, _ := w.proxy().Review(t.Context(), &review.Review{UID: "u", Phase: review.Mutate, Pod: json.RawMessage("pod")}, time.Now(), 0)
			if v := rec.Verdict; v.Outcome != test.outcome || v.Message != test.message || rec.Plan.Event != test.event {
				t.Errorf("%s %q, event %q; want %s %q, %q", v.Outcome, v.Message, rec.Plan.Event, test.outcome, test.message, test.event)
			}
			if test.err != nil && (len(rec.Verdict.Patch) > 0 || len(rec.Run.Patch) > 0) {
				t.Errorf("a mutation without its event is answered: %v", rec.Verdict.Patch)
			}
			// The endpoint has four fifths of the time, the sink all that is left then.
			if want := []call{{a, 1, "pod", 1200 * time.Millisecond}}; !cmp.Equal(want, w.calls) {
				t.Errorf("calls %v", w.calls)
			}
			if want := []delivery{{"u", review.OutcomeMutated, 1500 * time.Millisecond, nil}}; !cmp.Equal(want, w.delivered, cmpopts.IgnoreUnexported(delivery{})) {
				t.Errorf("deliveries %v", w.delivered)
			}
			// What superseded it did not change it.
			if first := w.delivered[0].rec; first.Plan.Event != "u" || first.Verdict.Outcome != review.OutcomeMutated || len(first.Run.Patch) != 2 || first == rec && test.err != nil {
				t.Errorf("the record that was delivered has become %+v", first)
			}
			if len(w.records) != 1 || w.records[0] != rec {
				t.Errorf("%d records, want this one", len(w.records))
			}
		})
	}
}
