package example

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/txn2/amp/endpoints"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
)

// answer posts a Pod to the function. It returns the patch and what the API server's library makes of it.
func answer(t *testing.T, pod string) (ops []endpoints.PatchOperation, patched string) {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(pod)))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &ops); err != nil {
		t.Fatal(err)
	}
	p, err := jsonpatch.DecodePatch(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Apply([]byte(pod))
	if err != nil {
		t.Fatalf("applying %s: %v", w.Body, err)
	}
	return ops, string(out)
}

func decode(t *testing.T, pod string) *corev1.Pod {
	t.Helper()
	p := new(corev1.Pod)
	if err := json.Unmarshal([]byte(pod), p); err != nil {
		t.Fatal(err)
	}
	return p
}

func asking(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var pod map[string]any
	if err := json.Unmarshal(b, &pod); err != nil {
		t.Fatal(err)
	}
	meta := pod["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	if annotations == nil {
		annotations = map[string]any{}
	}
	annotations[Annotation] = "mutate"
	meta["annotations"] = annotations
	b, _ = json.Marshal(pod)
	return string(b)
}

const annotated = `"annotations":{"amp.txn2.com/example":"mutate"}`

func TestHandlerMutatesAnyPodThatAsks(t *testing.T) {
	for name, pod := range map[string]string{
		"recorded, of JupyterHub":     asking(t, "jupyterhub-user.pod.json"),
		"recorded, with generateName": asking(t, "worker-generate-name.pod.json"),
		"with none of the lists":      `{"kind":"Pod","metadata":{` + annotated + `},"spec":{"containers":[{"name":"a"}]}}`,
		"with empty lists":            `{"kind":"Pod","metadata":{` + annotated + `,"labels":{}},"spec":{"initContainers":[],"volumes":null,"containers":[{"name":"a","env":[],"volumeMounts":null,"resources":{}}]}}`,
		"with all of the lists": `{"kind":"Pod","metadata":{"labels":{"a":"b"},"annotations":{"amp.txn2.com/example":"mutate","example.amp.txn2.com/remove-me":"x"}},"spec":{
			"initContainers":[{"name":"i","env":[{"name":"A"}]}],"volumes":[{"name":"v"}],
			"containers":[{"name":"a","env":[{"name":"A"}],"volumeMounts":[{"name":"v","mountPath":"/v"}]},{"name":"b"}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			before := decode(t, pod)
			_, patched := answer(t, pod)
			got := decode(t, patched)

			if got.Annotations[Annotation] != "mutated" || got.Annotations[AddedAnnotation] == "" || got.Labels[Label] != "true" {
				t.Errorf("annotations %v, labels %v", got.Annotations, got.Labels)
			}
			if _, ok := got.Annotations[RemovedAnnotation]; ok {
				t.Errorf("%s is still there", RemovedAnnotation)
			}
			if n := len(got.Spec.InitContainers) - len(before.Spec.InitContainers); n != 2 {
				t.Errorf("%d init containers added", n)
			}
			if n := len(got.Spec.Volumes) - len(before.Spec.Volumes); n != 1 {
				t.Errorf("%d volumes added", n)
			}
			for _, c := range append(got.Spec.InitContainers, got.Spec.Containers...) {
				if n := len(c.Env); n == 0 || c.Env[n-1].Name != EnvVar {
					t.Errorf("container %s lacks the variable", c.Name)
				}
				if n := len(c.VolumeMounts); n == 0 || c.VolumeMounts[n-1].MountPath != MountPath {
					t.Errorf("container %s lacks the mount", c.Name)
				}
				if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
					t.Errorf("container %s lacks resources", c.Name)
				}
			}

			if ops, _ := answer(t, patched); len(ops) > 0 {
				t.Errorf("on its own result it wants %v", ops)
			}
			// It changes nothing either if the annotation asks again.
			again, _ := answer(t, strings.Replace(patched, `"amp.txn2.com/example":"mutated"`, `"amp.txn2.com/example":"mutate"`, 1))
			want := []endpoints.PatchOperation{{Op: "replace", Path: "/metadata/annotations/amp.txn2.com~1example", Value: "mutated"}}
			if d := cmp.Diff(want, again); d != "" {
				t.Errorf("asked again (-want +got):\n%s", d)
			}
		})
	}
}

func TestHandlerLeavesAlone(t *testing.T) {
	for name, pod := range map[string]string{
		"a Pod that does not ask": `{"kind":"Pod","spec":{"containers":[{"name":"a"}]}}`,
		"a Pod that is done":      `{"kind":"Pod","metadata":{"annotations":{"amp.txn2.com/example":"mutated"}},"spec":{"containers":[{"name":"a"}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if ops, _ := answer(t, pod); len(ops) > 0 {
				t.Errorf("it wants %v", ops)
			}
		})
	}
	t.Run("the labels of a controller's Pod", func(t *testing.T) {
		ops, _ := answer(t, `{"kind":"Pod","metadata":{`+annotated+`,"labels":{"a":"b"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r","uid":"u","controller":true}]}}`)
		for _, o := range ops {
			if strings.HasPrefix(o.Path, "/metadata/labels") {
				t.Errorf("it wants %v", o)
			}
		}
		if len(ops) == 0 {
			t.Error("it wants nothing at all")
		}
	})
	t.Run("resources, variable and mount that a container has", func(t *testing.T) {
		_, patched := answer(t, `{"kind":"Pod","metadata":{`+annotated+`},"spec":{"containers":[{"name":"a",
			"env":[{"name":"AMP_EXAMPLE","value":"mine"}],"volumeMounts":[{"name":"mine","mountPath":"/amp-example"}],"resources":{"limits":{"cpu":"5m"}}}]}}`)
		c := decode(t, patched).Spec.Containers[0]
		if len(c.Env) != 1 || c.Env[0].Value != "mine" || len(c.VolumeMounts) != 1 || c.VolumeMounts[0].Name != "mine" || len(c.Resources.Requests) > 0 {
			t.Errorf("the container is now %+v", c)
		}
	})
}
