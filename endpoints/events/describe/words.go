package describe

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/endpoints/jsonpointer"
)

// maxQuoted is how many characters a text has that is quoted.
const maxQuoted = 60

// keysOf splits a JSON pointer. One that is not valid is a single key.
func keysOf(pointer string) []string {
	keys, err := jsonpointer.Parse(pointer)
	if err != nil {
		return []string{pointer}
	}
	return keys
}

// value returns what is at a place, nil if nothing is, or nothing is known of it.
func (d *document) value(keys []string) any {
	v, _ := d.at(keys)
	return v
}

// words says what an operation does to the Pod, as the Pod is before it.
func (d *document) words(op *events.Op) string {
	path, from := keysOf(op.Path), keysOf(op.From)
	value, _ := decode(op.Value) // nil, if there is none
	is, was := d.noun(path, value), d.value(path)
	switch op.Op {
	case "add":
		if d.has(path) {
			return change(is, was, value)
		}
		if is.plain {
			return "sets " + is.of("on") + to(value)
		}
		return "adds " + is.of("to")
	case "replace":
		return change(is, was, value)
	case "remove":
		return "removes " + d.noun(path, was).of("from")
	case "move":
		return "moves " + d.noun(from, d.value(from)).of("of") + " to " + dotted(path)
	case "copy":
		return "copies " + d.noun(from, d.value(from)).of("of") + " to " + dotted(path)
	case "test":
		return "requires that " + is.of("of") + " is" + strings.TrimPrefix(to(value), " to")
	}
	return op.Op + " " + dotted(path)
}

// has reports whether the place is a member of an object that has it.
func (d *document) has(path []string) bool {
	if len(path) == 0 {
		return false
	}
	holder, _ := d.value(path[:len(path)-1]).(map[string]any)
	_, ok := holder[path[len(path)-1]]
	return ok
}

func change(is noun, was, value any) string {
	if _, list := value.([]any); list && is.list != "" && was != nil {
		return "replaces the " + noun{what: is.list, owner: is.owner}.of("of") + " with " + is.what
	}
	text := "changes " + is.of("of")
	if old, fresh := short(was), short(value); old != "" && fresh != "" {
		return text + " from " + old + " to " + fresh
	}
	return text + to(value)
}

// to is the end of a sentence that says what something is set to, empty where that would be long.
func to(value any) string {
	if s := short(value); s != "" {
		return " to " + s
	}
	return ""
}

// short spells a short value, and is empty for others and for what the event does not show.
func short(value any) string {
	switch v := value.(type) {
	case string:
		if v != events.Redacted && len([]rune(v)) <= maxQuoted {
			return strconv.Quote(v)
		}
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
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
