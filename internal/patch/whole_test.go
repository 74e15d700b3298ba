package patch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/patch/patchtest"
	"github.com/txn2/amp/internal/review"
)

// chain checks the patches of the endpoints http://1, http://2, … as the proxy does. It returns their steps and the Pod that
// they make, or the error of the first one that is not good alone.
func chain(t testing.TB, checker *patch.Checker, pod json.RawMessage, patches ...[]review.Op) ([]review.Step, json.RawMessage, error) {
	var steps []review.Step
	for i, ops := range patches {
		checked, err := checker.Check(t.Context(), "ns", pod, ops)
		if err != nil {
			return nil, nil, fmt.Errorf("endpoint %d: %w", i+1, err)
		}
		endpoint := review.NewEndpoint(&url.URL{Scheme: "http", Host: fmt.Sprint(i + 1)})
		steps = append(steps, review.Step{Endpoint: endpoint, Ops: checked.Ops, Numbers: checked.Numbers})
		pod = checked.Pod
	}
	return steps, pod, nil
}

// text is the patch that adds an annotation of n bytes.
func text(key string, n int) []review.Op {
	return []review.Op{add("/metadata/annotations/"+key, `"`+strings.Repeat("x", n)+`"`)}
}

func repeat(n int, op func(i int) review.Op) (ops []review.Op) {
	for i := range n {
		ops = append(ops, op(i))
	}
	return ops
}

// TestCheckWhole is about chains of which each patch is good for the Pod that it gets.
func TestCheckWhole(t *testing.T) {
	ops := func(text string) []review.Op { return patchtest.Ops(t, text) }
	const together = `: it does not go together with the patch of %s, and amp answers them as one: %s: change one of these endpoints`
	const copied = "the patch copies more than 3 MiB in all, which is the API server's limit"
	const null = "the test failed: the value there is the same but written differently, or contains null: the API server compares text and cannot compare these"
	insert := func(i int) review.Op { return add("/spec/x/0", `1`) }
	nulls := ops(`[{"op":"add","path":"/spec/x","value":{}},{"op":"add","path":"/spec/x/a","value":null}]`)
	for sentence, test := range map[string]struct {
		patches [][]review.Op
		undone  bool
		step    int    // that fails, from 0
		want    string // the failure, "" for none
	}{
		"two that know nothing of each other": {patches: [][]review.Op{text("a", 3), ops(`[{"op":"add","path":"/spec/volumes/-","value":{"name":"x","emptyDir":{}}}]`)}},
		"the second goes on with what the first made": {patches: [][]review.Op{
			ops(`[{"op":"add","path":"/spec/initContainers/-","value":{"name":"x","image":"i"}}]`), ops(`[{"op":"add","path":"/spec/initContainers/1/env/-","value":{"name":"A"}}]`)}},
		"one undoes the other": {patches: [][]review.Op{ops(`[{"op":"add","path":"/spec/hostname","value":"x"}]`), ops(`[{"op":"remove","path":"/spec/hostname"}]`)}, undone: true},
		"each copies less than the limit, and both copy more": {patches: [][]review.Op{
			append(text("a", 1_000_000), ops(`[{"op":"copy","from":"/metadata/annotations/a","path":"/metadata/annotations/b"},{"op":"remove","path":"/metadata/annotations/b"}]`)...),
			ops(`[{"op":"test","path":"/kind","value":"Pod"},{"op":"copy","from":"/metadata/annotations/a","path":"/metadata/annotations/c"},{"op":"copy","from":"/metadata/annotations/a","path":"/metadata/annotations/d"},{"op":"copy","from":"/metadata/annotations/a","path":"/metadata/annotations/e"}]`)},
			step: 1, want: `op 4 (copy "/metadata/annotations/e" from "/metadata/annotations/a")` + fmt.Sprintf(together, "http://1", copied)},
		"the second tests a null of the first": {patches: [][]review.Op{nulls, ops(`[{"op":"add","path":"/spec/securityContext/fsGroup","value":1},{"op":"test","path":"/spec/x","value":{"a":null}},{"op":"add","path":"/metadata/labels/x","value":"y"}]`)},
			step: 1, want: `op 2 (test "/spec/x")` + fmt.Sprintf(together, "http://1", null)},
		"the second of three does, and the first changes nothing": {patches: [][]review.Op{
			ops(`[{"op":"test","path":"/kind","value":"Pod"}]`), nulls, ops(`[{"op":"test","path":"/spec/x","value":{"a":null}},{"op":"add","path":"/metadata/labels/x","value":"y"}]`), text("z", 1)},
			step: 2, want: `op 1 (test "/spec/x")` + fmt.Sprintf(together, "http://2", null)},
		"the second goes by how the first wrote a number": {patches: [][]review.Op{
			ops(`[{"op":"add","path":"/spec/x","value":[1]}]`), ops(`[{"op":"replace","path":"/spec/x/0","value":1.0},{"op":"add","path":"/metadata/labels/x","value":"y"}]`), ops(`[{"op":"test","path":"/spec/x","value":[1.0]},{"op":"remove","path":"/metadata/labels/x"}]`)}},
		"together they move too many elements": {patches: [][]review.Op{
			append([]review.Op{add("/spec/x", "["+strings.TrimSuffix(strings.Repeat("1,", 1000), ",")+"]")}, repeat(450, insert)...), append(repeat(400, insert), add("/metadata/labels/x", `"y"`))},
			step: 1, want: `op 283 (add "/spec/x/0")` + fmt.Sprintf(together, "http://1", `the patch moves more than 1,000,000 elements within lists, in all: add at the end ("-"), or replace the list as a whole`)},
		"together they have too many ops": {patches: [][]review.Op{
			repeat(6_000, func(i int) review.Op { return add(fmt.Sprintf("/metadata/labels/a%d", i), `""`) }), repeat(5_000, func(i int) review.Op { return add(fmt.Sprintf("/metadata/labels/b%d", i), `""`) })},
			step: 1, want: `op 5000 (add "/metadata/labels/b4999")` + fmt.Sprintf(together, "http://1", "there are 11000 ops in all; the limit is 10000, as for a PATCH request to the API server")},
	} {
		t.Run(sentence, func(t *testing.T) {
			pod, checker := json.RawMessage(patchtest.Rich), patchtest.NewChecker(t)
			steps, after, err := chain(t, checker, pod, test.patches...)
			if err != nil {
				t.Fatal(err)
			}
			stamp := patch.Annotate(after, review.StampAnnotation, "id")
			undone, step, err := checker.CheckWhole(t.Context(), "ns", pod, steps, stamp)
			if test.want == "" {
				if err != nil || undone != test.undone {
					t.Fatalf("undone %v, error %v", undone, err)
				}
			} else {
				failure := (*review.Failure)(nil)
				if !errors.As(err, &failure) || failure.Result != review.ResultPatch || failure.Cause != test.want || step != test.step {
					t.Fatalf("step %d: error = %v, want %s", step, err, test.want)
				}
			}
			if _, err := plainChain(pod, steps, stamp); (err == nil) != (test.want == "") && !strings.Contains(test.want, "the limit is") && !strings.Contains(test.want, "moves more") {
				t.Errorf("the API server's library says: %v", err)
			}
		})
	}
}

// plainChain does what the API server does with the patch that amp answers.
func plainChain(pod json.RawMessage, steps []review.Step, stamp []review.Op) (after json.RawMessage, err error) {
	var all []review.Op
	for i := range steps {
		all = append(all, steps[i].Ops...)
	}
	return plainly(pod, append(all, stamp...))
}
