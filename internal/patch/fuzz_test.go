package patch_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/internal/fuzztest"
	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
	"github.com/txn2/amp/internal/patch/patchtest"
	"github.com/txn2/amp/internal/patch/rules"
	"github.com/txn2/amp/internal/review"
)

var denied = []string{"/spec/serviceAccountName", "/spec/nodeName", "/spec/containers/*/securityContext"}

// FuzzCheck compares amp with the API server's libraries on the whole Pod: a patch that amp answers applies, makes what amp
// says it makes, and keeps what a patch may not change; one that amp refuses is one that the API server refuses too, or
// that breaks a rule of the contract. Of a text that no API server sends as a Pod, it only says that the check ends.
func FuzzCheck(f *testing.F) {
	for _, seed := range seeds {
		for _, pod := range fuzzPods(f) {
			f.Add(string(pod), seed)
		}
	}
	f.Add(`{"metadata":{"labels":`, seeds[0])
	f.Add(`{"metadata":{"labels":{"a":}}}`, seeds[0])
	f.Add(`{"metadata":{"labels":{"a"`, seeds[0])
	f.Add(`{"spec":{"containers":[{"name":"\`, seeds[3])
	f.Fuzz(func(t *testing.T, pod, patch string) {
		var ops []review.Op
		if json.Unmarshal([]byte(patch), &ops) != nil {
			return
		}
		if isSent(pod) {
			hold(t, json.RawMessage(pod), ops)
			return
		}
		fuzztest.Within(t, maxCPU, maxAllocated, func() {
			checked, err := patchtest.NewChecker(t, denied...).Check(t.Context(), "ns", json.RawMessage(pod), ops)
			if err == nil && json.Valid([]byte(pod)) && !json.Valid(checked.Pod) {
				t.Errorf("the Pod was valid JSON and is no longer: %s", checked.Pod)
			}
		})
	})
}

// The bounds of one check. The attacks took a minute, or 10 GB.
const (
	maxCPU       = time.Second
	maxAllocated = 100 << 20
)

// isSent reports whether a text is a Pod as an API server may send it.
func isSent(text string) bool {
	if !strings.HasPrefix(strings.TrimSpace(text), "{") || !utf8.ValidString(text) || hasRepeatedKey(json.RawMessage(text)) {
		return false
	}
	var pod corev1.Pod
	return patchtest.Decode([]byte(text), &pod) == nil
}

// What the bytes of a program choose from.
var (
	fuzzPaths = []string{
		"/metadata", "/metadata/name", "/metadata/labels", "/metadata/labels/app", "/metadata/labels/x", "/metadata/annotations", "/metadata/annotations/a~1b",
		"/metadata/ownerReferences", "/metadata/ownerReferences/0", "/metadata/ownerReferences/0/controller", "/metadata/managedFields",
		"/spec", "/spec/volumes", "/spec/volumes/-", "/spec/volumes/0", "/spec/volumes/-1", "/spec/volumes/0/name", "/spec/volumes/1/name",
		"/spec/containers", "/spec/containers/-", "/spec/containers/0", "/spec/containers/1", "/spec/containers/-1", "/spec/containers/0/name", "/spec/containers/1/name",
		"/spec/containers/0/env", "/spec/containers/0/env/-", "/spec/containers/0/env/0", "/spec/containers/0/env/0/name", "/spec/containers/1/env", "/spec/containers/-2/env/-1/name",
		"/spec/containers/0/volumeMounts", "/spec/containers/0/volumeMounts/-", "/spec/containers/0/volumeMounts/0", "/spec/containers/1/volumeMounts/0/name",
		"/spec/containers/0/securityContext", "/spec/containers/0/securityContext/privileged", "/spec/containers/1/securityContext",
		"/spec/initContainers", "/spec/initContainers/-", "/spec/initContainers/0", "/spec/initContainers/0/name", "/spec/initContainers/0/env/-",
		"/spec/ephemeralContainers", "/spec/x", "/spec/x/-", "/spec/x/0", "/spec/x/a", "/spec/x/a/b/0/c", "/spec/nodeName", "/spec/tolerations/-", "/status", "/kind",
	}
	fuzzValues = []string{
		`null`, `{}`, `[]`, `"x"`, `"main"`, `"v"`, `"w"`, `1`, `true`, `[null]`, `{"a":null}`, `{"name":"main"}`, `{"name":"x"}`, `{"name":"v","mountPath":"/v"}`, `{"name":"x","mountPath":"/x"}`,
		`{"name":"x","volumeMounts":[{"name":"x","mountPath":"/x"}],"env":[{"name":"A"}]}`, `[{"name":"main","image":"i"},{"name":"side","securityContext":{"privileged":true}}]`,
		`{"app":"w"}`, `{"app":"w","hash":"1","x":"y"}`, `[{"name":"v"},{"name":"x"}]`, `{"containers":[{"name":"main"}],"nodeName":"n","serviceAccountName":"sa","serviceAccount":"sa"}`,
		`{"x":{"a":{"b":[{"c":1}]}}}`, `"a b"`, `"\u003c\u00e9"`, `"<é"`, `1.0`,
	}
	fuzzKinds = []string{"add", "replace", "remove", "move", "copy", "test", "add", "copy"}
)

// opOf returns the op that three bytes choose.
func opOf(choice []byte) review.Op {
	op := review.Op{Op: fuzzKinds[int(choice[0])%len(fuzzKinds)], Path: fuzzPaths[int(choice[1])%len(fuzzPaths)]}
	switch op.Op {
	case "move", "copy":
		op.From = fuzzPaths[int(choice[2])%len(fuzzPaths)]
	case "add", "replace", "test":
		op.Value = json.RawMessage(fuzzValues[int(choice[2])%len(fuzzValues)])
	}
	return op
}

// hold fails the test if ops are refused without a reason, or do not keep the promise, or if the check takes too much.
func hold(t *testing.T, came json.RawMessage, ops []review.Op) {
	t.Helper()
	var checked review.Checked
	var err error
	fuzztest.Within(t, maxCPU, maxAllocated, func() {
		checked, err = patchtest.NewChecker(t, denied...).Check(t.Context(), "ns", slices.Clone(came), ops)
	})
	if err != nil {
		var failure *review.Failure
		if !errors.As(err, &failure) {
			t.Fatalf("error of type %T", err)
		}
		if review.Line(failure.Cause) != failure.Cause {
			t.Errorf("cause is not one clean line: %q", failure.Cause)
		}
		if strings.Contains(failure.Cause, "a bug in amp") || strings.Contains(failure.Cause, "(json-patch.v4) rejects") {
			t.Errorf("%s\n%s", failure, show(ops))
		}
		justified(t, came, ops, failure.Cause)
		return
	}
	for _, warning := range checked.Warnings {
		if review.Line(warning) != warning {
			t.Errorf("warning is not one clean line: %q", warning)
		}
	}
	if err := patchtest.Property(came, checked, denied); err != nil {
		t.Errorf("%v\n%s", err, show(ops))
	}
}

func show(ops []review.Op) string {
	text, err := json.Marshal(ops)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func fuzzPods(t testing.TB) []json.RawMessage {
	return []json.RawMessage{
		readPod(t, "jupyterhub-user"), readPod(t, "dry-run"), readPod(t, "worker-generate-name"),
		json.RawMessage(patchtest.Bare), json.RawMessage(patchtest.Owned), json.RawMessage(patchtest.Rich),
	}
}

var seeds = []string{
	`[{"op":"add","path":"/metadata/labels/x","value":"y"}]`,
	`[{"op":"add","path":"/metadata/annotations/a.b~1c~0d","value":"y"}]`,
	`[{"op":"add","path":"/spec/initContainers/-","value":{"name":"x","image":"i","env":[{"name":"A","value":"b"}]}}]`,
	`[{"op":"add","path":"/spec/volumes/-","value":{"name":"x","emptyDir":{}}},{"op":"add","path":"/spec/containers/0/volumeMounts/-","value":{"name":"x","mountPath":"/x"}}]`,
	`[{"op":"add","path":"/spec/containers/0/resources/limits/nvidia.com~1gpu","value":"1"}]`,
	`[{"op":"replace","path":"/spec/containers/0/image","value":"x"},{"op":"test","path":"/spec/containers/0/image","value":"x"}]`,
	`[{"op":"remove","path":"/spec/containers/0/env"},{"op":"remove","path":"/metadata/managedFields"}]`,
	`[{"op":"remove","path":"/spec/containers/0/volumeMounts/0"}]`,
	`[{"op":"move","from":"/spec/containers/0/env","path":"/spec/containers/0/x"},{"op":"add","path":"/spec/containers/0/x/0/y","value":1}]`,
	`[{"op":"move","from":"/metadata/labels","path":"/metadata/annotations"},{"op":"copy","from":"/metadata/annotations","path":"/metadata/labels"}]`,
	`[{"op":"copy","from":"/spec/containers/0","path":"/spec/containers/-"},{"op":"replace","path":"/spec/containers/-1/name","value":"z"}]`,
	`[{"op":"copy","from":"/spec/containers/0","path":"/spec/x"},{"op":"move","from":"/spec/x","path":"/spec/y"},{"op":"remove","path":"/spec/y/name"},{"op":"test","path":"/spec/y","value":{}}]`,
	`[{"op":"test","path":"/metadata/labels/zz","value":null},{"op":"add","path":"/metadata/labels/zz","value":"1"}]`,
	`[{"op":"add","path":"/spec/tolerations/0","value":{"operator":"Exists"}},{"op":"add","path":"/spec/tolerations/-1","value":{"operator":"Exists","key":"k"}}]`,
	`[{"op":"add","path":"/metadata/labels","value":null},{"op":"add","path":"/metadata/labels/a","value":"b"}]`,
	`[{"op":"add","path":"/metadata/annotations","value":null},{"op":"copy","from":"/metadata/annotations","path":"/metadata/labels"},{"op":"add","path":"/metadata/labels/x","value":"y"}]`,
	`[{"op":"add","path":"/spec/x","value":[null]},{"op":"test","path":"/spec/x","value":[null]}]`,
	`[{"op":"replace","path":"/spec/priority","value":1e1},{"op":"replace","path":"/spec/enableServiceLinks","value":true}]`,
	`[{"op":"replace","path":"/spec","value":{"containers":[{"name":"a"}]}},{"op":"add","path":"/spec/containers/0/name","value":"b"}]`,
	`[{"op":"replace","path":"/metadata","value":{"name":"w","namespace":"ns","labels":{"a":"b"}}}]`,
	`[{"op":"add","path":"/spec/contianers/-","value":{"a":{"b":[1,2.50,-0,1e400,"\ud800\u0000<&>"]}}}]`,
	`[{"op":"add","path":"/metadata/labels/x","value":1}]`,
	`[{"op":"add","path":"/spec/containers/+0/image","value":"x"},{"op":"add","path":"/spec/containers/00/image","value":"y"}]`,
	`[{"op":"add","path":"/","value":1},{"op":"add","path":"//","value":1},{"op":"remove","path":"/"}]`,
	`[{"op":"replace","path":"","value":{}}]`,
	`[{"op":"add","path":"/spec/a~2","value":{}}]`,
	`[{"op":"move","from":"/spec/containers/-1","path":"/spec/containers/0"},{"op":"move","from":"/spec/volumes/0","path":"/spec/volumes/-"}]`,
	`[{"op":"add","path":"/spec/containers/0/livenessProbe/httpGet/port","value":80},{"op":"add","path":"/spec/securityContext/fsGroup","value":100}]`,
	`[{"op":"add","path":"/metadata/creationTimestamp","value":"2026-01-01T00:00:00Z"},{"op":"copy","from":"/metadata/creationTimestamp","path":"/metadata/annotations/t"}]`,
	`[{"op":"replace","path":"/spec/containers/0/env/0/name","value":"A=B"}]`,
	`[{"op":"replace","path":"/spec/containers/0/name","value":"main"},{"op":"replace","path":"/spec/containers/0","value":{"name":"main"}}]`,
	`[{"op":"add","path":"/status","value":{}},{"op":"add","path":"/spec/nodeName","value":"x"}]`,
}

// FuzzSimple compares the short way of a check with the long one. For a simple patch the check does not ask json-patch.v4:
// so the library must apply each such patch, to the sparse Pod and to the whole one, and make what [apply.Apply] makes.
func FuzzSimple(f *testing.F) {
	pods := append(fuzzPods(f), json.RawMessage(odd))
	for _, seed := range simpleSeeds {
		for pod := range pods {
			f.Add(uint8(pod), seed, []byte{})
		}
	}
	for i := range fuzzPaths {
		f.Add(uint8(i), "", []byte{0, byte(i), byte(i), 1, byte(i), byte(i + 1), 2, byte(i), 0})
	}
	f.Fuzz(func(t *testing.T, which uint8, patch string, program []byte) {
		pod := pods[int(which)%len(pods)]
		if change, _ := changeOf(t, pod, patch, program); change != nil && change.Simple {
			compare(t, pod, change)
		}
	})
}

// changeOf is what a patch and the ops of a program do to a Pod, without those that fail: they would hide the others. It is
// nil if none are left.
func changeOf(t *testing.T, pod json.RawMessage, patch string, program []byte) (*apply.Change, []review.Op) {
	t.Helper()
	var ops []review.Op
	if patch != "" && json.Unmarshal([]byte(patch), &ops) != nil || len(program) > 100 {
		return nil, nil
	}
	for ; len(program) >= 3; program = program[3:] {
		ops = append(ops, opOf(program))
	}
	for {
		change, err := apply.Apply(t.Context(), pod, ops, rules.All.Values)
		var of *apply.Error
		switch {
		case errors.As(err, &of) && len(ops) > 0:
			ops = slices.Delete(slices.Clone(ops), of.Number-1, of.Number)
		case err != nil || len(ops) == 0:
			return nil, nil
		default:
			return change, ops
		}
	}
}

// compare fails the test if json-patch.v4 does not do what change did.
func compare(t *testing.T, pod json.RawMessage, change *apply.Change) {
	t.Helper()
	all := *change
	all.Simple = false // then the library is asked, too
	if _, err := all.Verify(t.Context()); err != nil {
		t.Errorf("on the sparse Pod: %v\n%s", err, show(change.Ops))
	}
	text, err := json.Marshal(change.Ops)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := jsonpatch.DecodePatch(text)
	if err != nil {
		t.Fatal(err)
	}
	// The API server encodes the Pod anew before it patches it.
	encoded, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	result, err := patch.Apply(encoded)
	if err != nil {
		t.Fatalf("on the whole Pod: %v\n%s", err, show(change.Ops))
	}
	if !jsontree.Same(change.After, jsontree.NewValue(string(result), 0)) {
		t.Errorf("amp makes\n%s\nand the library makes\n%s\nof\n%s", change.After.AppendJSON(nil), result, show(change.Ops))
	}
}

// odd is a Pod in which a patch can meet what makes two readers of JSON disagree.
const odd = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"w","namespace":"ns","labels":{"app":null,"app":"w","x":null},"annotations":{"":"e","\u0061\/b":"1","a":"2","\u003c":"3","\ud800":"4"}},` +
	`"spec":{"x":{"a":{"b":[{"c":null},null,[]]},"":{}},"volumes":null,"containers":[{"name":"main","env":[{"name":"A"},{"name":"A","name":"B"}]},{}],"tolerations":[],"initContainers":[null,{"name":"i"}]}}`

var simpleSeeds = append(slices.Clone(seeds),
	`[{"op":"add","path":"/metadata/labels/app","value":"z"},{"op":"remove","path":"/metadata/labels/x"}]`,
	`[{"op":"replace","path":"/metadata/annotations/","value":"z"},{"op":"add","path":"/metadata/annotations/a~1b","value":"y"},{"op":"remove","path":"/metadata/annotations/<"}]`,
	`[{"op":"add","path":"/spec/x/a/b/1","value":{"d":1}},{"op":"replace","path":"/spec/x/a/b/0/c","value":[]},{"op":"remove","path":"/spec/x/a/b/2"}]`,
	`[{"op":"add","path":"/spec/x//y","value":{"k":1,"k":2}},{"op":"add","path":"/spec/x//y/k","value":3}]`,
	`[{"op":"add","path":"/spec/volumes/-","value":{"name":"x"}},{"op":"add","path":"/spec/tolerations/0","value":{"key":"\u003c\ud800"}}]`,
	`[{"op":"add","path":"/spec/containers/1/env/-","value":{"name":"A"}},{"op":"remove","path":"/spec/containers/0/env/1/name"},{"op":"remove","path":"/spec/containers/0"}]`,
	`[{"op":"replace","path":"/spec/nothing","value":1.0},{"op":"replace","path":"/spec/nothing","value":1e2},{"op":"remove","path":"/spec/nothing"}]`,
	`[{"op":"add","path":"/spec/containers/01/name","value":"x"}]`,
	`[{"op":"add","path":"/spec/containers/-","value":null},{"op":"remove","path":"/spec/containers/2"}]`,
)
