package engine_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/engine"
	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/workload"
)

// canned is an endpoint without a network.
type canned struct{ answer review.Answer }

func (c canned) Call(context.Context, review.Endpoint, *review.Review, int, time.Time, json.RawMessage) (review.Answer, error) {
	return c.answer, nil
}

// noRecorder takes records and does nothing with them.
type noRecorder struct{}

func (noRecorder) Deliver(context.Context, *review.Record) (sent bool, err error) { return true, nil }
func (noRecorder) Record(context.Context, *review.Record)                         {}
func (noRecorder) Panicked()                                                      {}
func (noRecorder) BadRequest(int)                                                 {}
func (noRecorder) Shed(review.ShedReason)                                         {}

// BenchmarkReview is a whole review from the body of the request to the body of the answer, without HTTP, the endpoint's
// own time and events.
func BenchmarkReview(b *testing.B) {
	for _, c := range workload.Cases {
		b.Run(c.String(), func(b *testing.B) {
			var ops []review.Op
			if err := json.Unmarshal(workload.Patch(c.Ops), &ops); err != nil {
				b.Fatal(err)
			}
			policy := namespaces.Parse(workload.Namespace, map[string]string{namespaces.LabelEnabled: "true"},
				map[string]string{namespaces.AnnotationEndpoint: "http://10.0.0.1"})
			proxy, err := engine.New(engine.Config{
				Policies: named{workload.Namespace: policy}, Recorder: noRecorder{}, Log: slog.New(slog.DiscardHandler),
				Endpoints: callout.Config{MaxBytes: 1 << 20}, Patches: checker(b), Timeout: 10 * time.Second, FailurePolicy: review.Fail,
			})
			if err != nil {
				b.Fatal(err)
			}
			proxy.Endpoints = canned{review.Answer{Ops: ops}}
			body := workload.Review(c.Pod)
			b.ReportAllocs()
			for b.Loop() {
				r, err := review.Read(body, review.Mutate)
				if err != nil {
					b.Fatal(err)
				}
				if rec, _ := proxy.Review(b.Context(), r, time.Now(), 0); rec.Verdict.Outcome != review.OutcomeMutated {
					b.Fatal(rec.Verdict)
				}
			}
		})
	}
}
