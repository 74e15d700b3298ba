package endpoints

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// listKeys says, by a list's field name, which fields identify an element. They are Kubernetes' own merge
// and list-map keys. Where Kubernetes treats the list as one value, they are similar keys. A dot leads into
// a field of the element. A field name means the same list type everywhere in a Pod, so the table needs no
// paths. A test compares the table with corev1's struct tags.
//
// The libraries for JSON patches cannot be used here: they pair list elements by index. With them, a
// container that is inserted at the front rewrites every field of the containers after it, and the unknown
// fields end up in the wrong container.
var listKeys = map[string][]string{
	"claims":                    {"name", "request"},
	"conditions":                {"type"},
	"containers":                {"name"},
	"env":                       {"name"},
	"envFrom":                   {"configMapRef.name", "secretRef.name"},
	"ephemeralContainers":       {"name"},
	"hostAliases":               {"ip"},
	"hostIPs":                   {"ip"},
	"httpHeaders":               {"name"},
	"imagePullSecrets":          {"name"},
	"initContainers":            {"name"},
	"items":                     {"path"},
	"matchExpressions":          {"key", "operator"},
	"matchFields":               {"key", "operator"},
	"options":                   {"name"},
	"ownerReferences":           {"uid"},
	"podIPs":                    {"ip"},
	"ports":                     {"containerPort", "protocol"},
	"readinessGates":            {"conditionType"},
	"resizePolicy":              {"resourceName"},
	"resourceClaims":            {"name"},
	"resourceClaimStatuses":     {"name"},
	"allocatedResourcesStatus":  {"name"},
	"schedulingGates":           {"name"},
	"sources":                   {"secret.name", "configMap.name", "serviceAccountToken.path", "clusterTrustBundle.path", "podCertificate.credentialBundlePath", "podCertificate.keyPath"},
	"sysctls":                   {"name"},
	"tolerations":               {"key", "effect"},
	"topologySpreadConstraints": {"topologyKey", "whenUnsatisfiable"},
	"volumeDevices":             {"devicePath"},
	"volumeMounts":              {"mountPath"},
	"volumes":                   {"name"},
}

// differ collects the operations of a patch, in the order in which they apply.
type differ struct{ ops []PatchOperation }

func (d *differ) add(path []string, v any) {
	d.ops = append(d.ops, PatchOperation{Op: "add", Path: Path(path...), Value: v})
}

func (d *differ) remove(path []string) {
	d.ops = append(d.ops, PatchOperation{Op: "remove", Path: Path(path...)})
}

func (d *differ) replace(path []string, v any) {
	d.ops = append(d.ops, PatchOperation{Op: "replace", Path: Path(path...), Value: v})
}

// value turns before into after at a path where the Pod holds raw. It descends only as far as raw has the
// shape of before: below that the Pod holds nothing that must be kept.
func (d *differ) value(path []string, field string, raw, before, after any) {
	if reflect.DeepEqual(before, after) {
		return
	}
	switch after := after.(type) {
	case map[string]any:
		before, ok1 := before.(map[string]any)
		raw, ok2 := raw.(map[string]any)
		if ok1 && ok2 {
			d.object(path, raw, before, after)
			return
		}
	case []any:
		before, ok1 := before.([]any)
		raw, ok2 := raw.([]any)
		// A list of plain values (args, command) is replaced as a whole: it has no unknown fields, and one
		// operation is easier to read.
		if ok1 && ok2 && len(raw) == len(before) && allObjects(raw) && allObjects(before) && allObjects(after) {
			d.list(path, field, raw, before, after)
			return
		}
	}
	d.replace(path, after)
}

func (d *differ) object(path []string, raw, before, after map[string]any) {
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		at := append(slices.Clip(path), k)
		was, had := before[k]
		is, has := after[k]
		there, present := raw[k]
		switch {
		case had && has && reflect.DeepEqual(was, is):
		case has && !present:
			// Also if before has it: then decoding created it, like "resources": {}.
			d.add(at, is)
		case has:
			d.value(at, k, there, was, is) // was is nil if the Pod has a null or an empty value
		case present:
			d.remove(at)
		}
	}
}

// list turns one list of objects into another:
//
//  1. It removes the elements that are gone, from the end.
//  2. It adds new elements and moves others, each to the place behind its predecessor. An element that
//     changed places is moved, not removed and added again, so that it keeps its unknown fields.
//  3. It changes the elements that stayed, in their new places.
func (d *differ) list(path []string, field string, raw, before, after []any) {
	from := match(field, before, after)
	stays := longestIncreasing(from)

	// cur is the list as it is after each operation, as indices into before; ^j stands for after[j].
	kept := map[int]bool{}
	for _, i := range from {
		kept[i] = true
	}
	var cur []int
	for i := range before {
		cur = append(cur, i)
	}
	for i := len(before) - 1; i >= 0; i-- {
		if !kept[i] {
			d.remove(append(slices.Clip(path), strconv.Itoa(i)))
			cur = slices.Delete(cur, i, i+1)
		}
	}
	for j, i := range from {
		id := i
		if i < 0 {
			id = ^j
		} else if stays[i] {
			continue
		}
		old := slices.Index(cur, id)
		if old >= 0 {
			cur = slices.Delete(cur, old, old+1)
		}
		at := 0
		if j > 0 {
			previous := from[j-1]
			if previous < 0 {
				previous = ^(j - 1)
			}
			at = slices.Index(cur, previous) + 1
		}
		cur = slices.Insert(cur, at, id)
		here := append(slices.Clip(path), strconv.Itoa(at))
		switch {
		case old < 0:
			d.add(here, after[j])
		case old != at:
			d.ops = append(d.ops, PatchOperation{Op: "move", Path: Path(here...), From: Path(append(slices.Clip(path), strconv.Itoa(old))...)})
		}
	}
	for j, i := range from {
		if i >= 0 {
			d.value(append(slices.Clip(path), strconv.Itoa(j)), "", raw[i], before[i], after[j])
		}
	}
}

// match returns for each element of after the index of the same element in before, or -1 if there is none.
// Elements are the same if they are equal, or else if their keys are equal. If several match (Kubernetes
// allows a variable twice), the first one that is not taken is used. In a list without a key, the place
// decides whether an element was changed or replaced: if between two elements that stayed the same number of
// elements is gone and new, the new ones are the old ones, changed.
func match(field string, before, after []any) []int {
	from := make([]int, len(after))
	taken := make([]bool, len(before))
	pair := func(same func(b, a any) bool) {
		for j := range after {
			if from[j] >= 0 {
				continue
			}
			for i := range before {
				if !taken[i] && same(before[i], after[j]) {
					from[j], taken[i] = i, true
					break
				}
			}
		}
	}
	for j := range from {
		from[j] = -1
	}
	pair(func(b, a any) bool { return reflect.DeepEqual(b, a) })
	if keys, ok := listKeys[field]; ok {
		pair(func(b, a any) bool { return identity(keys, b) == identity(keys, a) })
		return from
	}
	for j := 0; j < len(after); {
		if from[j] >= 0 {
			j++
			continue
		}
		// after[j:end] is new. The gap in before starts after the element that is the same as after[j-1].
		end := j
		for end < len(after) && from[end] < 0 {
			end++
		}
		start := 0
		if j > 0 {
			start = from[j-1] + 1
		}
		gap := 0
		for start+gap < len(before) && !taken[start+gap] {
			gap++
		}
		if gap == end-j {
			for n := range gap {
				from[j+n], taken[start+n] = start+n, true
			}
		}
		j = end
		for j < len(after) && from[j] >= 0 {
			j++
		}
	}
	return from
}

// identity returns an element's keys as one text. A missing key counts too: a toleration without a key is
// not the same as one with a key.
func identity(keys []string, element any) string {
	var id string
	for _, key := range keys {
		v := element
		for name := range strings.SplitSeq(key, ".") {
			m, _ := v.(map[string]any)
			v = m[name]
		}
		id += fmt.Sprintf("%#v ", v)
	}
	return id
}

// longestIncreasing returns the largest set of from's indices that keep their order. These elements need
// not be moved. The function is quadratic; a Pod's lists are short enough.
func longestIncreasing(from []int) map[int]bool {
	length, previous := make([]int, len(from)), make([]int, len(from))
	best := -1
	for j, i := range from {
		previous[j] = -1
		if i < 0 {
			continue
		}
		length[j] = 1
		for k := range j {
			if from[k] >= 0 && from[k] < i && length[k] >= length[j] {
				length[j], previous[j] = length[k]+1, k
			}
		}
		if best < 0 || length[j] > length[best] {
			best = j
		}
	}
	stays := map[int]bool{}
	for ; best >= 0; best = previous[best] {
		stays[from[best]] = true
	}
	return stays
}

func allObjects(list []any) bool {
	for _, v := range list {
		if _, ok := v.(map[string]any); !ok {
			return false
		}
	}
	return true
}
