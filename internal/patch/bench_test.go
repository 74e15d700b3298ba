package patch_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/txn2/amp/internal/patch/patchtest"
	"github.com/txn2/amp/internal/review"
)

// twoOps is what a small endpoint sends: a volume and its mount.
var twoOps = []review.Op{
	{Op: "add", Path: "/spec/volumes/-", Value: json.RawMessage(`{"name":"data","persistentVolumeClaim":{"claimName":"alice"}}`)},
	{Op: "add", Path: "/spec/containers/0/volumeMounts/-", Value: json.RawMessage(`{"name":"data","mountPath":"/data"}`)},
}

// BenchmarkCheck measures the plain way beside the check, in one run: so their ratio means something on a busy
// machine.
func BenchmarkCheck(b *testing.B) {
	pod := readPod(b, "jupyterhub-user")
	checker := patchtest.NewChecker(b)
	check := func() {
		if _, err := checker.Check(b.Context(), "ns", pod, twoOps); err != nil {
			b.Fatal(err)
		}
	}
	checked, err := checker.Check(b.Context(), "ns", pod, twoOps) // the Pod has no list of volumes: amp makes one
	if err != nil {
		b.Fatal(err)
	}
	plain := func() {
		if _, err := patchtest.PlainApply(pod, checked.Ops); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("2 ops", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			check()
		}
	})
	b.Run("2 ops, json-patch.v4 and typed decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			plain()
		}
	})
	b.Run("ratio", func(b *testing.B) {
		var ours, theirs time.Duration
		for b.Loop() {
			start := time.Now()
			check()
			half := time.Now()
			plain()
			ours, theirs = ours+half.Sub(start), theirs+time.Since(half)
		}
		b.ReportMetric(float64(theirs)/float64(ours), "times_faster")
	})
}
