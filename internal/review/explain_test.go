package review_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/txn2/amp/internal/review"
)

// explanation is the warning that explains a review, empty if there is none. It can be parsed again.
func explanation(t *testing.T, r *review.Review, plan *review.Plan, run *review.Run) string {
	t.Helper()
	verdict := review.Decide(r, plan, run)
	e, ok := review.Explain(r, plan, run, &verdict)
	if !ok {
		return ""
	}
	if parsed, ok := review.ParseExplanation(e.String()); !ok || parsed != e {
		t.Errorf("%q is read as %+v, not as %+v", e, parsed, e)
	}
	return e.String()
}

func TestExplain(t *testing.T) {
	e := endpoint(t, "http://user:pw@hook.svc/mutate?token=s3cret")
	patched := review.Run{Steps: []review.Step{{Endpoint: e}}, Patch: []review.Op{{Op: "add", Path: "/a"}, {Op: "add", Path: "/b"}}}
	failed := review.Run{Steps: []review.Step{{Endpoint: e, Err: errors.New("answered 500")}}}
	refused := review.Run{Steps: []review.Step{{Endpoint: e}}, Refusal: &review.Answer{Refused: true, Message: "no GPUs left"}}
	shadow := &review.Policy{Shadow: true}
	for name, test := range map[string]struct {
		phase  review.Phase
		p      *review.Policy
		run    review.Run
		policy review.FailurePolicy
		want   string
	}{
		"a patch":                              {review.Mutate, &review.Policy{}, patched, review.Ignore, "amp: dry run, mutate: mutated, operations: 2"},
		"no change":                            {review.Mutate, &review.Policy{}, review.Run{}, review.Fail, "amp: dry run, mutate: unchanged"},
		"a validation that passes":             {review.Validate, &review.Policy{}, review.Run{}, review.Fail, "amp: dry run, validate: validated"},
		"a failure, of which the message says": {review.Mutate, &review.Policy{}, failed, review.Fail, ""},
		"a failure, of which a warning says":   {review.Mutate, &review.Policy{}, failed, review.Ignore, ""},
		"a refusal, of which the message says": {review.Mutate, &review.Policy{}, refused, review.Fail, ""},
		"a patch in shadow mode":               {review.Mutate, shadow, patched, review.Fail, "amp: dry run, mutate: shadow mode, else mutated, operations: 2"},
		"no change in shadow mode":             {review.Mutate, shadow, review.Run{}, review.Fail, "amp: dry run, mutate: shadow mode, else unchanged"},
		"a failure in shadow mode":             {review.Mutate, shadow, failed, review.Fail, "amp: dry run, mutate: shadow mode, else failed: endpoint http://hook.svc/mutate: answered 500"},
		"and under Ignore":                     {review.Mutate, shadow, failed, review.Ignore, "amp: dry run, mutate: shadow mode, else failed: endpoint http://hook.svc/mutate: answered 500"},
		"a refusal in shadow mode":             {review.Validate, shadow, refused, review.Ignore, "amp: dry run, validate: shadow mode, else denied: no GPUs left"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := &review.Plan{Policy: test.p, FailurePolicy: test.policy}
			if got := explanation(t, &review.Review{Phase: test.phase}, plan, &test.run); got != test.want {
				t.Errorf("%q, not %q", got, test.want)
			}
		})
	}
	for warning, want := range map[string]string{"": "amp: dry run, mutate: left alone", "no endpoint": ""} {
		if got := explanation(t, &review.Review{Phase: review.Mutate}, skip(warning), &review.Run{}); got != want {
			t.Errorf("of a skipped review: %q, not %q", got, want)
		}
	}
}

func TestParseExplanation(t *testing.T) {
	for warning, want := range map[string]review.Explanation{
		"amp: dry run, mutate: mutated, operations: 12":              {Phase: review.Mutate, Ended: review.EndedMutated, Ops: 12},
		"amp: dry run, validate: validated":                          {Phase: review.Validate, Ended: review.EndedValidated},
		"amp: dry run, mutate: left alone":                           {Phase: review.Mutate, Ended: review.EndedLeftAlone},
		"amp: dry run, mutate: shadow mode, else unchanged":          {Phase: review.Mutate, Shadow: true, Ended: review.EndedUnchanged},
		"amp: dry run, mutate: shadow mode, else failed: a: b: c":    {Phase: review.Mutate, Shadow: true, Ended: review.EndedFailed, Text: "a: b: c"},
		"amp: dry run, mutate: denied: no, operations: 3":            {Phase: review.Mutate, Ended: review.EndedDenied, Text: "no, operations: 3"},
		"amp: dry run, mutate: of a later version, operations: 1: x": {Phase: review.Mutate, Ended: "of a later version", Ops: 1, Text: "x"},
	} {
		got, ok := review.ParseExplanation(warning)
		if !ok || got != want || got.String() != warning {
			t.Errorf("%q is read as %+v, %v, and written as %q", warning, got, ok, got)
		}
	}
	for _, warning := range []string{
		"", "amp: not mutated: answered 500 (endpoint http://a)", "amp: dry run, ", "amp: dry run, mutate: ", "amp: dry run, update: mutated",
		"amp: dry run, mutate: mutated, operations: x", "amp: dry run, mutate: mutated, operations: -1", "amp: dry run, mutate: shadow mode, else ",
	} {
		if got, ok := review.ParseExplanation(warning); ok {
			t.Errorf("%q is read as %+v", warning, got)
		}
	}
}

func TestLongExplanationIsClipped(t *testing.T) {
	e := review.Explanation{Phase: review.Mutate, Shadow: true, Ended: review.EndedFailed, Text: strings.Repeat("ü", 300)}
	warning := e.String()
	if n := utf8.RuneCountInString(warning); n != 250 || !strings.HasSuffix(warning, "ü…") {
		t.Errorf("%d characters: %q", n, warning)
	}
	got, ok := review.ParseExplanation(warning)
	if e.Text = got.Text; !ok || got != e || !strings.HasPrefix(got.Text, "üü") {
		t.Errorf("read as %+v", got)
	}
}

// A Pod has an explanation or the warning of a review that failed open, not both.
func TestFailedOpen(t *testing.T) {
	for _, phase := range []review.Phase{review.Mutate, review.Validate} {
		plan := &review.Plan{Policy: &review.Policy{}, FailurePolicy: review.Ignore}
		verdict := review.Decide(&review.Review{Phase: phase}, plan, &review.Run{Err: errors.New("x")})
		warning := verdict.Warnings[0]
		if got, ok := review.FailedOpen(warning); !ok || got != phase {
			t.Errorf("%q is read as %q, %v", warning, got, ok)
		}
		if _, ok := review.ParseExplanation(warning); ok {
			t.Errorf("%q is read as an explanation", warning)
		}
	}
	if phase, ok := review.FailedOpen("amp: dry run, mutate: mutated, operations: 1"); ok {
		t.Errorf("an explanation is read as failed open: %s", phase)
	}
}
