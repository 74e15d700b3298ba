package apply

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/txn2/amp/internal/patch/jsontree"
	"github.com/txn2/amp/internal/patch/listnames"
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
				drop.Entries = append(drop.Entries, Entry{Name: key})
			}
		})
	case jsontree.List:
		field := place[len(place)-1]
		if listnames.Places(field) == nil {
			return
		}
		kept := map[Entry]bool{}
		for _, element := range value.List() {
			kept[entry(field, element)] = true
		}
		for _, element := range old.List() {
			if e := entry(field, element); element.Op() == 0 && e.Name != "" && !kept[e] {
				kept[e] = true
				drop.Entries = append(drop.Entries, e)
			}
		}
	}
	switch {
	case len(drop.Entries) == 0:
	case len(a.change.Dropped) == maxDropped:
		a.change.MoreDropped++
	default:
		a.change.Dropped = append(a.change.Dropped, drop)
	}
}

// EntriesAt returns what an object or list at a place of the Pod has.
func EntriesAt(pod *jsontree.Node, place jsontree.Pointer) map[Entry]bool {
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
	entries := map[Entry]bool{}
	at.Each(func(key string, _ *jsontree.Node) { entries[Entry{Name: key}] = true })
	if field := place[len(place)-1]; listnames.Places(field) != nil {
		for _, element := range at.List() {
			entries[entry(field, element)] = true
		}
	}
	return entries
}

// entry is an element of the list that field holds. Its Name is "" if it has none.
func entry(field string, element *jsontree.Node) Entry {
	name, at := listnames.Of(field, element)
	e := Entry{Name: name}
	if len(listnames.Places(field)) > 1 {
		e.of = strings.Join(at, "/")
	}
	switch field { // whose keys are of two parts
	case "ports":
		e.of = cmp.Or(element.Get("protocol").Text(), "TCP") // the API server's default
	case "topologySpreadConstraints":
		e.of = element.Get("whenUnsatisfiable").Text()
	}
	return e
}

// Names are those of the entries, each once.
func Names(entries []Entry) (names []string) {
	seen := make(map[string]bool, len(entries)) // a Pod may have tens of thousands
	for _, e := range entries {
		if !seen[e.Name] {
			seen[e.Name] = true
			names = append(names, e.Name)
		}
	}
	return names
}

// isPodContainer reports whether p is the place of a container. A replace of any other element of a list is meant to drop
// what is there: a volume's source for another one.
func isPodContainer(p jsontree.Pointer) bool {
	return len(p) == 3 && p[0] == "spec" && (p[1] == "containers" || p[1] == "initContainers")
}
