package review_test

import (
	"encoding/json"
	"fmt"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/workload"
)

var podSizes = []int{5000, 2000, 200_000}

func BenchmarkRead(b *testing.B) {
	for _, size := range podSizes {
		b.Run(fmt.Sprintf("pod=%dKB", size/1000), func(b *testing.B) {
			body := workload.Review(size)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := review.Read(body, review.Mutate); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReadPlain reads a review as most webhooks do, for comparison.
func BenchmarkReadPlain(b *testing.B) {
	for _, size := range podSizes {
		b.Run(fmt.Sprintf("pod=%dKB", size/1000), func(b *testing.B) {
			body := workload.Review(size)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var review admissionv1.AdmissionReview
				if err := json.Unmarshal(body, &review); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, n := range []int{12, 1, 100} {
		b.Run(fmt.Sprintf("ops=%d", n), func(b *testing.B) {
			r, err := review.Read(workload.Review(5000), review.Mutate)
			if err != nil {
				b.Fatal(err)
			}
			var ops []review.Op
			if err := json.Unmarshal(workload.Patch(n), &ops); err != nil {
				b.Fatal(err)
			}
			rec := &review.Record{
				Review: r, Plan: review.Plan{Event: workload.UID},
				Run:     review.Run{Steps: []review.Step{{Endpoint: endpoint(b, "http://policy.tools/mutate")}}, Patch: ops},
				Verdict: review.Verdict{Outcome: review.OutcomeMutated, Patch: ops},
			}
			b.ReportAllocs()
			for b.Loop() {
				review.Write(rec)
			}
		})
	}
}
