package patch_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/txn2/amp/internal/patch/patchtest"
	"github.com/txn2/amp/internal/patch/rules"
	"github.com/txn2/amp/internal/review"
)

// TestEachRule breaks each rule of rules.All once, in its order. The tests of a rule are beside it.
func TestEachRule(t *testing.T) {
	many := make([]review.Op, 10_000)
	for i := range many {
		many[i] = add("/metadata/annotations/x", `"y"`)
	}
	tests := []struct {
		pod  string
		ops  []review.Op
		want string // a part of the refusal or of the only warning
	}{
		{patchtest.Bare, []review.Op{add("/spec/x", strings.Repeat("[", 101)+strings.Repeat("]", 101))}, "nests deeper than 100 levels"},
		{patchtest.Bare, []review.Op{add("/metadata/labels", `{"a":"1","a":"2"}`)}, `the key "a" twice`},
		{patchtest.Bare, many, "the patch has 10001 ops with those that create missing parents; "},
		{patchtest.Rich, []review.Op{add("/spec/nodeName", `"n"`)}, `an endpoint may not change "/spec/nodeName"`},
		{patchtest.Rich, []review.Op{add("/spec/containers/0/resources/limits/cpu", `"1e-99999999"`)}, "must not have an exponent of more than 2 digits"},
		{patchtest.Rich, []review.Op{add("/spec/hostNetwork", `"true"`)}, "spec.hostNetwork must be true or false"},
		{patchtest.Rich, []review.Op{add("/metadata/name", `"x"`)}, "may not change metadata.name"},
		{patchtest.Rich, []review.Op{add("/metadata/annotations/amp.txn2.com~1event", `"x"`)}, "may not change the annotation amp.txn2.com/event"},
		{patchtest.Owned, []review.Op{add("/metadata/labels/app", `"x"`)}, `keep "app" unchanged`},
		{patchtest.Rich, []review.Op{add("/spec/preemptionPolicy", `"Never"`)}, "the API server computes spec.preemptionPolicy"},
		{patchtest.Rich, []review.Op{add("/spec/serviceAccount", `"x"`)}, "spec.serviceAccount is the old name"},
		{patchtest.Bare, []review.Op{add("/spec/containers/0/resources", `{"limits":{"cpu":1},"requests":{"cpu":2}}`)}, `would request more "cpu" than its limit`},
		{patchtest.Bare, []review.Op{add("/spec/hostNetwork", `true`), add("/spec/containers/0/ports", `[{"containerPort":1,"hostPort":2}]`)}, "a hostPort other than its containerPort"},
		{patchtest.Rich, []review.Op{add("/metadata/labels/x", `"-"`)}, `the value of label "x" is malformed`},
		{patchtest.Rich, []review.Op{add("/metadata/annotations/-", `""`)}, `annotation key "-" is malformed`},
		{patchtest.Rich, []review.Op{add("/spec/volumes/-", `{"name":"v"}`)}, `two volumes named "v"`},
		{patchtest.Rich, []review.Op{add("/spec/containers/-", `{"name":"init"}`)}, `two containers named "init"`},
		{patchtest.Rich, []review.Op{{Op: "remove", Path: "/spec/volumes/0"}}, `would mount volume "v"`},
		{patchtest.Rich, []review.Op{add("/spec/containers/0/volumeMounts/-", `{"name":"w","mountPath":"/v"}`)}, "two mounts at the same mountPath"},
		{patchtest.Rich, []review.Op{add("/spec/containers/1/env/-", `{"name":"="}`)}, `env 0 of container "side" is malformed`},
		{patchtest.Rich, []review.Op{add("/metadata/annotations", `{"a/b":"2"}`)}, `drops "c~d" that the Pod had`},
		{patchtest.Bare, []review.Op{add("/spec/containers/0", `{"name":"proxy","image":"i"}`)}, `puts container "proxy" before the first one, "main"`},
		{patchtest.Bare, []review.Op{add("/spec/volumes/-", `{"name":"kube-api-access-x"}`), add("/spec/automountServiceAccountToken", `false`)}, "has no effect alone"},
		{patchtest.Rich, []review.Op{add("/spec/contianers", `[]`)}, "spec.contianers is unknown to amp's Kubernetes"},
	}
	if n := len(rules.All.Values) + len(rules.All.Always) + len(rules.All.Changed); n != len(tests) {
		t.Errorf("there are %d rules and %d tests: add one for each", n, len(tests))
	}
	checker := patchtest.NewChecker(t, "/spec/nodeName")
	for _, test := range tests {
		t.Run(test.want, func(t *testing.T) {
			checked, err := checker.Check(t.Context(), "ns", json.RawMessage(test.pod), test.ops)
			got := strings.Join(checked.Warnings, "\n")
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("the check says %q, want %q", got, test.want)
			}
		})
	}
}

// TestOrder is about patches with more than one fault: the first step that finds one ends the check.
func TestOrder(t *testing.T) {
	deep := strings.Repeat("[", 101) + strings.Repeat("]", 101)
	for sentence, test := range map[string]struct{ ops, want string }{
		"the value of an op before the place of a later one": {`[{"op":"add","path":"/spec/x","value":` + deep + `},{"op":"remove","path":"/spec/y"}]`, "op 1 (add"},
		"the place of an op before the value of a later one": {`[{"op":"remove","path":"/spec/y"},{"op":"add","path":"/spec/x","value":` + deep + `}]`, "op 1 (remove"},
		"an op that does not apply before a denied one":      {`[{"op":"add","path":"/spec/nodeName","value":"x"},{"op":"remove","path":"/spec/y"}]`, "op 2 (remove"},
		"a denied op before the exit for no change":          {`[{"op":"add","path":"/spec/nodeName","value":"n"}]`, "AMP_PATCH_DENY"},
		"a denied op before the API server's library":        {`[{"op":"test","path":"/spec/priority","value":10.0},{"op":"add","path":"/spec/nodeName","value":"x"}]`, "AMP_PATCH_DENY"},
		"the API server's library before the other rules":    {`[{"op":"test","path":"/spec/priority","value":10.0},{"op":"remove","path":"/kind"}]`, "op 1 (test"},
		"the type before the identity":                       {`[{"op":"remove","path":"/kind"},{"op":"add","path":"/spec/hostNetwork","value":1}]`, "op 2 (add"},
		"the identity before what is inside":                 {`[{"op":"add","path":"/spec/volumes/-","value":{"name":"v"}},{"op":"remove","path":"/kind"}]`, "op 2 (remove"},
	} {
		t.Run(sentence, func(t *testing.T) {
			checked, err := patchtest.NewChecker(t, "/spec/nodeName").Check(t.Context(), "ns", json.RawMessage(patchtest.Rich), patchtest.Ops(t, test.ops))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("ops = %v, error = %v; want %q", checked.Ops, err, test.want)
			}
		})
	}
}

// TestWarningsComeWithAChangeOnly is about a patch that drops keys and then puts back what was there.
func TestWarningsComeWithAChangeOnly(t *testing.T) {
	ops := patchtest.Ops(t, `[{"op":"add","path":"/metadata/annotations","value":{}},{"op":"add","path":"/metadata/annotations","value":{"a/b":"1","c~d":"2"}}]`)
	checked, err := patchtest.NewChecker(t).Check(t.Context(), "ns", json.RawMessage(patchtest.Rich), ops)
	if err != nil || len(checked.Ops) > 0 || len(checked.Warnings) > 0 {
		t.Errorf("checked = %+v, error = %v; want no ops and no warnings", checked, err)
	}
}

func TestUntouchedFieldsKeepTheirBytes(t *testing.T) {
	pod := `{"apiVersion":"v1", "kind":"Pod","x-newer": { "a" : [1.00, "\u00e9"] },"metadata":{"labels":{ "k" : "\u0076" },"name":"n"},"spec":{"containers":[ {"name" : "c"} ]}}`
	checked, err := patchtest.NewChecker(t).Check(t.Context(), "ns", json.RawMessage(pod), patchtest.Ops(t, `[{"op":"add","path":"/spec/containers/-","value":{"name":"d"}}]`))
	if err != nil {
		t.Fatal(err)
	}
	for _, bytes := range []string{`"x-newer":{ "a" : [1.00, "\u00e9"] }`, `{"labels":{ "k" : "\u0076" },"name":"n"}`, `{"name" : "c"}`} {
		if !strings.Contains(string(checked.Pod), bytes) {
			t.Errorf("%s is not in %s", bytes, checked.Pod)
		}
	}
	if len(checked.Warnings) > 0 {
		t.Errorf("a field that the Pod had is warned of: %q", checked.Warnings)
	}
}

// TestCauses is about the errors of libraries: a failure carries them, and does not show them, because they quote.
func TestCauses(t *testing.T) {
	for sentence, test := range map[string]struct {
		pod, ops string
		is       error  // of the library, nil for any
		quotes   string // in the text of the library's error
	}{
		"a test that json-patch.v4 fails": {
			patchtest.Rich, `[{"op":"test","path":"/spec/priority","value":10.0},{"op":"add","path":"/metadata/labels/x","value":"y"}]`, jsonpatch.ErrTestFailed, "/spec/priority",
		},
		"a panic of json-patch.v4": {
			patchtest.Bare, `[{"op":"add","path":"/spec/x","value":[null]},{"op":"test","path":"/spec/x","value":[null]}]`, nil, "panicked",
		},
		"a value of another type": {
			patchtest.Bare, `[{"op":"add","path":"/spec/containers/0/resources/limits/cpu","value":"secret"}]`, nil, "quantities must match",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := patchtest.NewChecker(t).Check(t.Context(), "ns", json.RawMessage(test.pod), patchtest.Ops(t, test.ops))
			var failure *review.Failure
			if !errors.As(err, &failure) || failure.Err == nil {
				t.Fatalf("error = %v; want a *review.Failure with a cause", err)
			}
			if !strings.Contains(failure.Err.Error(), test.quotes) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("the cause is %T %q, want %v with %q", failure.Err, failure.Err, test.is, test.quotes)
			}
			if strings.Contains(err.Error(), failure.Err.Error()) || strings.Contains(err.Error(), "secret") {
				t.Errorf("the message %q shows the cause %q", err, failure.Err)
			}
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	checker := patchtest.NewChecker(t, denied...)
	pod, patch := json.RawMessage(patchtest.Rich), patchtest.Ops(t, `[{"op":"add","path":"/spec/imagePullSecrets/-","value":{"name":"x"}},{"op":"add","path":"/spec/newer","value":1}]`)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if checked, err := checker.Check(t.Context(), "ns", pod, patch); err != nil || len(checked.Warnings) != 1 {
				t.Errorf("checked = %+v, error = %v", checked, err)
			}
		})
	}
	group.Wait()
}

func add(path, value string) review.Op {
	return review.Op{Op: "add", Path: path, Value: json.RawMessage(value)}
}

// readPod is the object of a review that a kube-apiserver 1.36 sent.
func readPod(t testing.TB, name string) json.RawMessage {
	t.Helper()
	pod, err := os.ReadFile(filepath.Join("testdata", name+".pod.json"))
	if err != nil {
		t.Fatal(err)
	}
	return pod
}
