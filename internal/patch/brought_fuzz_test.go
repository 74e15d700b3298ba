package patch_test

import (
	"encoding/json"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"
)

// FuzzBrought compares the short way of the decode with the long one. The check decodes only what the ops brought, and not
// even that if it is plain: for a Pod that an API server may send, the whole Pod after the patch must decode if and only if
// the check says so, and have unknown fields if and only if the check found some.
func FuzzBrought(f *testing.F) {
	pods := fuzzPods(f)
	for _, seed := range slices.Concat(simpleSeeds, broughtSeeds) {
		for pod := range pods {
			f.Add(uint8(pod), seed, []byte{})
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, patch string, program []byte) {
		pod := pods[int(which)%len(pods)]
		if unknown, err := strictly(pod); err != nil || len(unknown) > 0 {
			return // then the whole Pod also tells what it had
		}
		change, ops := changeOf(t, pod, patch, program)
		if change == nil {
			return
		}
		verified, err := change.Verify(t.Context())
		if err != nil {
			return // it is judged by others
		}
		unknown, invalid := strictly(change.After.AppendJSON(nil))
		if (invalid == nil) != (verified.Invalid == nil) {
			t.Errorf("the whole Pod: %v; what came with the patch: %v\n%s", invalid, verified.Invalid, show(ops))
		}
		if invalid == nil && (len(unknown) == 0) != (len(verified.Unknown) == 0) {
			t.Errorf("the whole Pod has unknown %v; what came with the patch %v\n%s", unknown, verified.Unknown, show(ops))
		}
	})
}

// strictly decodes a whole Pod as the API server does.
func strictly(pod json.RawMessage) (unknown []error, err error) {
	return kjson.UnmarshalStrict(pod, &corev1.Pod{}, kjson.DisallowUnknownFields)
}

var broughtSeeds = []string{
	`[{"op":"add","path":"/spec/activeDeadlineSeconds","value":1.0}]`,
	`[{"op":"add","path":"/spec/activeDeadlineSeconds","value":1e2}]`,
	`[{"op":"add","path":"/spec/activeDeadlineSeconds","value":-0}]`,
	`[{"op":"add","path":"/spec/activeDeadlineSeconds","value":"1"}]`,
	`[{"op":"add","path":"/spec/priority","value":3000000000}]`,
	`[{"op":"add","path":"/spec/terminationGracePeriodSeconds","value":9223372036854775808}]`,
	`[{"op":"add","path":"/spec/hostNetwork","value":"true"}]`,
	`[{"op":"add","path":"/spec/containers/0/command","value":["a",1]}]`,
	`[{"op":"add","path":"/spec/containers/0/Command","value":["a"]}]`,
	`[{"op":"add","path":"/metadata/labels/x","value":1}]`,
	`[{"op":"add","path":"/metadata/labels/x/y","value":"1"}]`,
	`[{"op":"add","path":"/spec/tolerations","value":{}}]`,
	`[{"op":"add","path":"/spec/tolerations/-","value":{"key":"a","keys":"b"}}]`,
	`[{"op":"add","path":"/spec/nodeSelector","value":[]}]`,
	`[{"op":"add","path":"/spec/containers/0/resources","value":{"limits":{"cpu":"one"}}}]`,
	`[{"op":"add","path":"/spec/containers/0/ports","value":[{"containerPort":80}]},{"op":"add","path":"/spec/containers/0/ports/0/hostPort","value":"80"}]`,
	`[{"op":"move","from":"/spec/containers/0/env","path":"/spec/containers/0/ports"}]`,
	`[{"op":"replace","path":"/spec/containers/0/env/0/value","value":1},{"op":"move","from":"/spec/containers/0/env","path":"/spec/containers/0/x"}]`,
	`[{"op":"add","path":"/spec/containers/0/env/0/x","value":1},{"op":"move","from":"/spec/containers/0","path":"/spec/containers/1"}]`,
	`[{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"Q"}},{"op":"move","from":"/spec/containers/0/env","path":"/spec/containers/0/ports"}]`,
	`[{"op":"add","path":"/metadata/labels/x","value":"y"},{"op":"move","from":"/metadata/labels","path":"/spec/securityContext"}]`,
	`[{"op":"copy","from":"/metadata/labels","path":"/spec/nodeSelector"},{"op":"copy","from":"/metadata/labels","path":"/spec/volumes/0"}]`,
	`[{"op":"add","path":"/spec/containers/0/env/0/x","value":1},{"op":"remove","path":"/spec/containers/0/env/0/x"}]`,
	`[{"op":"add","path":"/spec/securityContext","value":{"sysctls":[{"name":"a","value":"b","value":"c"}]}},{"op":"add","path":"/spec/overhead/x~1y","value":{}}]`,
}
