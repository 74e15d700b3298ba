package describe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/txn2/amp/endpoints/events"
)

// maxKinds is how many kinds of things a gist names.
const maxKinds = 5

func changes(n int) string {
	if n == 1 {
		return "1 change"
	}
	return strconv.Itoa(n) + " changes"
}

// A group is the things of one kind that a patch changes: env WORKSPACE, +1.
type group struct {
	kind  string
	names []string
}

// brief says in a few words what the endpoints' operations change. It leaves out amp's own (step 0), which are the stamp and
// missing parents, and it does not name a thing twice: a volume and its mounts are one.
func (d *document) brief(patch []events.Op) string {
	var groups []*group
	all := 0
	for i := range patch {
		op := &patch[i]
		if op.Step > 0 {
			all++
			if len(groups) <= maxKinds {
				kind, names := d.things(op)
				groups = note(groups, kind, names)
			}
		}
		d.follow(op)
	}
	if all == 0 {
		return fmt.Sprintf("%s of amp's own", changes(len(patch)))
	}
	var named []string
	for i, g := range groups {
		if i == maxKinds {
			named = append(named, "and more")
			break
		}
		named = append(named, g.String())
	}
	if len(named) == 0 {
		return changes(all)
	}
	return changes(all) + ": " + strings.Join(named, ", ")
}

// String names the first thing, and says how many there are besides.
func (g *group) String() string {
	text := g.kind
	if len(g.names) > 0 {
		text += " " + g.names[0]
	}
	if more := len(g.names) - 1; more > 0 {
		text += fmt.Sprintf(", +%d", more)
	}
	return text
}

// note adds names to the group of their kind.
func note(groups []*group, kind string, names []string) []*group {
	if kind == "" {
		return groups
	}
	at := slices.IndexFunc(groups, func(g *group) bool { return g.kind == kind })
	if at < 0 {
		at = len(groups)
		groups = append(groups, &group{kind: kind})
	}
	for _, name := range names {
		if !slices.Contains(groups[at].names, name) {
			groups[at].names = append(groups[at].names, name)
		}
	}
	return groups
}

// things names what an operation changes. The kind is empty for a list or an object that is empty, because what comes into it
// has operations of its own, and for a test, which changes nothing.
func (d *document) things(op *events.Op) (kind string, names []string) {
	path := keysOf(op.Path)
	value, _ := decode(op.Value)
	if op.Op == "test" || op.Op == "add" && empty(value) {
		return "", nil
	}
	if op.Op == "remove" {
		value = d.value(path)
	}
	kind, names = d.thing(path, value)
	if op.Op == "remove" || op.Op == "move" {
		kind = op.Op + "s " + kind
	}
	return kind, names
}

func empty(value any) bool {
	switch v := value.(type) {
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// thing names the place at path, where value is or will be, in fewer words than noun.
func (d *document) thing(path []string, value any) (kind string, names []string) {
	if len(path) >= 2 && path[0] == "metadata" {
		for key, name := range map[string]string{"annotations": "annotation", "labels": "label"} {
			switch {
			case path[1] == key && len(path) == 2:
				return name, memberNames(value)
			case path[1] == key:
				return name, []string{path[2]}
			}
		}
	}
	if len(path) < 2 || path[0] != "spec" {
		return d.noun(path, value).what, nil
	}
	if list, ok := podLists[path[1]]; ok {
		return list[0], d.elements(path, 1, value, list[1])
	}
	kind, ok := containerLists[path[1]]
	switch {
	case !ok && len(path) > 2:
		return path[1], nil
	case !ok:
		return d.noun(path, value).what, nil
	case len(path) <= 3:
		return kind, d.elements(path, 1, value, "name")
	}
	if list, ok := inContainer[path[3]]; ok {
		kind := strings.TrimPrefix(list[0], "mount of ")
		if path[3] == "env" || path[3] == "envFrom" {
			kind = path[3]
		}
		return kind, d.elements(path, 3, value, list[1])
	}
	container := d.nameAt(path[:3], nil, "name")
	if n := d.noun(path, value); path[3] == "resources" && len(path) == 6 {
		return n.what, nil
	}
	return path[3] + " of", []string{container}
}

// elements names the elements of the list at path[at] that a value at path concerns.
func (d *document) elements(path []string, at int, value any, key string) []string {
	if len(path) == at+1 {
		return slices.DeleteFunc(names(value, key), func(name string) bool { return name == "" })
	}
	if len(path) > at+2 {
		value = nil // a part of the element
	}
	name := d.nameAt(path[:at+2], value, key)
	if name == "" {
		return nil
	}
	return []string{name}
}
