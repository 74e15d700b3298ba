package endpoints

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	kjson "sigs.k8s.io/json"
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

// FuzzDiff edits marked Pods at random. Whatever the edits: the patch applies as it is, makes the Pod they
// made, and every element that is still there has its mark, no other's.
func FuzzDiff(f *testing.F) {
	f.Add([]byte{})
	for seed := range uint64(200) { // so that the ordinary run holds the property on some edits too
		r := rand.New(rand.NewPCG(seed, 0))
		edits := make([]byte, 4+r.IntN(40))
		for i := range edits {
			edits[i] = byte(r.Uint32())
		}
		f.Add(edits)
	}
	recorded := pods(f)
	names := make([]string, 0, len(recorded))
	for n := range recorded {
		names = append(names, n)
	}
	sort.Strings(names)
	f.Fuzz(func(t *testing.T, edits []byte) {
		base := 0
		if len(edits) > 0 {
			base = int(edits[0]) % len(names)
			edits = edits[1:]
		}
		pod := mark(t, recorded[names[base]])
		change := func(p *corev1.Pod) { edit(p, edits) }
		patched := checkPatch(t, pod, mutate(t, pod, change), change)

		before, after := marks(t, pod), marks(t, patched)
		for place, marked := range after {
			if marked != "" && marked != place {
				t.Errorf("the mark of %s is now on %s", marked, place)
			}
			if _, was := before[place]; was && marked == "" {
				t.Errorf("%s has lost its mark", place)
			}
		}
	})
}

// edit is a small machine whose program is the fuzzer's: two bytes an instruction.
func edit(p *corev1.Pod, program []byte) {
	names := []string{"a", "b", "c", "notebook", "main", "E", "F"}
	for len(program) >= 2 {
		op, x := program[0], int(program[1])
		program = program[2:]
		name := names[x%len(names)]
		list := &p.Spec.Containers
		if x&128 != 0 {
			list = &p.Spec.InitContainers
		}
		var c *corev1.Container
		if len(*list) > 0 {
			c = &(*list)[x%len(*list)]
		}
		fresh := func(name string) bool {
			return !slices.ContainsFunc(append(slices.Clone(p.Spec.Containers), p.Spec.InitContainers...), func(c corev1.Container) bool { return c.Name == name })
		}
		switch op % 16 {
		case 0:
			if fresh(name) {
				at := x % (len(*list) + 1)
				*list = slices.Insert(*list, at, corev1.Container{Name: name, Image: "new"})
			}
		case 1:
			if c != nil {
				*list = slices.Delete(*list, x%len(*list), x%len(*list)+1)
			}
		case 2:
			slices.Reverse(*list)
		case 3:
			if len(*list) > 1 { // rotate
				*list = append((*list)[1:], (*list)[0])
			}
		case 4:
			if c != nil {
				c.Image = fmt.Sprint("image:", x)
			}
		case 5:
			if c != nil && !slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name }) {
				c.Env = slices.Insert(c.Env, x%(len(c.Env)+1), corev1.EnvVar{Name: name, Value: "v"})
			}
		case 6:
			if c != nil && len(c.Env) > 0 {
				c.Env = slices.Delete(c.Env, x%len(c.Env), x%len(c.Env)+1)
			}
		case 7:
			if c != nil {
				sort.Slice(c.Env, func(i, j int) bool { return (c.Env[i].Name < c.Env[j].Name) != (x&1 == 0) })
			}
		case 8:
			if c != nil && len(c.Env) > 0 {
				c.Env[x%len(c.Env)].Value = fmt.Sprint(x)
			}
		case 9:
			p.Annotations[name+"/~"] = fmt.Sprint(x)
		case 10:
			delete(p.Annotations, name+"/~")
			delete(p.Labels, "app")
		case 11:
			if c != nil {
				c.Resources.Requests = corev1.ResourceList{corev1.ResourceName(name): *resource.NewQuantity(int64(x), resource.DecimalSI)}
			}
		case 12:
			if c != nil {
				c.SecurityContext = &corev1.SecurityContext{RunAsUser: new(int64)}
			}
		case 13:
			slices.Reverse(p.Spec.Tolerations)
			for i := range p.Spec.Tolerations {
				if i == x%4 {
					p.Spec.Tolerations[i].TolerationSeconds = new(int64)
				}
			}
		case 14:
			if !slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name }) {
				p.Spec.Volumes = slices.Insert(p.Spec.Volumes, x%(len(p.Spec.Volumes)+1), corev1.Volume{Name: name})
			}
		case 15:
			if c != nil {
				path := "/" + name
				if i := slices.IndexFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == path }); i < 0 {
					c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "v", MountPath: path})
				} else {
					c.VolumeMounts = slices.Delete(c.VolumeMounts, i, i+1)
				}
			}
		}
	}
}

// place names the elements of marked lists by what identifies them, written down apart from listKeys.
func place(list string, e map[string]any) string {
	switch list {
	case "tolerations":
		return fmt.Sprintf("%v:%v", e["key"], e["effect"])
	case "ports":
		return fmt.Sprintf("%v/%v", e["containerPort"], e["protocol"])
	case "volumeMounts":
		return fmt.Sprint(e["mountPath"])
	}
	return fmt.Sprint(e["name"])
}

// walkMarked visits the list elements of a Pod's spec.
func walkMarked(v any, path string, visit func(path string, e map[string]any)) {
	m, _ := v.(map[string]any)
	for k, v := range m {
		switch v := v.(type) {
		case map[string]any:
			walkMarked(v, path+"/"+k, visit)
		case []any:
			for _, e := range v {
				if e, ok := e.(map[string]any); ok && k != "managedFields" && k != "nodeSelectorTerms" {
					at := path + "/" + k + "[" + place(k, e) + "]"
					visit(at, e)
					walkMarked(e, at, visit)
				}
			}
		}
	}
}

func mark(t testing.TB, pod string) string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(pod), &v); err != nil {
		t.Fatal(err)
	}
	walkMarked(v, "", func(path string, e map[string]any) { e["xMark"] = path })
	b, _ := json.Marshal(v)
	return string(b)
}

func marks(t testing.TB, pod string) map[string]string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(pod), &v); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	walkMarked(v, "", func(path string, e map[string]any) { out[path], _ = e["xMark"].(string) })
	return out
}
