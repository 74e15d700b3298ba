package patch_test

import (
	"encoding/json"
	"testing"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"

	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
)

// twoOps are what a small endpoint sends: a volume and its mount.
var twoOps = []review.Op{
	{Op: "add", Path: "/spec/volumes/-", Value: json.RawMessage(`{"name":"data","persistentVolumeClaim":{"claimName":"alice"}}`)},
	{Op: "add", Path: "/spec/containers/0/volumeMounts/-", Value: json.RawMessage(`{"name":"data","mountPath":"/data"}`)},
}

// BenchmarkCheck has the plain way beside it, within one run, so that their ratio means something on a busy
// machine.
func BenchmarkCheck(b *testing.B) {
	pod := readPod(b, "jupyterhub-user")
	checker := newChecker(b)
	check := func() {
		if _, err := checker.Check(pod, twoOps); err != nil {
			b.Fatal(err)
		}
	}
	checked, err := checker.Check(pod, twoOps) // the Pod has no list of volumes: amp makes one
	if err != nil {
		b.Fatal(err)
	}
	plain := func() {
		if _, err := plainApply(pod, checked.Ops); err != nil {
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

// plainApply is what the API server does.
func plainApply(pod json.RawMessage, ops []review.Op) (json.RawMessage, error) {
	text, err := json.Marshal(ops)
	if err != nil {
		return nil, err
	}
	decoded, err := jsonpatch.DecodePatch(text)
	if err != nil {
		return nil, err
	}
	result, err := decoded.Apply(pod)
	if err != nil {
		return nil, err
	}
	return result, kjson.UnmarshalCaseSensitivePreserveInts(result, &corev1.Pod{})
}

func newChecker(t testing.TB, deny ...string) *patch.Checker {
	t.Helper()
	c, err := patch.New(deny)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
