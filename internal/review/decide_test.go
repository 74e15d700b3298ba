package review_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"

	"github.com/txn2/amp/internal/review"
)

func endpoint(t testing.TB, text string) review.Endpoint {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return review.NewEndpoint(u)
}

// skip is the plan to skip a review, with a warning unless that is empty.
func skip(warning string) *review.Plan {
	plan := &review.Plan{Policy: &review.Policy{}, Skip: true}
	if warning != "" {
		plan.Warnings = []string{review.Warning(warning)}
	}
	return plan
}

// skipped is the verdict of that plan.
func skipped(warning string) review.Verdict {
	return review.Decide(&review.Review{Phase: review.Mutate}, skip(warning), &review.Run{})
}

// TestDecide is the truth table in the doc comment of Decide, row by row.
func TestDecide(t *testing.T) {
	e := endpoint(t, "http://user:pw@hook.svc/mutate?token=s3cret")
	op := review.Op{Op: "add", Path: "/metadata/labels/a", Value: json.RawMessage(`"b"`)}

	var (
		mutate   = &review.Review{Phase: review.Mutate}
		validate = &review.Review{Phase: review.Validate}

		failed  = review.Run{Steps: []review.Step{{Endpoint: e, Err: errors.New("answered 500"), Warnings: []string{"void"}}}}
		misread = review.Run{Err: errors.New("reading namespace x: timeout")}
		refused = review.Run{Steps: []review.Step{{Endpoint: e}}, Refusal: &review.Answer{Refused: true, Message: "no GPUs\nleft"}}
		// The proxy makes no such run. If it did, a failed step's answer must not decide.
		failedAndRefused = review.Run{Steps: failed.Steps, Refusal: &review.Answer{Refused: true, Message: "no GPUs left"}}
		teapot           = review.Run{Steps: []review.Step{{Endpoint: e}}, Refusal: &review.Answer{Refused: true, Message: "short", Code: 418}}
		wordless         = review.Run{Steps: []review.Step{{Endpoint: e}}, Refusal: &review.Answer{Refused: true}}
		patched          = review.Run{Steps: []review.Step{{Endpoint: e, Warnings: []string{"old image"}}}, Patch: []review.Op{op}}
		unchanged        = review.Run{Steps: []review.Step{{Endpoint: e}}}

		fail, ignore, shadow = &review.Policy{FailurePolicy: review.Fail}, &review.Policy{FailurePolicy: review.Ignore}, &review.Policy{Shadow: true}
		silent               = &review.Policy{}

		rejectedFailure = review.Verdict{Outcome: review.OutcomeRejected, Code: 500, Message: "amp: endpoint http://hook.svc/mutate: answered 500", Warnings: []string{"void"}}
		failedOpen      = review.Verdict{Outcome: review.OutcomeFailedOpen, Code: 500, Message: "amp: endpoint http://hook.svc/mutate: answered 500", Warnings: []string{"amp: not mutated: answered 500 (endpoint http://hook.svc/mutate)"}}
		denied          = review.Verdict{Outcome: review.OutcomeDenied, Code: 403, Message: "no GPUs left"}
	)
	by := func(p review.FailurePolicy) *review.Review {
		return &review.Review{Phase: review.Mutate, FailurePolicy: p}
	}

	for name, test := range map[string]struct {
		r         *review.Review
		p         *review.Policy
		run       review.Run
		byDefault review.FailurePolicy
		want      review.Verdict
	}{
		"a failure under Fail is a rejection":                {mutate, fail, failed, review.Ignore, rejectedFailure},
		"a failure under Ignore is one warning":              {mutate, ignore, failed, review.Fail, failedOpen},
		"a failure under shadow denies nothing":              {mutate, shadow, failed, review.Fail, review.Verdict{Outcome: review.OutcomeShadowed, Code: 500, Message: rejectedFailure.Message}},
		"a failure by default, which is Fail":                {mutate, silent, failed, review.Fail, rejectedFailure},
		"a failure by default, which is Ignore":              {mutate, silent, failed, review.Ignore, failedOpen},
		"a failure without a default":                        {mutate, silent, failed, "", rejectedFailure},
		"a failure under a policy that does not exist":       {mutate, &review.Policy{FailurePolicy: "ignore"}, failed, review.Ignore, rejectedFailure},
		"the path's Fail goes before the Namespace's Ignore": {by(review.Fail), ignore, failed, review.Ignore, rejectedFailure},
		"the path's Ignore goes before the Namespace's Fail": {by(review.Ignore), fail, failed, review.Fail, failedOpen},
		"a Namespace that cannot be read":                    {mutate, silent, misread, review.Fail, review.Verdict{Outcome: review.OutcomeRejected, Code: 500, Message: "amp: reading namespace x: timeout"}},
		"a failed validation under Ignore": {validate, ignore, failed, review.Fail, review.Verdict{Outcome: review.OutcomeFailedOpen, Code: 500,
			Message: rejectedFailure.Message, Warnings: []string{"amp: not validated: answered 500 (endpoint http://hook.svc/mutate)"}}},
		"a failed validation under Fail":                         {validate, fail, failed, review.Fail, rejectedFailure},
		"a refusal under Fail":                                   {mutate, fail, refused, review.Fail, denied},
		"a refusal under Ignore is not a failure":                {mutate, ignore, refused, review.Fail, denied},
		"a refusal by validation":                                {validate, ignore, refused, review.Fail, denied},
		"a failure after which an endpoint refused is a failure": {mutate, fail, failedAndRefused, review.Fail, rejectedFailure},
		"a refusal with a code of its own":                       {mutate, fail, teapot, review.Fail, review.Verdict{Outcome: review.OutcomeDenied, Code: 418, Message: "short"}},
		"a refusal without a reason":                             {mutate, fail, wordless, review.Fail, review.Verdict{Outcome: review.OutcomeDenied, Code: 403, Message: "amp: endpoint http://hook.svc/mutate refused the Pod and gave no reason; it belongs in status.message"}},
		"a refusal under shadow denies nothing":                  {mutate, shadow, refused, review.Fail, review.Verdict{Outcome: review.OutcomeShadowed, Code: 403, Message: "no GPUs left"}},
		"a patch":                                                {mutate, fail, patched, review.Fail, review.Verdict{Outcome: review.OutcomeMutated, Patch: []review.Op{op}, Warnings: []string{"old image"}}},
		"a patch under Ignore":                                   {mutate, ignore, patched, review.Fail, review.Verdict{Outcome: review.OutcomeMutated, Patch: []review.Op{op}, Warnings: []string{"old image"}}},
		"a patch under shadow changes nothing":                   {mutate, shadow, patched, review.Fail, review.Verdict{Outcome: review.OutcomeShadowed}},
		"no change":                                              {mutate, fail, unchanged, review.Fail, review.Verdict{Outcome: review.OutcomeUnchanged}},
		"no change under shadow":                                 {mutate, shadow, unchanged, review.Fail, review.Verdict{Outcome: review.OutcomeShadowed}},
		"a validation that passes":                               {validate, fail, unchanged, review.Fail, review.Verdict{Outcome: review.OutcomeValidated}},
		"a validation that passes, under shadow":                 {validate, shadow, unchanged, review.Fail, review.Verdict{Outcome: review.OutcomeShadowed}},
	} {
		t.Run(name, func(t *testing.T) {
			plan := review.Plan{Policy: test.p, FailurePolicy: review.FailurePolicyFor(test.r, test.p, test.byDefault)}
			got := review.Decide(test.r, &plan, &test.run)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWrite(t *testing.T) {
	e := endpoint(t, "https://u:p@a/mutate?x=y#z")
	steps := []review.Step{{Endpoint: e}, {Endpoint: endpoint(t, "http://b")}}
	for name, test := range map[string]struct {
		rec  review.Record
		want string
	}{
		"a skipped review": {review.Record{Verdict: skipped("")},
			`{"uid":"u","allowed":true}`},
		"a skipped review with a warning": {review.Record{Verdict: skipped("not a Pod")},
			`{"uid":"u","allowed":true,"warnings":["amp: not a Pod"]}`},
		"a mutation": {review.Record{Run: review.Run{Steps: steps}, Verdict: review.Verdict{Outcome: review.OutcomeMutated, Patch: []review.Op{{Op: "add", Path: "/a", Value: json.RawMessage(`""`)}, {Op: "remove", Path: "/b"}}}},
			`{"uid":"u","allowed":true,"patch":[{"op":"add","path":"/a","value":""},{"op":"remove","path":"/b"}],"patchType":"JSONPatch","auditAnnotations":{"endpoint":"https://a/mutate http://b","outcome":"mutated"}}`},
		"no change has neither patch nor patchType": {review.Record{Run: review.Run{Steps: steps[:1]}, Verdict: review.Verdict{Outcome: review.OutcomeUnchanged}},
			`{"uid":"u","allowed":true,"auditAnnotations":{"endpoint":"https://a/mutate","outcome":"unchanged"}}`},
		"a denial has a status and no Retry-After": {review.Record{Run: review.Run{Steps: steps[:1]}, Verdict: review.Verdict{Outcome: review.OutcomeDenied, Message: "no", Code: 403}},
			`{"uid":"u","allowed":false,"status":{"metadata":{},"status":"Failure","message":"no","reason":"Forbidden","code":403},"auditAnnotations":{"endpoint":"https://a/mutate","outcome":"denied"}}`},
		"a rejection by a failure has one, too": {review.Record{Run: review.Run{Steps: steps[:1]}, Verdict: review.Verdict{Outcome: review.OutcomeRejected, Message: "no", Code: 500}},
			`{"uid":"u","allowed":false,"status":{"metadata":{},"status":"Failure","message":"no","reason":"InternalError","code":500},"auditAnnotations":{"endpoint":"https://a/mutate","outcome":"rejected"}}`},
		"a failed Namespace has no endpoint": {review.Record{Verdict: review.Verdict{Outcome: review.OutcomeRejected, Message: "no", Code: 500}},
			`{"uid":"u","allowed":false,"status":{"metadata":{},"status":"Failure","message":"no","reason":"InternalError","code":500},"auditAnnotations":{"outcome":"rejected"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			test.rec.Review = &review.Review{UID: "u"}
			var got struct {
				APIVersion, Kind string
				Response         map[string]any
			}
			answer := review.Write(&test.rec)
			if err := json.Unmarshal(answer, &got); err != nil {
				t.Fatal(err)
			}
			if got.APIVersion != "admission.k8s.io/v1" || got.Kind != "AdmissionReview" {
				t.Errorf("apiVersion %q, kind %q", got.APIVersion, got.Kind)
			}
			var typed admissionv1.AdmissionReview
			if err := json.Unmarshal(answer, &typed); err != nil {
				t.Fatal(err)
			}
			if _, ok := got.Response["patch"]; ok { // base64, as []byte is
				var ops any
				if err := json.Unmarshal(typed.Response.Patch, &ops); err != nil {
					t.Fatal(err)
				}
				got.Response["patch"] = ops
			}
			var want map[string]any
			if err := json.Unmarshal([]byte(test.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.Response); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGlobs(t *testing.T) {
	for _, test := range []struct {
		glob, s string
		want    bool
	}{
		{"a", "a", true},
		{"a", "ab", false},
		{"*", "", true},
		{"*", "system:serviceaccount:jhub:hub", true},
		{"system:serviceaccount:*:hub", "system:serviceaccount:jhub:hub", true},
		{"system:serviceaccount:*:hub", "system:serviceaccount:hub", false},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"*b*d*", "abcde", true},
		{"*d*b*", "abcde", false},
		{"*ab", "aab", true},
		{"a/*", "a/b/c", true},
		{"[a]", "a", false},
	} {
		if got := (review.Globs{"nothing", test.glob}).Match(test.s); got != test.want {
			t.Errorf("%q matches %q: %v, want %v", test.glob, test.s, got, test.want)
		}
	}
}
