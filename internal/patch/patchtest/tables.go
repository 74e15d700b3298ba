package patchtest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
)

// Secrets are values that the patches of tests hold, and no message may.
var Secrets = []string{"secret", "guess"}

// A Case is a Pod and a patch.
type Case [2]string

// A Refusal is a Pod, a patch that the check refuses, and the whole message of the refusal.
type Refusal [3]string

// A Warning is a patch that the check lets pass with warnings.
type Warning struct {
	Pod, Ops string
	Warnings []string
}

// NewChecker returns a Checker with these denied places.
func NewChecker(t testing.TB, deny ...string) *patch.Checker {
	t.Helper()
	c, err := patch.New(deny)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Refused tests that the check refuses each patch with its message, which holds no value.
func Refused(t *testing.T, cases map[string]Refusal) {
	t.Helper()
	for sentence, test := range cases {
		t.Run(sentence, func(t *testing.T) {
			checked, err := NewChecker(t).Check(t.Context(), "ns", json.RawMessage(test[0]), Ops(t, test[1]))
			var failure *review.Failure
			if !errors.As(err, &failure) {
				t.Fatalf("error = %v, ops = %v; want a *review.Failure", err, checked.Ops)
			}
			if failure.Result != review.ResultPatch {
				t.Errorf("result = %q, want %q", failure.Result, review.ResultPatch)
			}
			if diff := cmp.Diff(test[2], failure.Cause); diff != "" {
				t.Errorf("cause (-want +got):\n%s", diff)
			}
			for _, secret := range Secrets {
				if strings.Contains(failure.Cause, secret) {
					t.Errorf("the cause holds a value")
				}
			}
		})
	}
}

// Accepted tests that the check lets each patch pass without warnings, and that the result has [Property].
func Accepted(t *testing.T, cases map[string]Case) {
	t.Helper()
	for sentence, test := range cases {
		t.Run(sentence, func(t *testing.T) {
			checked, err := NewChecker(t).Check(t.Context(), "ns", json.RawMessage(test[0]), Ops(t, test[1]))
			if err != nil {
				t.Fatal(err)
			}
			if len(checked.Warnings) > 0 {
				t.Errorf("warnings: %q", checked.Warnings)
			}
			if err := Property(json.RawMessage(test[0]), checked, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// Warned tests that the check lets each patch pass with its warnings.
func Warned(t *testing.T, cases map[string]Warning) {
	t.Helper()
	for sentence, test := range cases {
		t.Run(sentence, func(t *testing.T) {
			checked, err := NewChecker(t).Check(t.Context(), "ns", json.RawMessage(test.Pod), Ops(t, test.Ops))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.Warnings, checked.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}
