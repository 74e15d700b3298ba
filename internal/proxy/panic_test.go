package proxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/txn2/amp/internal/proxy"
	"github.com/txn2/amp/internal/review"
)

// TestAPanicAnywhereIsAnsweredByThePolicy: wherever amp panics after it could read a review, it answers 200 with a decision
// by the namespace's policy, counts the panic, logs no data, and records what it answered. An event that the sink may have is
// superseded.
func TestAPanicAnywhereIsAnsweredByThePolicy(t *testing.T) {
	body, err := os.ReadFile("testdata/jupyterhub-user.review.json")
	if err != nil {
		t.Fatal(err)
	}
	const uid, a, b = "6dd84eb1-9610-42c8-9379-4f4257fa319f", "http://a", "http://b"
	const message = "amp: an error in amp itself; its log has the details"
	unwritable := review.Answer{Status: 200, Ops: []review.Op{{Op: "add", Path: "/1", Value: json.RawMessage(`{"s3cret`)}}}

	for place, test := range map[string]struct {
		panics  string
		answer  review.Answer
		decided bool     // the panic comes after the decision: that stands
		calls   []string // endpoints
		steps   int      // in the record
		event   string   // of the record
	}{
		"looking up the policy": {panics: "policy", event: uid},
		"calling an endpoint":   {panics: "call", event: uid},
		"checking a patch":      {panics: "check", calls: []string{a}, event: uid},
		"checking the whole":    {panics: "whole", calls: []string{a, b}, event: uid},
		"stamping":              {panics: "annotate", calls: []string{a, b}, event: uid},
		"writing the answer":    {answer: unwritable, calls: []string{a, b}, steps: 2, event: uid},
		"delivering the event":  {panics: "deliver", calls: []string{a, b}, steps: 2, event: uid + "/final"},
		"recording":             {panics: "record", calls: []string{a, b}, steps: 2, event: uid, decided: true},
	} {
		for _, path := range []string{"/mutate/fail", "/mutate/ignore"} {
			t.Run(place+" "+path, func(t *testing.T) {
				answer := test.answer
				if len(answer.Ops) == 0 {
					answer = patch("/1")
				}
				w := &world{policy: &review.Policy{Enabled: true, Mutate: endpoints(t, a, b)}, panics: test.panics, events: review.LevelPatch,
					required: true, sent: true, answers: map[string]review.Answer{a: answer}}
				if test.panics == "whole" {
					w.answers[b] = patch("/2")
				}
				resp := ask(handler(w), "POST", path, "application/json", bytes.NewReader(body))
				var got admissionv1.AdmissionReview
				if err := json.Unmarshal([]byte(bodyOf(t, resp)), &got); err != nil || resp.StatusCode != 200 {
					t.Fatalf("%s: %v", resp.Status, err)
				}
				response := got.Response

				outcome := map[string]review.Outcome{"/mutate/fail": review.OutcomeRejected, "/mutate/ignore": review.OutcomeFailedOpen}[path]
				if test.decided {
					outcome = review.OutcomeMutated
				}
				if response.UID != uid || response.AuditAnnotations["outcome"] != string(outcome) || response.Allowed != (outcome != review.OutcomeRejected) ||
					(response.Patch != nil) != (outcome == review.OutcomeMutated) {
					t.Errorf("answered %+v, want the outcome %s", response, outcome)
				}
				if outcome == review.OutcomeRejected && (response.Result.Message != message || response.Result.Code != 500) {
					t.Errorf("status %+v", response.Result)
				}
				if outcome == review.OutcomeFailedOpen && (len(response.Warnings) != 1 || !strings.HasPrefix(response.Warnings[0], "amp: not mutated: an error in amp itself")) {
					t.Errorf("warnings %q", response.Warnings)
				}

				if w.panicked != 1 || !strings.Contains(w.log.String(), "panic contained") || strings.Contains(w.log.String(), "ecret") {
					t.Errorf("%d panics counted, log %s", w.panicked, w.log.String())
				}
				if len(w.records) != 1 {
					t.Fatalf("%d records", len(w.records))
				}
				rec := w.records[0]
				if rec.Verdict.Outcome != outcome || rec.Plan.Event != test.event || len(rec.Run.Steps) != test.steps || response.AuditAnnotations["event"] != test.event {
					t.Errorf("recorded as %s, event %q, %d steps; answered event %q", rec.Verdict.Outcome, rec.Plan.Event, len(rec.Run.Steps), response.AuditAnnotations["event"])
				}
				var called []string
				for _, c := range w.calls {
					called = append(called, c.Endpoint)
				}
				if !slices.Equal(called, test.calls) {
					t.Errorf("called %v, want %v", called, test.calls)
				}
			})
		}
	}
}

// brokenWriter panics after it has written a part of the body.
type brokenWriter struct{ *httptest.ResponseRecorder }

func (b brokenWriter) Write(p []byte) (int, error) {
	_, _ = b.ResponseRecorder.Write(p[:len(p)/2])
	panic("s3cret")
}

// TestAPanicWhileSendingAbortsTheConnection: the API server may have a part of the answer, and must not take it for the
// whole.
func TestAPanicWhileSendingAbortsTheConnection(t *testing.T) {
	body, err := os.ReadFile("testdata/jupyterhub-user.review.json")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{policy: &review.Policy{}}
	h := handler(w)
	req := httptest.NewRequest("POST", "/mutate", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	func() {
		defer func() {
			if v := recover(); v != http.ErrAbortHandler {
				t.Errorf("panicked with %v, want http.ErrAbortHandler", v)
			}
		}()
		h.ServeHTTP(brokenWriter{httptest.NewRecorder()}, req)
	}()
	if w.panicked != 1 || len(w.records) != 1 || strings.Contains(w.log.String(), "s3cret") {
		t.Errorf("%d panics counted, %d records, log %s", w.panicked, len(w.records), w.log.String())
	}
	if n := h.InFlight(); n != 0 {
		t.Errorf("%d reviews are still in flight", n)
	}
}

// TestPanicsOneAfterTheOther: a policy that panics and a recorder that does, too, still leave an answer.
func TestPanicsOneAfterTheOther(t *testing.T) {
	w := &brokenWorld{world{panics: "policy"}}
	p := w.proxy()
	p.Recorder = w
	rec, answer := p.Review(t.Context(), &review.Review{UID: "u", Phase: review.Mutate, Pod: json.RawMessage("{}")}, time.Now(), 0)
	if rec.Verdict.Outcome != review.OutcomeRejected || !bytes.Contains(answer, []byte(`"allowed":false`)) || w.panicked != 2 {
		t.Errorf("%s, answer %s, %d panics", rec.Verdict.Outcome, answer, w.panicked)
	}
}

type brokenWorld struct{ world }

func (w *brokenWorld) Record(context.Context, *review.Record) { panic("s3cret") }

var _ proxy.Recorder = (*brokenWorld)(nil)
