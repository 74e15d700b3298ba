package endpoints

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	kjson "sigs.k8s.io/json"

	"github.com/txn2/amp/endpoints/events"
)

// mutate runs a function through the endpoint that Mutate makes of it and returns the patch as answered.
func mutate(t testing.TB, pod string, change func(*corev1.Pod)) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	Mutate(func(_ context.Context, _ *Review, p *corev1.Pod) error { change(p); return nil })(
		w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(pod)))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// apply does what the API server does with a patch, except that it takes no missing parent for granted.
func apply(t testing.TB, pod string, patch []byte) string {
	t.Helper()
	p, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		t.Fatalf("decoding %s: %v", patch, err)
	}
	out, err := p.Apply([]byte(pod))
	if err != nil {
		t.Fatalf("applying %s to %s: %v", patch, pod, err)
	}
	return string(out)
}

func ops(t testing.TB, patch []byte) []string {
	t.Helper()
	var list []PatchOperation
	if err := json.Unmarshal(patch, &list); err != nil {
		t.Fatal(err)
	}
	words := []string{}
	for _, o := range list {
		w := o.Op + " " + o.Path
		if o.From != "" {
			w += " from " + o.From
		}
		words = append(words, w)
	}
	return words
}

const future = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"app":"x"},"futureMeta":1},"spec":{
	"futureSpec":{"a":[1]},
	"containers":[
		{"name":"a","image":"a:1","futureField":"of a","env":[{"name":"E","value":"1","futureField":"of a E"}]},
		{"name":"b","image":"b:1","futureField":"of b","resources":{"futureField":"of b"}}],
	"tolerations":[{"key":"k","operator":"Exists","futureField":"of k"},{"key":"l","effect":"NoExecute","futureField":"of l"}],
	"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[
		{"matchExpressions":[{"key":"z","operator":"In","values":["1"],"futureField":"of z"}],"futureField":"of term"}]}}},
	"volumes":[{"name":"v","futureSource":{"x":1}}]}}`

func TestMutatePatchesWhatChangedAndNothingElse(t *testing.T) {
	container := func(name string) corev1.Container { return corev1.Container{Name: name, Image: name + ":1"} }
	for name, tc := range map[string]struct {
		pod    string
		change func(*corev1.Pod)
		want   []string
	}{
		"nothing changed":                       {future, func(*corev1.Pod) {}, []string{}},
		"a map was emptied that was never full": {future, func(p *corev1.Pod) { p.Annotations = nil }, []string{}},
		"the first annotation adds the map":     {future, func(p *corev1.Pod) { p.Annotations["a/b"] = "" }, []string{"add /metadata/annotations"}},
		"a further label adds its key":          {future, func(p *corev1.Pod) { p.Labels["a/b~c"] = "1" }, []string{"add /metadata/labels/a~1b~0c"}},
		"a label removed, another replaced": {
			strings.Replace(future, `"app":"x"`, `"app":"x","b":"1"`, 1),
			func(p *corev1.Pod) { delete(p.Labels, "b"); p.Labels["app"] = "y" },
			[]string{"replace /metadata/labels/app", "remove /metadata/labels/b"}},
		"the last label takes the map with it": {future, func(p *corev1.Pod) { delete(p.Labels, "app") }, []string{"remove /metadata/labels"}},
		"a map that is null is replaced": {
			`{"kind":"Pod","metadata":{"labels":null},"spec":{"containers":null,"initContainers":[]}}`,
			func(p *corev1.Pod) {
				p.Labels["a"] = "1"
				p.Spec.Containers = []corev1.Container{container("c")}
				p.Spec.InitContainers = []corev1.Container{container("i")}
			},
			[]string{"replace /metadata/labels", "replace /spec/containers", "replace /spec/initContainers"}},
		"a Pod that is nothing but an object": {`{}`, func(p *corev1.Pod) { p.Spec.HostNetwork = true; p.Labels["a"] = "" },
			[]string{"add /metadata", "add /spec"}},
		"a container in front is one op": {future,
			func(p *corev1.Pod) {
				p.Spec.Containers = append([]corev1.Container{container("n")}, p.Spec.Containers...)
			},
			[]string{"add /spec/containers/0"}},
		"a container at the end is one op": {future,
			func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, container("n")) },
			[]string{"add /spec/containers/2"}},
		"a container removed is one op": {future,
			func(p *corev1.Pod) { p.Spec.Containers = p.Spec.Containers[1:] },
			[]string{"remove /spec/containers/0"}},
		"a container replaced by another keeps nothing of it": {future,
			func(p *corev1.Pod) { p.Spec.Containers[0] = container("n") },
			[]string{"remove /spec/containers/0", "add /spec/containers/0"}},
		"containers in another order are moved": {future,
			func(p *corev1.Pod) { slices.Reverse(p.Spec.Containers) },
			[]string{"move /spec/containers/1 from /spec/containers/0"}},
		"moved and changed": {future,
			func(p *corev1.Pod) { slices.Reverse(p.Spec.Containers); p.Spec.Containers[1].Image = "a:2" },
			[]string{"move /spec/containers/1 from /spec/containers/0", "replace /spec/containers/1/image"}},
		"resources where the Pod has none, and where it has some": {future,
			func(p *corev1.Pod) {
				for i := range p.Spec.Containers {
					p.Spec.Containers[i].Resources.Limits = corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")}
				}
			},
			[]string{"add /spec/containers/0/resources", "add /spec/containers/1/resources/limits"}},
		"a command is replaced in one piece": {
			`{"spec":{"containers":[{"name":"a","args":["1","2"]}]}}`,
			func(p *corev1.Pod) { p.Spec.Containers[0].Args = []string{"1", "3", "4"} },
			[]string{"replace /spec/containers/0/args"}},
		"a toleration changed in place": {future,
			func(p *corev1.Pod) { p.Spec.Tolerations[1].TolerationSeconds = new(int64) },
			[]string{"add /spec/tolerations/1/tolerationSeconds"}},
		"a list without a key, changed in place": {future,
			func(p *corev1.Pod) {
				p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchExpressions[0].Values = []string{"2"}
			},
			[]string{"replace /spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchExpressions/0/values"}},
		"the same variable twice, the first removed": {
			`{"spec":{"containers":[{"name":"a","env":[{"name":"E","value":"1"},{"name":"E","value":"2","futureField":1}]}]}}`,
			func(p *corev1.Pod) { p.Spec.Containers[0].Env = p.Spec.Containers[0].Env[1:] },
			[]string{"remove /spec/containers/0/env/0"}},
		"one port number for two protocols": {
			`{"spec":{"containers":[{"name":"a","ports":[{"containerPort":53,"protocol":"TCP"},{"containerPort":53,"protocol":"UDP","futureField":1}]}]}}`,
			func(p *corev1.Pod) {
				ports := p.Spec.Containers[0].Ports
				ports[1].Name = "dns"
				p.Spec.Containers[0].Ports = ports[1:]
			},
			[]string{"remove /spec/containers/0/ports/0", "add /spec/containers/0/ports/0/name"}},
		"a quantity in another spelling stays as it is": {
			`{"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":"1000m","memory":"1Gi"}}}]}}`,
			func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Limits["memory"] = resource.MustParse("2Gi") },
			[]string{"replace /spec/containers/0/resources/limits/memory"}},
		"an environment source changed while another comes in front": {
			`{"spec":{"containers":[{"name":"a","envFrom":[{"secretRef":{"name":"s"},"futureField":1}]}]}}`,
			func(p *corev1.Pod) {
				c := &p.Spec.Containers[0]
				c.EnvFrom[0].Prefix = "P_"
				c.EnvFrom = append([]corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}}}, c.EnvFrom...)
			},
			[]string{"add /spec/containers/0/envFrom/0", "add /spec/containers/0/envFrom/1/prefix"}},
	} {
		t.Run(name, func(t *testing.T) {
			patch := mutate(t, tc.pod, tc.change)
			if d := cmp.Diff(tc.want, ops(t, patch)); d != "" {
				t.Errorf("ops (-want +got):\n%s", d)
			}
			checkPatch(t, tc.pod, patch, tc.change)
		})
	}
}

// checkPatch holds a patch against what it must do: on the typed Pod what the change did, and nothing more.
func checkPatch(t testing.TB, pod string, patch []byte, change func(*corev1.Pod)) (patched string) {
	t.Helper()
	var want, got corev1.Pod
	if err := kjson.UnmarshalCaseSensitivePreserveInts([]byte(pod), &want); err != nil {
		t.Fatal(err)
	}
	if want.Labels == nil {
		want.Labels = map[string]string{}
	}
	if want.Annotations == nil {
		want.Annotations = map[string]string{}
	}
	change(&want)
	patched = apply(t, pod, patch)
	if err := kjson.UnmarshalCaseSensitivePreserveInts([]byte(patched), &got); err != nil {
		t.Fatal(err)
	}
	w, _ := json.MarshalIndent(want, "", " ")
	g, _ := json.MarshalIndent(got, "", " ")
	if d := cmp.Diff(string(w), string(g)); d != "" {
		t.Fatalf("patch %s makes another Pod (-want +got):\n%s", patch, d)
	}
	return patched
}

// TestMutateKeepsTheStamp is about copies of Pods that amp mutated, and a function that sets all annotations anew.
func TestMutateKeepsTheStamp(t *testing.T) {
	if stampAnnotation != events.Annotation {
		t.Errorf("the stamp is %s here and %s in package events", stampAnnotation, events.Annotation)
	}
	const pod = `{"metadata":{"annotations":{"amp.txn2.com/event":"u","a":"b"}},"spec":{"containers":[]}}`
	for name, test := range map[string]struct {
		annotations map[string]string
		want        []string
	}{
		"all anew":     {map[string]string{"c": "d"}, []string{"remove /metadata/annotations/a", "add /metadata/annotations/c"}},
		"none":         {nil, []string{"remove /metadata/annotations/a"}},
		"another one":  {map[string]string{"a": "b", "amp.txn2.com/event": "x"}, []string{}},
		"as they were": {map[string]string{"a": "b", "amp.txn2.com/event": "u"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := ops(t, mutate(t, pod, func(p *corev1.Pod) { p.Annotations = test.annotations }))
			slices.Sort(got)
			slices.Sort(test.want)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("ops (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnknownFieldsStayWithTheirElement(t *testing.T) {
	change := func(p *corev1.Pod) {
		p.Labels["new"] = "1"
		p.Spec.HostNetwork = true
		c := p.Spec.Containers
		c[0].Image = "a:2"
		c[0].Env = append([]corev1.EnvVar{{Name: "FIRST"}}, c[0].Env...)
		c[1].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("1")}
		p.Spec.Containers = []corev1.Container{{Name: "new", Image: "n"}, c[1], c[0]}
		slices.Reverse(p.Spec.Tolerations)
		p.Spec.Volumes = append([]corev1.Volume{{Name: "w"}}, p.Spec.Volumes...)
		term := &p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0]
		term.MatchExpressions[0].Values = []string{"2"}
	}
	got := sortKeys(t, checkPatch(t, future, mutate(t, future, change), change))
	for _, want := range []string{
		`"futureMeta":1`, `"futureSpec":{"a":[1]}`, `"futureSource":{"x":1},"name":"v"`,
		`"futureField":"of a","image":"a:2","name":"a"`, `"futureField":"of a E","name":"E"`,
		`"image":"b:1","name":"b"`, `"futureField":"of b"`, `"futureField":"of k","key":"k"`,
		`"futureField":"of l","key":"l"`, `"futureField":"of z"`, `"futureField":"of term"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the patched Pod has lost %s:\n%s", want, got)
		}
	}
}

func sortKeys(t testing.TB, doc string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(doc), &v); err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// A library's notion of a list's key may change with its version; ours must not fall behind.
func TestListKeysHoldEveryMergeKeyOfAPod(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(typ.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			if key := f.Tag.Get("patchMergeKey"); key != "" {
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				if !slices.Contains(listKeys[name], key) {
					t.Errorf("listKeys[%q] = %q lacks the merge key %q of %s.%s", name, listKeys[name], key, typ, f.Name)
				}
			}
			if f.IsExported() {
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[corev1.Pod]())
}

func pods(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.pod.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no recorded Pods", err)
	}
	out := map[string]string{"every kind of unknown field": future}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(f)] = string(b)
	}
	return out
}
