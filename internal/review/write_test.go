package review_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/txn2/amp/internal/review"
)

// TestWriteAsTheAPIDoes compares amp's own wire types with those of the API: both write the same bytes, and the API's know
// every member.
func TestWriteAsTheAPIDoes(t *testing.T) {
	ops := []review.Op{{Op: "add", Path: "/metadata/labels/x", Value: json.RawMessage(`"<y>"`)}}
	for sentence, verdict := range map[string]review.Verdict{
		"a patch":          {Outcome: review.OutcomeMutated, Patch: ops, Warnings: []string{"amp: w"}},
		"no change":        {Outcome: review.OutcomeUnchanged},
		"a denial":         {Outcome: review.OutcomeDenied, Message: "no", Code: 403},
		"a failure":        {Outcome: review.OutcomeRejected, Message: "amp: no", Code: 500, Warnings: []string{"amp: w", "amp: v"}},
		"a review skipped": {Outcome: review.OutcomeSkipped},
	} {
		t.Run(sentence, func(t *testing.T) {
			rec := review.NewRecord(&review.Review{UID: "uid"}, review.Plan{Policy: &review.Policy{}, Event: "e"}, review.Run{}, time.Time{})
			rec.Verdict = verdict
			got := review.Write(rec)
			decoder := json.NewDecoder(bytes.NewReader(got))
			decoder.DisallowUnknownFields()
			var as admissionv1.AdmissionReview
			if err := decoder.Decode(&as); err != nil {
				t.Fatal(err)
			}
			if want, err := json.Marshal(as); err != nil || !bytes.Equal(got, want) {
				t.Errorf("amp writes %s, the API %s (%v)", got, want, err)
			}
			if as.APIVersion != admissionv1.SchemeGroupVersion.String() || len(verdict.Patch) > 0 != (as.Response.PatchType != nil && *as.Response.PatchType == admissionv1.PatchTypeJSONPatch) {
				t.Errorf("%s", got)
			}
		})
	}
}
