package workload_test

import (
	"fmt"
	"testing"

	kjson "sigs.k8s.io/json"

	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/internal/workload"
)

// TestWorkload checks that the Pods have their size and are Pods, and that a patch has as many operations as it says.
func TestWorkload(t *testing.T) {
	for _, size := range []int{2000, 5000, 200_000} {
		pod := workload.Pod(size)
		if n := len(pod); n < size || n > size+size/10 {
			t.Errorf("the Pod of %d bytes has %d", size, n)
		}
		if strict, err := kjson.UnmarshalStrict(pod, &corev1.Pod{}); err != nil || len(strict) > 0 {
			t.Errorf("the Pod of %d bytes: %v %v", size, strict, err)
		}
	}
	for _, n := range []int{1, 12, 100} {
		var ops []workload.Op
		if err := kjson.UnmarshalCaseSensitivePreserveInts(workload.Patch(n), &ops); err != nil || len(ops) != n {
			t.Error(fmt.Sprintf("the patch of %d operations has %d:", n, len(ops)), err)
		}
	}
}
