package emit

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/compare"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
)

// compared is what came of a candidate, beside a review: each with a patch.
func compared(t *testing.T, level review.Level, pod string, answered, candidate []review.Op) *compare.Candidate {
	t.Helper()
	apply := func(ops []review.Op) compare.Outcome {
		after, err := patch.Apply(json.RawMessage(pod), ops)
		if err != nil {
			t.Fatal(err)
		}
		return compare.Outcome{Pod: after}
	}
	endpoint := anEndpoint(t, "http://user:s3cret@new:8080/mutate?s3cret")
	rec := &review.Record{
		Review:  &review.Review{UID: "u1", Phase: review.Mutate, Namespace: "jhub", Name: "web", User: "jane", Pod: json.RawMessage(pod)},
		Plan:    review.Plan{Policy: &review.Policy{Candidate: &endpoint}, FailurePolicy: review.Fail, Event: "u1", Level: level},
		Run:     review.Run{Steps: []review.Step{{Endpoint: anEndpoint(t, "http://old/"), Ops: answered}}},
		Verdict: review.Verdict{Outcome: review.OutcomeMutated},
	}
	c := &compare.Candidate{Review: rec, Event: "u1/candidate", Time: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC),
		Step:  review.Step{Endpoint: endpoint, Status: 200, Result: review.ResultOK, Took: 1500 * time.Microsecond, Ops: candidate},
		Found: compare.Outcomes(apply(answered), apply(candidate))}
	c.Result = c.Found.Result()
	return c
}

func op(op, path, value string) review.Op {
	return review.Op{Op: op, Path: path, Value: json.RawMessage(value)}
}

// dataOf is the data of the event of a candidate, which is held against the schema.
func dataOf(t *testing.T, c *compare.Candidate) (events.Data, string) {
	t.Helper()
	e, err := newEventWith(comparedRecord(c), func(rec *review.Record) *events.Data { return newComparedData(rec, c) }, aSource, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkEvent(t, e)
	if e.ID() != "u1/candidate" || e.Type() != events.Compared || e.Extensions()["outcome"] != "compared" || e.Subject() != "jhub/web" {
		t.Errorf("event %s of type %s about %s, %v", e.ID(), e.Type(), e.Subject(), e.Extensions())
	}
	var d events.Data
	if err := json.Unmarshal(e.Data(), &d); err != nil {
		t.Fatal(err)
	}
	return d, string(e.Data())
}

func TestEventOfACandidate(t *testing.T) {
	const pod = `{"kind":"Pod","metadata":{"name":"web","labels":{}},"spec":{"containers":[{"name":"c","image":"i","env":[{"name":"TOKEN","value":"s3cret"}]}]}}`
	answered := []review.Op{op("add", "/metadata/labels/a", `"1"`), op("replace", "/spec/containers/0/env/0/value", `"s3cret-1"`)}
	candidate := []review.Op{op("add", "/metadata/labels/a", `"2"`), op("replace", "/spec/containers/0/env/0/value", `"s3cret-2"`)}
	const head = `{"uid":"u1","level":"LEVEL","namespace":"jhub","pod":{"name":"web"},"user":"jane","operation":"mutate","outcome":"compared","failurePolicy":"Fail",` +
		`"endpoints":[{"url":"http://new:8080/mutate","status":200,"durationMs":1.5,"ops":2}],"durationMs":1.5,` +
		`"comparison":{"result":"different","answered":"mutated","candidate":"mutated","differing":2`
	const differences = `,"differences":[{"kind":"otherValue","path":"/metadata/labels/a","where":"/metadata/labels/a","answered":"1","candidate":"2"},` +
		`{"kind":"otherValue","path":"/spec/containers/0/env/0/value","where":"/spec/containers/c/env/TOKEN/value","answered":"SECRET1","candidate":"SECRET2"}]`
	const patch = `},"patch":[{"step":1,"op":"add","path":"/metadata/labels/a","value":"2"},{"step":1,"op":"replace","path":"/spec/containers/0/env/0/value","value":"SECRET2"}]`
	redacted, clear := strings.NewReplacer("LEVEL", "Patch", "SECRET1", "[redacted]", "SECRET2", "[redacted]"), strings.NewReplacer("LEVEL", "Full", "SECRET1", "s3cret-1", "SECRET2", "s3cret-2")
	for level, want := range map[review.Level]string{
		review.LevelMetadata: strings.ReplaceAll(head, "LEVEL", "Metadata") + "}}",
		review.LevelPatch:    redacted.Replace(head+differences+patch) + "}",
		review.LevelFull:     clear.Replace(head+differences+patch) + `,"object":` + pod + "}",
	} {
		t.Run(string(level), func(t *testing.T) {
			_, got := dataOf(t, compared(t, level, pod, answered, candidate))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("data (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDifferencesAtLevelPatch: what is shown of a difference goes by the places that a value passed through in its own Pod.
func TestDifferencesAtLevelPatch(t *testing.T) {
	const pod = `{"metadata":{"labels":{"old":"x"},"annotations":{"a":"s3cret"}},"spec":{"containers":[{"name":"c","env":[{"name":"TOKEN","value":"s3cret"}]}],"volumes":[{"name":"v","csi":{"driver":"d","nodePublishSecretRef":{"name":"n"}}}]}}`
	for sentence, test := range map[string]struct {
		answered, candidate []review.Op
		want                string
	}{
		"a label is shown": {[]review.Op{op("add", "/metadata/labels/a", `"1"`)}, nil,
			`[{"kind":"onlyAnswered","path":"/metadata/labels/a","where":"/metadata/labels/a","answered":"1"}]`},
		"what one of the two removes is shown by its place": {nil, []review.Op{{Op: "remove", Path: "/metadata/labels/old"}, {Op: "remove", Path: "/metadata/annotations/a"}},
			`[{"kind":"onlyAnswered","path":"/metadata/annotations","where":"/metadata/annotations","answered":{"a":"[redacted]"}},{"kind":"onlyAnswered","path":"/metadata/labels/old","where":"/metadata/labels/old","answered":"x"}]`},
		"a secret that was copied to a label is not shown there": {nil, []review.Op{{Op: "copy", From: "/spec/containers/0/env/0/value", Path: "/metadata/labels/b"}},
			`[{"kind":"onlyCandidate","path":"/metadata/labels/b","where":"/metadata/labels/b","candidate":"[redacted]"}]`},
		"nor one that was moved to a name": {nil, []review.Op{op("add", "/spec/containers/0/env/-", `{"value":"s3cret"}`), {Op: "move", From: "/spec/containers/0/env/1/value", Path: "/spec/containers/0/env/1/name"}},
			`[{"kind":"onlyCandidate","path":"/spec/containers/0/env/1","where":"/spec/containers/c/env/*","candidate":{"name":"[redacted]"}}]`},
		"a secret that is a name of an element is not in where": {[]review.Op{{Op: "copy", From: "/metadata/annotations/a", Path: "/spec/containers/0/name"}}, []review.Op{{Op: "copy", From: "/metadata/annotations/a", Path: "/spec/containers/0/name"}, op("add", "/spec/containers/0/image", `"i"`)},
			`[{"kind":"onlyCandidate","path":"/spec/containers/0/image","where":"/spec/containers/*/image","candidate":"i"}]`},
		"keys of an object that may be data are not shown": {[]review.Op{op("add", "/spec/future", `{"inner":{"s3cret-key":"1"}}`)}, []review.Op{op("add", "/spec/future", `{"inner":{"s3cret-key":"2","s3cret-other":"3"}}`)},
			`[{"kind":"otherValue","path":"/spec/future","where":"/spec/future","answered":"[redacted]","candidate":"[redacted]"}]`},
		"another order has no values": {[]review.Op{op("add", "/spec/volumes/-", `{"name":"w"}`)}, []review.Op{op("add", "/spec/volumes/0", `{"name":"w"}`)},
			`[{"kind":"otherOrder","path":"/spec/volumes","where":"/spec/volumes"}]`},
	} {
		t.Run(sentence, func(t *testing.T) {
			d, text := dataOf(t, compared(t, review.LevelPatch, pod, test.answered, test.candidate))
			got, err := json.Marshal(d.Comparison.Differences)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
			if strings.Contains(text, "s3cret") {
				t.Errorf("the event shows a secret: %s", text)
			}
		})
	}
}

func TestHowACandidateEnded(t *testing.T) {
	const pod = `{"metadata":{"name":"web"}}`
	label := []review.Op{op("add", "/metadata/labels", `{"a":"1"}`)}
	for sentence, test := range map[string]struct {
		edit                       func(c *compare.Candidate)
		result, candidate, message string
	}{
		"the same Pod": {func(*compare.Candidate) {}, events.ResultSame, "mutated", ""},
		"no change":    {func(c *compare.Candidate) { c.Step.Ops = nil; c.Result = compare.ResultDifferent }, events.ResultDifferent, "unchanged", ""},
		"a denial": {func(c *compare.Candidate) {
			c.Step.Ops, c.Refusal = nil, &review.Answer{Message: "no"}
			c.Result = compare.ResultDifferent
		}, events.ResultDifferent, "denied", "no"},
		"a denial without a reason": {func(c *compare.Candidate) {
			c.Step.Ops, c.Refusal = nil, &review.Answer{}
			c.Result = compare.ResultSame
		}, events.ResultSame, "denied", "it gave no reason"},
		"a failure": {func(c *compare.Candidate) {
			c.Step.Ops, c.Step.Err = nil, errors.New("answered\n500")
			c.Result = compare.ResultFailed
		}, events.ResultFailed, "failed", "answered 500"},
		"the review itself failed": {func(c *compare.Candidate) {
			c.Result = compare.ResultAlone
			c.Review.Verdict.Outcome = review.OutcomeRejected
		}, events.ResultAlone, "mutated", ""},
	} {
		for _, level := range []review.Level{review.LevelMetadata, review.LevelPatch, review.LevelFull} {
			t.Run(sentence+", "+string(level), func(t *testing.T) {
				c := compared(t, level, pod, label, label)
				test.edit(c)
				d, _ := dataOf(t, c)
				if got := d.Comparison; got.Result != test.result || got.Candidate != test.candidate || d.Message != test.message || got.Answered != string(c.Review.Verdict.Outcome) {
					t.Errorf("got %+v with the message %q", got, d.Message)
				}
			})
		}
	}
}

// TestCandidateIsRecorded: metric, line and event, and only what there is.
func TestCandidateIsRecorded(t *testing.T) {
	const pod = `{"metadata":{"name":"web"}}`
	label := []review.Op{op("add", "/metadata/labels", `{"a":"s3cret"}`)}
	for sentence, test := range map[string]struct {
		edit   func(c *compare.Candidate)
		result compare.Result
		event  bool
	}{
		"with an event": {func(*compare.Candidate) {}, compare.ResultSame, true},
		"without one": {func(c *compare.Candidate) {
			c.Event, c.Review.Plan.Event, c.Review.Plan.Level = "", "", review.LevelNone
		}, compare.ResultSame, false},
		"a call that was dropped": {func(c *compare.Candidate) { *c = compare.Candidate{Review: c.Review, Result: compare.ResultDropped} }, compare.ResultDropped, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			sink := newReceiver(t)
			w := open(t, EventsConfig{Sink: parseURL(t, sink.URL)})
			c := compared(t, review.LevelMetadata, pod, label, label)
			test.edit(c)
			w.Compared(context.Background(), c)
			w.flush(t)
			want := ""
			if test.event {
				want = "u1/candidate"
			}
			if got := strings.Join(sink.ids(), " "); got != want {
				t.Errorf("events %q, want %q", got, want)
			}
			for _, result := range compare.Results {
				count := 0.0
				if result == test.result {
					count = 1
				}
				if got := testutil.ToFloat64(w.Metrics.candidates[result]); got != count {
					t.Errorf("%s is counted %v times, want %v", result, got, count)
				}
			}
		})
	}
}
