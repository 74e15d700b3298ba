package rules_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

func TestUnknownFields(t *testing.T) {
	patchtest.Warned(t, map[string]patchtest.Warning{
		"a field that no Pod has": {
			Pod:      patchtest.Bare,
			Ops:      `[{"op":"add","path":"/spec/contianers","value":[]}]`,
			Warnings: []string{`op 1 (add "/spec/contianers"): spec.contianers is unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers"?`},
		},
		"one within a value": {
			Pod:      patchtest.Bare,
			Ops:      `[{"op":"add","path":"/metadata/labels/x","value":"y"},{"op":"add","path":"/spec/volumes/-","value":{"name":"x","emptydir":{"medium":"Memory"}}}]`,
			Warnings: []string{`op 2 (add "/spec/volumes/-"): spec.volumes[0].emptydir is unknown to amp's Kubernetes 1.36 API: did you mean "emptyDir"?`},
		},
		"the path of a Deployment": {
			Pod:      patchtest.Bare,
			Ops:      `[{"op":"add","path":"/spec/template/spec/nodeSelector/a","value":"b"}]`,
			Warnings: []string{`op 1 (add "/spec/template/spec/nodeSelector/a"): spec.template is unknown to amp's Kubernetes 1.36 API: did you mean "/spec/nodeSelector/a"?`},
		},
		"the path within a review": {
			Pod:      patchtest.Bare,
			Ops:      `[{"op":"add","path":"/object/metadata/labels/a","value":"b"}]`,
			Warnings: []string{`op 1 (add "/object/metadata/labels/a"): object is unknown to amp's Kubernetes 1.36 API: did you mean "/metadata/labels/a"?`},
		},
		"a map whose name is misspelt": {
			Pod:      patchtest.Bare,
			Ops:      `[{"op":"add","path":"/metadata/annotation/example.com~1x","value":"b"}]`,
			Warnings: []string{`op 1 (add "/metadata/annotation/example.com~1x"): metadata.annotation is unknown to amp's Kubernetes 1.36 API: did you mean "/metadata/annotations/example.com~1x"?`},
		},
		"the first letter of the path in upper case": {
			Pod:      patchtest.Bare,
			Ops:      `[{"op":"add","path":"/Spec/hostname","value":"b"}]`,
			Warnings: []string{`op 1 (add "/Spec/hostname"): Spec is unknown to amp's Kubernetes 1.36 API: did you mean "/spec/hostname"?`},
		},
		"dots after a slash": {
			Pod:      patchtest.Bare,
			Ops:      `[{"op":"replace","path":"/spec.containers[0].image","value":"b"}]`,
			Warnings: []string{`op 1 (replace "/spec.containers[0].image"): "spec.containers[0].image" is unknown to amp's Kubernetes 1.36 API: did you mean "/spec/containers/0/image"?`},
		},
		"a field of a container within a value": {
			Pod: patchtest.Bare,
			Ops: `[{"op":"add","path":"/spec/containers/-","value":{"name":"x","image":"i","enviroment":[],"volume_mounts":[]}}]`,
			Warnings: []string{
				`op 1 (add "/spec/containers/-"): spec.containers[1].enviroment is unknown to amp's Kubernetes 1.36 API: did you mean "env"?`,
				`op 1 (add "/spec/containers/-"): spec.containers[1].volume_mounts is unknown to amp's Kubernetes 1.36 API: did you mean "volumeMounts"?`,
			},
		},
		"one with odd characters in its name": {
			Pod:      patchtest.Bare,
			Ops:      `[{"op":"add","path":"/spec/a\n","value":[]}]`,
			Warnings: []string{`op 1 (add "/spec/a\n"): spec."a\n" is unknown to amp's Kubernetes 1.36 API`},
		},
		"many of them": {
			Pod: patchtest.Bare,
			Ops: `[{"op":"add","path":"/spec/a","value":1},{"op":"add","path":"/spec/b","value":1},{"op":"add","path":"/spec/c","value":1},{"op":"add","path":"/spec/d","value":1},{"op":"add","path":"/spec/e","value":1}]`,
			Warnings: []string{
				`op 1 (add "/spec/a"): spec.a is unknown to amp's Kubernetes 1.36 API`,
				`op 2 (add "/spec/b"): spec.b is unknown to amp's Kubernetes 1.36 API`,
				`op 3 (add "/spec/c"): spec.c is unknown to amp's Kubernetes 1.36 API`,
				`2 more fields are unknown to amp's Kubernetes 1.36 API`,
			},
		},
		"but not one that the Pod had": {
			Pod: `{"apiVersion":"v1","kind":"Pod","spec":{"newer":1,"containers":[{"name":"a","newest":{"x":1}}]}}`,
			Ops: `[{"op":"replace","path":"/spec/newer","value":2},{"op":"add","path":"/spec/containers/-","value":{"name":"b","newest":1}}]`,
		},
	})
}

// TestAPIVersion compares the release that warnings name with the one that amp is built with.
func TestAPIVersion(t *testing.T) {
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	minor := regexp.MustCompile(`(?m)^\s*k8s\.io/api v0\.(\d+)\.`).FindSubmatch(mod)
	if minor == nil {
		t.Fatal("go.mod does not require k8s.io/api")
	}
	checked, err := patchtest.NewChecker(t).Check(t.Context(), "ns", json.RawMessage(patchtest.Bare), patchtest.Ops(t, `[{"op":"add","path":"/spec/x","value":1}]`))
	if err != nil || len(checked.Warnings) != 1 {
		t.Fatalf("warnings = %q, error = %v; want one warning", checked.Warnings, err)
	}
	if want := "Kubernetes 1." + string(minor[1]) + " API"; !strings.HasSuffix(checked.Warnings[0], want) {
		t.Errorf("warning %q does not end in %q, as go.mod has it", checked.Warnings[0], want)
	}
}
