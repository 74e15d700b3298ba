package audit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/txn2/amp/endpoints/events"
)

// A Change is one operation of a patch.
type Change struct {
	events.Op
	// Words says it as a person would: adds environment variable X to container notebook.
	Words string `json:"words"`
	// Redacted: the event's level hides something of the value.
	Redacted bool `json:"redacted,omitempty"`
}

// maxDescribed bounds the operations that are put in words, maxGist the text of a list's line, maxCopied what
// copy operations may add to a Pod: an event from somebody else's hand must not double itself without end.
// The last is the API server's own limit, and amp's.
const (
	maxDescribed = 1000
	maxGist      = 160
	maxCopied    = 3 << 20
)

// describe puts the operations of an event in words. Each is about the Pod as those before it left it.
func describe(d *events.Data) []Change {
	changes := []Change{}
	pod := podTree(d)
	for _, op := range d.Patch[:min(len(d.Patch), maxDescribed)] {
		changes = append(changes, Change{Op: op, Words: pod.words(&op), Redacted: strings.Contains(string(op.Value), events.Redacted)})
		pod.apply(&op)
	}
	return changes
}

// gist says in one line what amp answered.
func gist(d *events.Data, ops int) string {
	var text string
	switch {
	case d.Outcome == outcomeOf[events.Rejected] || d.Outcome == outcomeOf[events.FailedOpen]:
		text = strings.TrimPrefix(d.Message, "amp: ")
		// The list has the endpoint beside it.
		for _, c := range d.Endpoints {
			text = strings.TrimPrefix(text, "endpoint "+c.URL+": ")
		}
	case d.Outcome == outcomeOf[events.Unchanged]:
		text = "no change"
	case d.Outcome == outcomeOf[events.Validated]:
		text = "let it pass"
	case len(d.Patch) == 0 && ops == 1:
		text = "1 operation"
	case len(d.Patch) == 0:
		text = strconv.Itoa(ops) + " operations"
	default:
		pod := podTree(d)
		var all []string
		for i := range d.Patch {
			op := &d.Patch[i]
			// amp's own are the stamp and missing parents: they tell little.
			if op.Step > 0 && len(all) < 3 {
				all = append(all, pod.words(op))
			}
			pod.apply(op)
			if len(all) == 3 {
				break
			}
		}
		own := 0
		for _, op := range d.Patch {
			if op.Step == 0 {
				own++
			}
		}
		text = strings.Join(all, "; ")
		if more := len(d.Patch) - own - len(all); more > 0 {
			text += fmt.Sprintf("; %d more", more)
		}
		if text == "" {
			text = fmt.Sprintf("%d operations of amp's own", own)
		}
	}
	if r := []rune(text); len(r) > maxGist {
		text = string(r[:maxGist-1]) + "…"
	}
	return text
}

// A tree is a Pod as far as it is known: below LevelFull only what the patch itself tells.
type tree struct {
	root   any
	copied int // bytes, by copy operations
}

func podTree(d *events.Data) *tree {
	t := &tree{root: map[string]any{}}
	if len(d.Object) > 0 && json.Unmarshal(d.Object, &t.root) != nil {
		t.root = map[string]any{}
	}
	return t
}

// segments splits a JSON pointer.
func segments(path string) []string {
	if path == "" {
		return nil
	}
	all := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i := range all {
		all[i] = unescape.Replace(all[i])
	}
	return all
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// at returns what is at a place, nil if nothing is or nobody knows.
func (t *tree) at(path []string) any {
	v := t.root
	for _, segment := range path {
		switch parent := v.(type) {
		case map[string]any:
			v = parent[segment]
		case []any:
			i, err := strconv.Atoi(segment)
			if err != nil || i < 0 || i >= len(parent) {
				return nil
			}
			v = parent[i]
		default:
			return nil
		}
	}
	return v
}

// apply follows an operation, as well as it can: it only serves to name things.
func (t *tree) apply(op *events.Op) {
	path := segments(op.Path)
	switch op.Op {
	case "add", "replace":
		var v any
		if json.Unmarshal(op.Value, &v) == nil {
			t.root = put(t.root, path, v, op.Op == "add")
		}
	case "remove":
		t.root = take(t.root, path)
	case "move":
		v := t.at(segments(op.From))
		t.root = put(take(t.root, segments(op.From)), path, v, true)
	case "copy":
		if t.copied > maxCopied {
			return // each may double the Pod
		}
		v := t.at(segments(op.From))
		b, err := json.Marshal(v)
		t.copied += len(b)
		// Two places must not share what later operations change.
		if err == nil && json.Unmarshal(b, &v) == nil {
			t.root = put(t.root, path, v, true)
		}
	}
}

func put(parent any, path []string, v any, insert bool) any {
	if len(path) == 0 {
		return v
	}
	switch p := parent.(type) {
	case map[string]any:
		if len(path) == 1 {
			p[path[0]] = v
		} else if child, ok := p[path[0]]; ok {
			p[path[0]] = put(child, path[1:], v, insert)
		}
		return p
	case []any:
		if path[0] == "-" && len(path) == 1 {
			return append(p, v)
		}
		i, err := strconv.Atoi(path[0])
		switch {
		case err != nil || i < 0 || i > len(p):
		case len(path) == 1 && insert:
			return slices.Insert(p, i, v)
		case i < len(p):
			p[i] = put(p[i], path[1:], v, insert)
		}
		return p
	}
	return parent
}

func take(parent any, path []string) any {
	if len(path) == 0 {
		return parent
	}
	switch p := parent.(type) {
	case map[string]any:
		if len(path) == 1 {
			delete(p, path[0])
		} else if child, ok := p[path[0]]; ok {
			p[path[0]] = take(child, path[1:])
		}
	case []any:
		i, err := strconv.Atoi(path[0])
		if err == nil && i >= 0 && i < len(p) {
			if len(path) == 1 {
				return slices.Delete(p, i, i+1)
			}
			p[i] = take(p[i], path[1:])
		}
	}
	return parent
}

// words says what an operation does to the Pod as it is before it.
func (t *tree) words(op *events.Op) string {
	path := segments(op.Path)
	var value any
	_ = json.Unmarshal(op.Value, &value) // nil, if there is none
	is := t.noun(path, value)
	was := t.at(path)
	switch op.Op {
	case "add":
		if m, ok := t.at(path[:max(len(path)-1, 0)]).(map[string]any); ok && len(path) > 0 {
			if _, there := m[path[len(path)-1]]; there {
				return t.changes(is, was, value)
			}
		}
		if is.plain {
			return "sets " + is.of("on") + to(value)
		}
		return "adds " + is.of("to")
	case "replace":
		return t.changes(is, was, value)
	case "remove":
		return "removes " + t.noun(path, was).of("from")
	case "move":
		return "moves " + t.noun(segments(op.From), t.at(segments(op.From))).of("of") + " to " + dotted(path)
	case "copy":
		return "copies " + t.noun(segments(op.From), t.at(segments(op.From))).of("of") + " to " + dotted(path)
	case "test":
		return "requires that " + is.of("of") + " is" + strings.TrimPrefix(to(value), " to")
	}
	return op.Op + " " + dotted(path)
}

func (t *tree) changes(is noun, was, value any) string {
	if _, list := value.([]any); list && is.list != "" && was != nil {
		return "replaces the " + noun{what: is.list, owner: is.owner}.of("of") + " with " + is.what
	}
	text := "changes " + is.of("of")
	if old, fresh := scalar(was), scalar(value); old != "" && fresh != "" {
		return text + " from " + old + " to " + fresh
	}
	return text + to(value)
}

// to is the end of a sentence that says what something is set to, empty where that would be long.
func to(value any) string {
	if s := scalar(value); s != "" {
		return " to " + s
	}
	return ""
}

// scalar spells a short value.
func scalar(value any) string {
	switch v := value.(type) {
	case string:
		if v == events.Redacted {
			return ""
		}
		if len([]rune(v)) <= 60 {
			return strconv.Quote(v)
		}
	case float64, bool:
		return fmt.Sprint(v)
	case []any:
		if len(v) == 0 {
			return "an empty list"
		}
	case map[string]any:
		if len(v) == 0 {
			return "nothing"
		}
	}
	return ""
}

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

// containerLists are the Pod's lists of containers, volumeLike of its other lists: what an element is
// called, and the key that tells one from another.
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
func (t *tree) noun(path []string, value any) noun {
	switch {
	case len(path) == 0:
		return noun{what: "the whole Pod"}
	case path[0] == "metadata" && len(path) >= 2:
		for key, name := range map[string]string{"annotations": "annotation", "labels": "label"} {
			if path[1] == key && len(path) == 3 {
				return noun{what: name + " " + path[2], plain: true}
			}
			if path[1] == key && len(path) == 2 {
				return noun{what: many(name, keysOf(value))}
			}
		}
	case path[0] == "spec" && len(path) >= 2:
		if name, ok := containerLists[path[1]]; ok {
			return t.inContainers(name, path, value)
		}
		if kind, ok := podLists[path[1]]; ok {
			switch len(path) {
			case 2:
				return noun{what: many(kind[0], names(value, kind[1])), list: plural(kind[0])}
			case 3:
				return noun{what: join(kind[0], t.nameAt(path, value, kind[1]))}
			}
			return noun{what: dotted(path[3:]), owner: join(kind[0], t.nameAt(path[:3], nil, kind[1])), plain: true}
		}
		if path[1] == "nodeSelector" && len(path) == 3 {
			return noun{what: "node selector " + path[2], plain: true}
		}
	}
	return noun{what: dotted(path), plain: true}
}

func (t *tree) inContainers(kind string, path []string, value any) noun {
	if len(path) == 2 {
		return noun{what: many(kind, names(value, "name")), list: plural(kind)}
	}
	if len(path) == 3 {
		return noun{what: join(kind, t.nameAt(path, value, "name"))}
	}
	owner := join(kind, t.nameAt(path[:3], nil, "name"))
	field := path[3]
	if list, ok := inContainer[field]; ok {
		switch len(path) {
		case 4:
			return noun{what: many(list[0], names(value, list[1])), owner: owner, list: plural(list[0])}
		case 5:
			what := join(list[0], t.nameAt(path, value, list[1]))
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
		return noun{what: dotted(path[5:]) + " of " + join(list[0], t.nameAt(path[:5], nil, list[1])), owner: owner, plain: true}
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
// its place.
func (t *tree) nameAt(path []string, value any, key string) string {
	for _, v := range []any{value, t.at(path)} {
		if m, ok := v.(map[string]any); ok {
			switch name := m[key].(type) {
			case string:
				if name != "" {
					return name
				}
			case float64:
				return fmt.Sprint(name)
			}
		}
	}
	if i, err := strconv.Atoi(path[len(path)-1]); err == nil {
		return "number " + strconv.Itoa(i+1)
	}
	return ""
}

func join(what, name string) string {
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

func keysOf(value any) []string {
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
		return join(what, names[0])
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

// dotted spells a path as people write one: spec.affinity.nodeAffinity.
func dotted(path []string) string {
	var b strings.Builder
	for _, segment := range path {
		_, err := strconv.Atoi(segment)
		switch {
		case err == nil:
			b.WriteString("[" + segment + "]")
		case segment == "-":
			b.WriteString("[end]")
		case strings.ContainsAny(segment, "./ \t\n"):
			b.WriteString("[" + strconv.Quote(segment) + "]")
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(segment)
		}
	}
	return b.String()
}
