package review_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/txn2/amp/internal/review"
)

// explanation is the warning that explains a review. It can be parsed again.
func explanation(t *testing.T, r *review.Review, plan *review.Plan, run *review.Run) string {
	t.Helper()
	verdict := review.Decide(r, plan, run)
	e := review.Explain(r, plan, run, &verdict)
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
		"a patch":                  {review.Mutate, &review.Policy{}, patched, review.Ignore, "amp: dry run, mutate: mutated, operations: 2"},
		"no change":                {review.Mutate, &review.Policy{}, review.Run{}, review.Fail, "amp: dry run, mutate: unchanged"},
		"a validation that passes": {review.Validate, &review.Policy{}, review.Run{}, review.Fail, "amp: dry run, validate: validated"},
		"a failure":                {review.Mutate, &review.Policy{}, failed, review.Fail, "amp: dry run, mutate: failed: endpoint http://hook.svc/mutate: answered 500"},
		"a failure under Ignore":   {review.Mutate, &review.Policy{}, failed, review.Ignore, "amp: dry run, mutate: failed: endpoint http://hook.svc/mutate: answered 500"},
		"a refusal":                {review.Mutate, &review.Policy{}, refused, review.Fail, "amp: dry run, mutate: denied: no GPUs left"},
		"a patch in shadow mode":   {review.Mutate, shadow, patched, review.Fail, "amp: dry run, mutate: shadow mode, else mutated, operations: 2"},
		"no change in shadow mode": {review.Mutate, shadow, review.Run{}, review.Fail, "amp: dry run, mutate: shadow mode, else unchanged"},
		"a failure in shadow mode": {review.Mutate, shadow, failed, review.Fail, "amp: dry run, mutate: shadow mode, else failed: endpoint http://hook.svc/mutate: answered 500"},
		"and under Ignore":         {review.Mutate, shadow, failed, review.Ignore, "amp: dry run, mutate: shadow mode, else failed: endpoint http://hook.svc/mutate: answered 500"},
		"a refusal in shadow mode": {review.Validate, shadow, refused, review.Ignore, "amp: dry run, validate: shadow mode, else denied: no GPUs left"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := &review.Plan{Policy: test.p, FailurePolicy: test.policy}
			if got := explanation(t, &review.Review{Phase: test.phase}, plan, &test.run); got != test.want {
				t.Errorf("%q, not %q", got, test.want)
			}
		})
	}
	for _, warning := range []string{"", "no endpoint"} {
		if got := explanation(t, &review.Review{Phase: review.Mutate}, skip(warning), &review.Run{}); got != "amp: dry run, mutate: left alone" {
			t.Errorf("of a review that is skipped with the warning %q: %q", warning, got)
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

// The warning of a review that failed open and the explanation of it are not taken for each other.
func TestFailedOpen(t *testing.T) {
	for _, phase := range []review.Phase{review.Mutate, review.Validate} {
		plan := &review.Plan{Policy: &review.Policy{}, FailurePolicy: review.Ignore}
		verdict := review.Decide(&review.Review{Phase: phase, DryRun: true, Explain: true}, plan, &review.Run{Err: errors.New("x")})
		if len(verdict.Warnings) != 2 {
			t.Fatalf("%s: %q", phase, verdict.Warnings)
		}
		for i, warning := range verdict.Warnings {
			e, explains := review.ParseExplanation(warning)
			of, failedOpen := review.FailedOpen(warning)
			if explains != (i == 0) || failedOpen != (i == 1) || failedOpen && of != phase || explains && e.Phase != phase {
				t.Errorf("%q is read as failed open: %v %s, as an explanation: %v %s", warning, failedOpen, of, explains, e.Phase)
			}
		}
	}
}
