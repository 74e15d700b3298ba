package endpoints

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

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
