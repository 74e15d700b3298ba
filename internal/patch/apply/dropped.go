package apply

import (
	"strconv"

	"github.com/txn2/amp/internal/patch/jsontree"
)

// maxDropped is how many drops of one patch amp notes. It counts the others.
const maxDropped = 32

// noteDropped notes what the Pod had in old and does not have in value, which comes in its place: keys if both are objects,
// named elements if both are lists. What an earlier op brought is not the Pod's.
func (a *applier) noteDropped(place jsontree.Pointer, old, value *jsontree.Node) {
	if old.Op() != 0 || old.Kind() != value.Kind() {
		return
	}
	drop := Drop{Op: a.number, Place: place, List: old.Kind() == jsontree.List}
	switch old.Kind() {
	case jsontree.Object:
		old.Each(func(key string, child *jsontree.Node) {
			if child.Op() == 0 && value.Get(key) == nil {
				drop.Names = append(drop.Names, key)
			}
		})
	case jsontree.List:
		name := elementNames[place[len(place)-1]]
		if name == nil {
			return
		}
		kept := map[string]bool{}
		for _, element := range value.List() {
			kept[name(element)] = true
		}
		for _, element := range old.List() {
			if n := name(element); element.Op() == 0 && n != "" && !kept[n] {
				kept[n] = true
				drop.Names = append(drop.Names, n)
			}
		}
	}
	switch {
	case len(drop.Names) == 0:
	case len(a.change.Dropped) == maxDropped:
		a.change.MoreDropped++
	default:
		a.change.Dropped = append(a.change.Dropped, drop)
	}
}

// EntriesAt returns what an object or list at a place of the Pod has: keys, or the names of elements.
func EntriesAt(pod *jsontree.Node, place jsontree.Pointer) map[string]bool {
	at := pod
	for _, segment := range place {
		if at.Kind() == jsontree.List {
			i, err := strconv.Atoi(segment)
			if err != nil || i < 0 || i >= len(at.List()) {
				return nil
			}
			at = at.List()[i]
			continue
		}
		at = at.Get(segment)
	}
	names := map[string]bool{}
	at.Each(func(key string, _ *jsontree.Node) { names[key] = true })
	if name := elementNames[place[len(place)-1]]; name != nil {
		for _, element := range at.List() {
			names[name(element)] = true
		}
	}
	return names
}

// isPodContainer reports whether p is the place of a container. A replace of any other element of a list is meant to drop
// what is there: a volume's source for another one.
func isPodContainer(p jsontree.Pointer) bool {
	return len(p) == 3 && p[0] == "spec" && (p[1] == "containers" || p[1] == "initContainers")
}

// elementNames tell for each list of a Pod, by the field that holds it, what its elements are called; "" if an element has no
// name. They are the keys of the lists in the Kubernetes API (listMapKey, patchMergeKey), and what names an element of the
// other lists.
var elementNames = map[string]func(*jsontree.Node) string{
	"containers":                named("name"),
	"initContainers":            named("name"),
	"volumes":                   named("name"),
	"imagePullSecrets":          named("name"),
	"schedulingGates":           named("name"),
	"resourceClaims":            named("name"),
	"claims":                    named("name"),
	"env":                       named("name"),
	"sysctls":                   named("name"),
	"httpHeaders":               named("name"),
	"options":                   named("name"),
	"volumeMounts":              named("mountPath"),
	"volumeDevices":             named("devicePath"),
	"ports":                     named("containerPort"),
	"tolerations":               named("key"),
	"matchExpressions":          named("key"),
	"matchFields":               named("key"),
	"topologySpreadConstraints": named("topologyKey"),
	"readinessGates":            named("conditionType"),
	"resizePolicy":              named("resourceName"),
	"hostAliases":               named("ip"),
	"envFrom": func(element *jsontree.Node) string {
		return element.Get("secretRef", "name").Text() + element.Get("configMapRef", "name").Text()
	},
}

// named returns the function that names an element by one of its fields, a string or a number.
func named(field string) func(*jsontree.Node) string {
	return func(element *jsontree.Node) string {
		value := element.Get(field)
		if value.Kind() == jsontree.Number {
			return string(value.AppendJSON(nil))
		}
		return value.Text()
	}
}
