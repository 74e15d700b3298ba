package describe

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A noun names a place in a Pod, and what it belongs to.
type noun struct {
	what  string
	owner string // empty: the Pod
	plain bool   // it is set rather than added
	list  string // what its elements are called, if it is a list of them
}

func (n noun) of(preposition string) string {
	if n.owner == "" {
		return n.what
	}
	return n.what + " " + preposition + " " + n.owner
}

// containerLists are the Pod's lists of containers, podLists its other lists, inContainer the lists of a
// container: what an element is called, and the key that tells one from another.
var (
	containerLists = map[string]string{"containers": "container", "initContainers": "init container", "ephemeralContainers": "ephemeral container"}
	podLists       = map[string][2]string{
		"volumes": {"volume", "name"}, "tolerations": {"toleration", "key"}, "imagePullSecrets": {"image pull secret", "name"},
		"hostAliases": {"host alias", "ip"}, "schedulingGates": {"scheduling gate", "name"}, "readinessGates": {"readiness gate", "conditionType"},
		"topologySpreadConstraints": {"topology spread constraint", "topologyKey"}, "resourceClaims": {"resource claim", "name"},
	}
	inContainer = map[string][2]string{
		"env": {"environment variable", "name"}, "volumeMounts": {"mount of volume", "name"}, "ports": {"port", "containerPort"},
		"envFrom": {"environment from", ""}, "volumeDevices": {"device of volume", "name"}, "resizePolicy": {"resize policy for", "resourceName"},
	}
)

// noun names the place at path, where value is or will be.
func (d *document) noun(path []string, value any) noun {
	switch {
	case len(path) == 0:
		return noun{what: "the whole Pod"}
	case path[0] == "metadata" && len(path) >= 2:
		for key, name := range map[string]string{"annotations": "annotation", "labels": "label"} {
			if path[1] == key && len(path) == 3 {
				return noun{what: name + " " + path[2], plain: true}
			}
			if path[1] == key && len(path) == 2 {
				return noun{what: many(name, memberNames(value))}
			}
		}
	case path[0] == "spec" && len(path) >= 2:
		if name, ok := containerLists[path[1]]; ok {
			return d.inContainers(name, path, value)
		}
		if kind, ok := podLists[path[1]]; ok {
			switch len(path) {
			case 2:
				return noun{what: many(kind[0], names(value, kind[1])), list: plural(kind[0])}
			case 3:
				return noun{what: named(kind[0], d.nameAt(path, value, kind[1]))}
			}
			return noun{what: dotted(path[3:]), owner: named(kind[0], d.nameAt(path[:3], nil, kind[1])), plain: true}
		}
		if path[1] == "nodeSelector" && len(path) == 3 {
			return noun{what: "node selector " + path[2], plain: true}
		}
	}
	return noun{what: dotted(path), plain: true}
}

func (d *document) inContainers(kind string, path []string, value any) noun {
	if len(path) == 2 {
		return noun{what: many(kind, names(value, "name")), list: plural(kind)}
	}
	if len(path) == 3 {
		return noun{what: named(kind, d.nameAt(path, value, "name"))}
	}
	owner := named(kind, d.nameAt(path[:3], nil, "name"))
	field := path[3]
	if list, ok := inContainer[field]; ok {
		switch len(path) {
		case 4:
			return noun{what: many(list[0], names(value, list[1])), owner: owner, list: plural(list[0])}
		case 5:
			what := named(list[0], d.nameAt(path, value, list[1]))
			if m, ok := value.(map[string]any); ok && field == "volumeMounts" {
				if at, ok := m["mountPath"].(string); ok {
					what += " at " + at
				}
			}
			if field == "envFrom" {
				what = "environment from " + envFrom(value)
			}
			return noun{what: what, owner: owner}
		}
		return noun{what: dotted(path[5:]) + " of " + named(list[0], d.nameAt(path[:5], nil, list[1])), owner: owner, plain: true}
	}
	if field == "resources" && len(path) == 6 {
		for key, name := range map[string]string{"limits": "limit", "requests": "request"} {
			if path[4] == key {
				return noun{what: path[5] + " " + name, owner: owner, plain: true}
			}
		}
	}
	return noun{what: dotted(path[3:]), owner: owner, plain: true}
}

func envFrom(value any) string {
	m, _ := value.(map[string]any)
	for key, kind := range map[string]string{"configMapRef": "ConfigMap", "secretRef": "Secret"} {
		if ref, ok := m[key].(map[string]any); ok {
			if name, ok := ref["name"].(string); ok {
				return kind + " " + name
			}
		}
	}
	return "elsewhere"
}

// nameAt names the list element at path, by value if it is given, else by what is there; failing that, by
// its index, as the path has it.
func (d *document) nameAt(path []string, value any, key string) string {
	for _, v := range []any{value, d.value(path)} {
		if m, ok := v.(map[string]any); ok {
			switch name := m[key].(type) {
			case string:
				if name != "" {
					return name
				}
			case json.Number:
				return name.String()
			}
		}
	}
	if i, err := strconv.Atoi(path[len(path)-1]); err == nil {
		return "[" + strconv.Itoa(i) + "]"
	}
	return ""
}

func named(what, name string) string {
	if name == "" {
		return what
	}
	return what + " " + name
}

// names lists what the elements of a list are called.
func names(value any, key string) []string {
	list, ok := value.([]any)
	if !ok {
		return nil
	}
	all := []string{}
	for _, v := range list {
		name := ""
		if m, ok := v.(map[string]any); ok && m[key] != nil {
			name = fmt.Sprint(m[key])
		}
		all = append(all, name)
	}
	return all
}

func memberNames(value any) []string {
	m, ok := value.(map[string]any)
	if !ok {
		return nil
	}
	all := []string{}
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// many names several things: nil means that they are not known, an empty list that there are none yet.
func many(what string, names []string) string {
	switch {
	case names == nil:
		return "the " + plural(what)
	case len(names) == 0:
		return "an empty list of " + plural(what)
	case len(names) == 1:
		return named(what, names[0])
	case len(names) <= 4:
		return plural(what) + " " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
	}
	return fmt.Sprintf("%d %s", len(names), plural(what))
}

func plural(what string) string {
	switch {
	case strings.HasPrefix(what, "mount of volume"):
		return "mounts of volumes"
	case strings.HasPrefix(what, "device of volume"):
		return "devices of volumes"
	case strings.HasPrefix(what, "environment from"):
		return "environment sources"
	case strings.HasSuffix(what, "policy for"):
		return "resize policies for"
	case strings.HasSuffix(what, "alias"):
		return what + "es"
	}
	return what + "s"
}
