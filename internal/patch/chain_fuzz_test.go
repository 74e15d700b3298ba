package patch_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/fuzztest"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/patch/patchtest"
	"github.com/txn2/amp/internal/review"
)

// FuzzChain generates patches that fit a Pod: each three bytes choose an op at a place that a Pod has. Each patch is held
// as [FuzzCheck] says. Together they are answered if and only if the API server's library applies them as one patch.
func FuzzChain(f *testing.F) {
	at := func(wanted string) byte { return byte(slices.Index(fuzzPaths, wanted)) }
	value := func(wanted string) byte { return byte(slices.Index(fuzzValues, wanted)) }
	f.Add([]byte{5, 0, at("/spec/x"), value(`{}`), 0, at("/spec/x/a"), value(`null`)}, []byte{5, at("/spec/x"), value(`{"a":null}`), 0, at("/metadata/labels/x"), value(`"x"`)})
	f.Add([]byte{5, 4, at("/spec/x"), at("/metadata/labels")}, []byte{3, at("/spec/x/a"), at("/spec/x"), 5, at("/spec/x"), value(`{"app":"w"}`)})
	f.Add([]byte{5, 0, at("/spec/volumes/-"), value(`{"name":"x"}`)}, []byte{2, at("/spec/volumes/-1"), 0})
	f.Add([]byte{5, 0, at("/spec/volumes/-"), 12, 0, at("/spec/containers/0/volumeMounts/-"), 14}, []byte{})
	f.Add([]byte{5, 3, at("/spec/x"), at("/spec/containers/0"), 3, at("/spec/containers/0"), at("/spec/x")}, []byte{})
	f.Add([]byte{5, 4, at("/spec/containers/-"), at("/spec/containers/0"), 1, at("/spec/containers/-1"), 12, 2, at("/spec/containers/0"), 0}, []byte{})
	f.Add([]byte{4, 3, at("/metadata/annotations"), at("/metadata/labels"), 4, at("/metadata/labels"), at("/metadata/annotations")}, []byte{})
	pods := fuzzPods(f)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		if len(first) == 0 || len(first)+len(second) > 100 {
			return
		}
		pod, checker := pods[int(first[0])%len(pods)], patchtest.NewChecker(t)
		// An op that is refused would hide those after it.
		good := func(pod json.RawMessage, program []byte) (ops []review.Op) {
			for ; len(program) >= 3; program = program[3:] {
				with := append(slices.Clip(ops), opOf(program))
				if _, err := checker.Check(t.Context(), "ns", pod, with); err != nil {
					hold(t, pod, with)
					continue
				}
				ops = with
			}
			hold(t, pod, ops)
			return ops
		}
		one := good(pod, first[1:])
		_, after, err := chain(t, checker, pod, one)
		if err != nil {
			t.Fatal(err)
		}
		two := good(after, second)
		steps, after, err := chain(t, checker, pod, one, two)
		if err != nil {
			t.Fatal(err)
		}
		stamp := patch.Annotate(after, review.StampAnnotation, "id")
		var undone bool
		fuzztest.Within(t, maxCPU, maxAllocated, func() {
			undone, _, err = checker.CheckWhole(t.Context(), "ns", pod, steps, stamp)
		})
		if err != nil && strings.Contains(err.Error(), "a bug in amp") {
			t.Errorf("%v\n%s\n%s", err, show(one), show(two))
		}
		if undone {
			return
		}
		if _, plain := plainChain(pod, steps, stamp); (plain == nil) != (err == nil) {
			t.Errorf("amp says %v, the API server's library %v\n%s\n%s", err, plain, show(one), show(two))
		}
	})
}
