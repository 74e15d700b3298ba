package emit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/txn2/amp/internal/emit"
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

// mutated is the record of a mutation whose Pod and patch are full of secrets.
func mutated(t testing.TB) *review.Record {
	return &review.Record{
		Review: &review.Review{UID: "u", Phase: review.Mutate, Namespace: "jhub", Name: "jupyter-alice", User: "hub",
			Pod: json.RawMessage(`{"spec":"s3cret"}`), Labels: map[string]string{"l": "s3cret"}},
		Plan: review.Plan{Policy: &review.Policy{}},
		Run: review.Run{
			Steps: []review.Step{{Endpoint: endpoint(t, "http://user:s3cret@hook:8080/mutate?s3cret"), Status: 200, Result: review.ResultOK, Took: time.Millisecond,
				Ops: []review.Op{{Op: "add", Path: "/x", Value: json.RawMessage(`"s3cret"`)}}}},
			Patch: []review.Op{{Op: "add", Path: "/x", Value: json.RawMessage(`"s3cret"`)}},
		},
		Verdict: review.Verdict{Outcome: review.OutcomeMutated},
		Took:    1500 * time.Microsecond,
	}
}

func newMetrics() *emit.Metrics {
	return emit.NewMetrics(prometheus.NewPedanticRegistry(), "v1", func() int64 { return 0 })
}

func newRecorder() (*emit.Recorder, *prometheus.Registry, *bytes.Buffer) {
	reg, log := prometheus.NewPedanticRegistry(), &bytes.Buffer{}
	return &emit.Recorder{
		Metrics: emit.NewMetrics(reg, "v1", func() int64 { return 3 }),
		Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})),
	}, reg, log
}

// TestMetrics lists them all: a metric that is counted and not exported is none.
func TestMetrics(t *testing.T) {
	recorder, reg, _ := newRecorder()
	recorder.Record(t.Context(), mutated(t))
	recorder.Panicked()
	recorder.BadRequest(415)
	recorder.Metrics.CircuitChanged("hook:8080", true)
	recorder.Shed(review.ShedBody)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, family := range families {
		labels := map[string]bool{}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = true
			}
		}
		var names []string
		for name := range labels {
			names = append(names, name)
		}
		slices.Sort(names)
		got = append(got, fmt.Sprintf("%s{%s}", family.GetName(), strings.Join(names, ",")))
	}
	want := []string{
		"amp_bad_requests_total{status}",
		"amp_build_info{goversion,version}",
		"amp_candidate_total{result}",
		"amp_endpoint_circuit_open{host}",
		"amp_endpoint_request_duration_seconds{host}",
		"amp_endpoint_requests_total{host,result}",
		"amp_events_queue{}",
		"amp_events_total{result}",
		"amp_in_flight{}",
		"amp_panics_total{}",
		"amp_review_duration_seconds{operation}",
		"amp_reviews_total{operation,outcome}",
		"amp_shed_total{reason}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP amp_bad_requests_total Requests that are not AdmissionReviews, by the HTTP status of the answer.
# TYPE amp_bad_requests_total counter
amp_bad_requests_total{status="400"} 0
amp_bad_requests_total{status="404"} 0
amp_bad_requests_total{status="405"} 0
amp_bad_requests_total{status="408"} 0
amp_bad_requests_total{status="413"} 0
amp_bad_requests_total{status="415"} 1
amp_bad_requests_total{status="503"} 0
# HELP amp_endpoint_requests_total Calls of endpoints, by host and result; all but ok and refused are failures.
# TYPE amp_endpoint_requests_total counter
amp_endpoint_requests_total{host="hook:8080",result="ok"} 1
# HELP amp_events_queue Events that wait to be delivered, and those in flight.
# TYPE amp_events_queue gauge
amp_events_queue 0
# HELP amp_events_total Events delivered and dropped, and tries that were repeated.
# TYPE amp_events_total counter
amp_events_total{result="delivered"} 0
amp_events_total{result="dropped"} 0
amp_events_total{result="retried"} 0
# HELP amp_in_flight Reviews in flight.
# TYPE amp_in_flight gauge
amp_in_flight 3
# HELP amp_panics_total Panics contained while reviewing; each is a bug in amp.
# TYPE amp_panics_total counter
amp_panics_total 1
# HELP amp_reviews_total Reviews answered, by how they ended.
# TYPE amp_reviews_total counter
amp_reviews_total{operation="mutate",outcome="denied"} 0
amp_reviews_total{operation="mutate",outcome="failedopen"} 0
amp_reviews_total{operation="mutate",outcome="mutated"} 1
amp_reviews_total{operation="mutate",outcome="rejected"} 0
amp_reviews_total{operation="mutate",outcome="shadowed"} 0
amp_reviews_total{operation="mutate",outcome="skipped"} 0
amp_reviews_total{operation="mutate",outcome="unchanged"} 0
amp_reviews_total{operation="mutate",outcome="validated"} 0
amp_reviews_total{operation="validate",outcome="denied"} 0
amp_reviews_total{operation="validate",outcome="failedopen"} 0
amp_reviews_total{operation="validate",outcome="mutated"} 0
amp_reviews_total{operation="validate",outcome="rejected"} 0
amp_reviews_total{operation="validate",outcome="shadowed"} 0
amp_reviews_total{operation="validate",outcome="skipped"} 0
amp_reviews_total{operation="validate",outcome="unchanged"} 0
amp_reviews_total{operation="validate",outcome="validated"} 0
# HELP amp_shed_total Reviews and answers of endpoints for which amp had no memory (AMP_IN_FLIGHT_BYTES).
# TYPE amp_shed_total counter
amp_shed_total{reason="answer"} 0
amp_shed_total{reason="body"} 1
amp_shed_total{reason="unread"} 0
`), "amp_bad_requests_total", "amp_endpoint_requests_total", "amp_events_queue", "amp_events_total", "amp_in_flight", "amp_panics_total", "amp_reviews_total", "amp_shed_total"); err != nil {
		t.Error(err)
	}
}

func TestHostsBeyondThe200thShareALabel(t *testing.T) {
	recorder, reg, _ := newRecorder()
	for i := range 300 {
		rec := mutated(t)
		rec.Run.Steps[0].Endpoint = endpoint(t, fmt.Sprintf("http://hook-%d/m", i))
		recorder.Record(t.Context(), rec)
		recorder.Record(t.Context(), rec)
	}
	if n, err := testutil.GatherAndCount(reg, "amp_endpoint_requests_total"); err != nil || n != 201 {
		t.Errorf("%d series (%v), want 200 hosts and other", n, err)
	}
	const want = `
# HELP amp_endpoint_requests_total Calls of endpoints, by host and result; all but ok and refused are failures.
# TYPE amp_endpoint_requests_total counter
`
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, "amp_endpoint_requests_total{host=\"hook-%d\",result=\"ok\"} 2\n", i)
	}
	lines.WriteString("amp_endpoint_requests_total{host=\"other\",result=\"ok\"} 200\n")
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want+lines.String()), "amp_endpoint_requests_total"); err != nil {
		t.Error(err)
	}
}

// TestAHostHasOneLabel: tenants spell URLs, and must not use up the labels.
func TestAHostHasOneLabel(t *testing.T) {
	recorder, reg, _ := newRecorder()
	call := func(url string, result review.Result) {
		rec := mutated(t)
		rec.Run.Steps[0].Endpoint, rec.Run.Steps[0].Result = endpoint(t, url), result
		recorder.Record(t.Context(), rec)
	}
	for i := range 300 {
		call(fmt.Sprintf("http://forbidden-%d/", i), review.ResultForbidden)
	}
	for _, url := range []string{"http://hook/a", "http://HOOK/", "http://hook./", "http://hook:80/", "http://hook:00080/", "https://hook:443/?x"} {
		call(url, review.ResultOK)
	}
	for _, url := range []string{"http://[fd00::1]:8080/", "http://[FD00:0:0::1]:08080/", "http://hook:443/"} {
		call(url, review.ResultOK)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP amp_endpoint_requests_total Calls of endpoints, by host and result; all but ok and refused are failures.
# TYPE amp_endpoint_requests_total counter
amp_endpoint_requests_total{host="[fd00::1]:8080",result="ok"} 2
amp_endpoint_requests_total{host="hook",result="ok"} 6
amp_endpoint_requests_total{host="hook:443",result="ok"} 1
amp_endpoint_requests_total{host="other",result="forbidden"} 300
`), "amp_endpoint_requests_total"); err != nil {
		t.Error(err)
	}
}

func TestLogLine(t *testing.T) {
	failed := mutated(t)
	failed.Run.Steps[0].Err, failed.Run.Steps[0].Ops, failed.Run.Patch = errors.New("answered 500"), nil, nil
	failed.Verdict = review.Verdict{Outcome: review.OutcomeFailedOpen, Message: "amp: endpoint http://hook:8080/mutate: answered 500", Warnings: []string{"amp: not mutated"}}
	recorded := mutated(t)
	recorded.Plan.Event, recorded.Review.TraceParent = "u/final", "00-1"
	skipped := &review.Record{Review: &review.Review{UID: "u", Phase: review.Validate, Namespace: "x", GenerateName: "w-", DryRun: true, TraceParent: "00-1"}, Verdict: review.Verdict{Outcome: review.OutcomeSkipped}}

	for name, test := range map[string]struct {
		rec  *review.Record
		want string
	}{
		"a mutation": {mutated(t),
			`{"level":"INFO","msg":"review","uid":"u","operation":"mutate","namespace":"jhub","pod":"jupyter-alice","user":"hub","dryRun":false,"outcome":"mutated","ms":1.5,"endpoints":"http://hook:8080/mutate","ops":1}`},
		"a mutation with an event": {recorded,
			`{"level":"INFO","msg":"review","uid":"u","operation":"mutate","namespace":"jhub","pod":"jupyter-alice","user":"hub","dryRun":false,"outcome":"mutated","ms":1.5,"endpoints":"http://hook:8080/mutate","ops":1,"event":"u/final","traceparent":"00-1"}`},
		"a failure is a warning": {failed,
			`{"level":"WARN","msg":"review","uid":"u","operation":"mutate","namespace":"jhub","pod":"jupyter-alice","user":"hub","dryRun":false,"outcome":"failedopen","ms":1.5,"endpoints":"http://hook:8080/mutate","ops":0,"message":"amp: endpoint http://hook:8080/mutate: answered 500","failedEndpoint":"http://hook:8080/mutate","warnings":["amp: not mutated"]}`},
		"a review that was left alone": {skipped,
			`{"level":"INFO","msg":"review","uid":"u","operation":"validate","namespace":"x","pod":"w-","user":"","dryRun":true,"outcome":"skipped","ms":0,"traceparent":"00-1"}`},
	} {
		t.Run(name, func(t *testing.T) {
			recorder, _, log := newRecorder()
			recorder.Record(t.Context(), test.rec)
			if diff := cmp.Diff(test.want+"\n", log.String()); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		})
	}
}
