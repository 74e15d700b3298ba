package patch_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/internal/patch/patchtest"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/workload"
)

func BenchmarkCheck(b *testing.B) {
	checker := patchtest.NewChecker(b)
	for _, c := range workload.Cases {
		b.Run(c.String(), func(b *testing.B) {
			pod, ops := workload.Pod(c.Pod), opsOf(b, c)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := checker.Check(b.Context(), "ns", pod, ops); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCheckPlain checks with json-patch.v4 and a typed decode, for comparison. It also measures the check itself in
// the same loop: so their ratio means something on a busy machine.
func BenchmarkCheckPlain(b *testing.B) {
	checker := patchtest.NewChecker(b)
	for _, c := range workload.Cases {
		b.Run(c.String(), func(b *testing.B) {
			pod, ops := workload.Pod(c.Pod), opsOf(b, c)
			var ours, theirs time.Duration
			for b.Loop() {
				start := time.Now()
				if _, err := checker.Check(b.Context(), "ns", pod, ops); err != nil {
					b.Fatal(err)
				}
				half := time.Now()
				if _, err := patchtest.PlainApply(pod, ops); err != nil {
					b.Fatal(err)
				}
				ours, theirs = ours+half.Sub(start), theirs+time.Since(half)
			}
			b.ReportMetric(0, "ns/op") // of both
			b.ReportMetric(float64(theirs.Nanoseconds())/float64(b.N), "plain-ns/op")
			b.ReportMetric(float64(theirs)/float64(ours), "times-faster")
		})
	}
}

func BenchmarkCheckWhole(b *testing.B) {
	checker := patchtest.NewChecker(b)
	for _, c := range workload.Cases {
		b.Run("steps=2/"+c.String(), func(b *testing.B) {
			pod := workload.Pod(c.Pod)
			var steps []review.Step
			seen := pod
			for _, ops := range [][]review.Op{opsOf(b, c), othersOf(b, c)} {
				checked, err := checker.Check(b.Context(), "ns", seen, ops)
				if err != nil {
					b.Fatal(err)
				}
				steps, seen = append(steps, review.Step{Ops: checked.Ops, Numbers: checked.Numbers}), checked.Pod
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := checker.CheckWhole(b.Context(), "ns", pod, steps, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func opsOf(b *testing.B, c workload.Case) []review.Op {
	b.Helper()
	return unmarshalOps(b, string(workload.Patch(c.Ops)))
}

// othersOf are ops that go together with those of opsOf.
func othersOf(b *testing.B, c workload.Case) []review.Op {
	b.Helper()
	other := strings.NewReplacer("home", "data", "TEAM", "GROUP", "_PROXY", "_GATEWAY", "ADDED", "MORE")
	return unmarshalOps(b, other.Replace(string(workload.Patch(c.Ops))))
}

func unmarshalOps(b *testing.B, patch string) (ops []review.Op) {
	b.Helper()
	if err := json.Unmarshal([]byte(patch), &ops); err != nil {
		b.Fatal(err)
	}
	return ops
}
