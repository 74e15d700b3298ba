package review_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/review"
)

func TestNewRecord(t *testing.T) {
	start := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	r := &review.Review{UID: "u", Phase: review.Mutate}
	plan := review.Plan{Policy: &review.Policy{}, FailurePolicy: review.Ignore, Start: start}
	rec := review.NewRecord(r, plan, review.Run{Err: errors.New("gone")}, start.Add(3*time.Millisecond))
	if rec.Review != r || rec.Plan.Policy != plan.Policy || rec.Verdict.Outcome != review.OutcomeFailedOpen {
		t.Errorf("%+v", rec)
	}
	if rec.Time != start.Add(3*time.Millisecond) || rec.Took != 3*time.Millisecond {
		t.Errorf("decided at %v, took %v", rec.Time, rec.Took)
	}
}

func TestEventFirst(t *testing.T) {
	mutated, unchanged := review.Verdict{Outcome: review.OutcomeMutated}, review.Verdict{Outcome: review.OutcomeUnchanged}
	for name, test := range map[string]struct {
		rec  review.Record
		want bool
	}{
		"a mutation whose event is required": {review.Record{Plan: review.Plan{Required: true, Event: "u"}, Verdict: mutated}, true},
		"not required":                       {review.Record{Plan: review.Plan{Event: "u"}, Verdict: mutated}, false},
		"without an event":                   {review.Record{Plan: review.Plan{Required: true}, Verdict: mutated}, false},
		"not a mutation":                     {review.Record{Plan: review.Plan{Required: true, Event: "u"}, Verdict: unchanged}, false},
		"the zero value":                     {review.Record{}, false},
	} {
		if got := test.rec.EventFirst(); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}

// TestZeroVerdictAdmitsNothing: a verdict that was never reached is not a yes.
func TestZeroVerdictAdmitsNothing(t *testing.T) {
	if (&review.Verdict{}).Allowed() {
		t.Error("it is allowed")
	}
	for _, outcome := range review.Outcomes {
		if got, want := (&review.Verdict{Outcome: outcome}).Allowed(), outcome != review.OutcomeDenied && outcome != review.OutcomeRejected; got != want {
			t.Errorf("%s: allowed %t, want %t", outcome, got, want)
		}
	}
}

// TestDecideLeavesItsArgumentsAlone: two verdicts of one plan share its warnings, and neither writes into them.
func TestDecideLeavesItsArgumentsAlone(t *testing.T) {
	r := &review.Review{Phase: review.Mutate, DryRun: true, Explain: true}
	warnings := append(make([]string, 0, 8), "amp: cut")
	plan := &review.Plan{Policy: &review.Policy{}, FailurePolicy: review.Fail, Warnings: warnings}
	run := &review.Run{Steps: []review.Step{{Endpoint: endpoint(t, "http://a"), Warnings: []string{"old image"}}}}
	want := []string{"amp: dry run, mutate: unchanged", "amp: cut", "old image"}
	for range 2 {
		if diff := cmp.Diff(want, review.Decide(r, plan, run).Warnings); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff([]string{"amp: cut", ""}, warnings[:2]); diff != "" {
		t.Errorf("the plan's warnings (-want +got):\n%s", diff)
	}
}

// TestUndecided: if Decide itself panics, the failure policy still holds.
func TestUndecided(t *testing.T) {
	start := time.Now()
	for policy, want := range map[review.FailurePolicy]review.Verdict{
		review.Fail:   {Outcome: review.OutcomeRejected, Message: "amp: broken", Code: 500},
		review.Ignore: {Outcome: review.OutcomeFailedOpen, Message: "amp: broken", Code: 500, Warnings: []string{"amp: not mutated: broken"}},
		"":            {Outcome: review.OutcomeRejected, Message: "amp: broken", Code: 500},
	} {
		r := &review.Review{UID: "u", Phase: review.Mutate}
		rec := review.Undecided(r, policy, errors.New("broken"), start, start.Add(time.Second))
		if diff := cmp.Diff(want, rec.Verdict); diff != "" || rec.Took != time.Second || rec.EventFirst() || len(review.Write(rec)) == 0 {
			t.Errorf("under %q: %s", policy, diff)
		}
	}
}
