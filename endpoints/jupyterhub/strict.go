package jupyterhub

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Mistake is one thing that is wrong in a profiles file. It holds keys and no values, because a value may be
// a secret.
type Mistake struct {
	Line  int    // of the file, from 1; 0 if it is about the whole file
	Field string // as in users.alice.env[0].name; empty if it is about the whole file
	Text  string // what is wrong, and the remedy
}

func (m Mistake) String() string {
	s := m.Text
	if m.Field != "" {
		s = m.Field + ": " + s
	}
	if m.Line > 0 {
		s = fmt.Sprintf("line %d: %s", m.Line, s)
	}
	return s
}

// Mistakes are all that is wrong in a profiles file, in the order of its lines.
type Mistakes []Mistake

// Error returns the first mistake and the number of the others: an answer is one line.
func (m Mistakes) Error() string {
	if len(m) == 1 {
		return m[0].String()
	}
	return fmt.Sprintf("%s (and %d more mistakes: see endpoints jupyterhub check)", m[0], len(m)-1)
}

// checker compares a YAML tree with the Go type that it is decoded into. The decoders stop at the first
// mistake, or do not tell the line, or quote the value.
type checker struct {
	mistakes Mistakes
	lines    map[string]int    // of each field
	texts    map[string]string // of each field that is a text
}

func (c *checker) bad(line int, field, format string, args ...any) {
	c.mistakes = append(c.mistakes, Mistake{line, strings.TrimPrefix(field, "."), fmt.Sprintf(format, args...)})
}

const wantText = "want a text: put the value in quotes"

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func (c *checker) check(n *yaml.Node, t reflect.Type, field string) {
	n = target(n)
	c.lines[strings.TrimPrefix(field, ".")] = n.Line
	optional := t.Kind() == reflect.Pointer
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case foreign(n):
		c.tag(n, field)
	case n.Tag == "!!null" && !optional && t == reflect.TypeFor[resource.Quantity](): // it would become 0
		c.bad(n.Line, field, "is null: write a quantity, or leave the key out")
	case n.Tag == "!!null" && (n.Value == "" || t.Kind() != reflect.String): // absent, or empty
	case reflect.PointerTo(t).Implements(unmarshaler): // a quantity, a port or a time
		c.checkOwn(n, t, field)
	case t.Kind() == reflect.Struct:
		fields := map[string]reflect.Type{}
		fieldsOf(t, fields)
		c.checkMap(n, field, func(key string) (reflect.Type, bool) { f, ok := fields[key]; return f, ok }, fields)
	case t.Kind() == reflect.Map:
		c.checkMap(n, field, func(string) (reflect.Type, bool) { return t.Elem(), true }, nil)
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		if n.Kind != yaml.SequenceNode {
			c.bad(n.Line, field, "want a list: begin each entry with a dash")
			return
		}
		for i, e := range n.Content {
			c.check(e, t.Elem(), fmt.Sprintf("%s[%d]", field, i))
		}
	default:
		c.checkScalar(n, t, field)
	}
}

func (c *checker) checkMap(n *yaml.Node, field string, typeOf func(string) (reflect.Type, bool), known map[string]reflect.Type) {
	if n.Kind != yaml.MappingNode {
		c.bad(n.Line, field, "want keys and values, as in key: value")
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], n.Content[i+1]
		k := target(key)
		name := field + "." + k.Value
		switch {
		case k.Tag == "!!merge":
			c.bad(key.Line, field, "merge keys (<<) are not supported: write the keys out, or use a group")
			continue
		case k.Kind != yaml.ScalarNode:
			c.bad(key.Line, field, "a key must be a text, not a list and not keys")
			continue
		case foreign(k):
			c.tag(key, name)
			continue
		case !isText(k) && !isDecimal(k):
			c.bad(key.Line, name, "YAML reads this key as a number, true, false or null: put the key in quotes")
			continue
		}
		if line, twice := seen[k.Value]; twice {
			c.bad(key.Line, name, "is there twice, first in line %d: remove one", line)
			continue
		}
		seen[k.Value] = key.Line
		t, ok := typeOf(k.Value)
		if !ok {
			c.bad(key.Line, name, "unknown field: allowed are %s", strings.Join(sortedKeys(known), ", "))
			continue
		}
		c.check(v, t, name)
	}
}

func (c *checker) checkScalar(n *yaml.Node, t reflect.Type, field string) {
	if n.Kind != yaml.ScalarNode {
		c.bad(n.Line, field, "want one value, not a list and not keys")
		return
	}
	c.texts[strings.TrimPrefix(field, ".")] = n.Value
	switch k := t.Kind(); {
	case k == reflect.String && n.Tag == "!!null":
		c.bad(n.Line, field, "is null: leave the key out, or put the word in quotes if it is meant")
	case k == reflect.String && !isText(n):
		c.bad(n.Line, field, wantText)
	case k == reflect.Bool && n.Tag != "!!bool":
		c.bad(n.Line, field, "want true or false, without quotes")
	case k >= reflect.Int && k <= reflect.Int64:
		if _, err := strconv.ParseInt(n.Value, 0, t.Bits()); n.Tag != "!!int" || err != nil {
			c.bad(n.Line, field, "want a whole number of %d bits, without quotes", t.Bits())
		}
	}
}

// checkOwn lets a type that reads itself from JSON judge a value.
func (c *checker) checkOwn(n *yaml.Node, t reflect.Type, field string) {
	if n.Tag == "!!str" && !isText(n) {
		c.bad(n.Line, field, wantText)
		return
	}
	var v any = n.Value // also for a date, which the decoder leaves as it is
	var err error
	if n.Tag != "!!timestamp" {
		err = n.Decode(&v)
	}
	if err == nil {
		var b []byte
		if b, err = json.Marshal(v); err == nil {
			err = json.Unmarshal(b, reflect.New(t).Interface())
		}
	}
	if err != nil {
		c.bad(n.Line, field, "not a value that Kubernetes reads as %s: quantities are 500m, 2, 512Mi or 1Gi", t.Name())
	}
}

// tag notes that a node says itself of which type it is. The check and the decoder do not read each such tag in the
// same way.
func (c *checker) tag(n *yaml.Node, field string) {
	c.bad(n.Line, field, "tags, such as !!int, are not supported: leave it out")
}

func foreign(n *yaml.Node) bool { return n.Style&yaml.TaggedStyle != 0 && n.Tag != "!!str" }

// hidden notes each tag ! before a value without quotes. It makes a text of the value for the decoder, but yaml/v3 leaves it out
// of the node.
func (c *checker) hidden(n *yaml.Node, decoded any, field string) {
	n = target(n)
	switch v := decoded.(type) {
	case map[string]any:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := target(n.Content[i]).Value
			c.hidden(n.Content[i+1], v[key], field+"."+key)
		}
	case []any:
		for i, e := range n.Content {
			c.hidden(e, v[i], fmt.Sprintf("%s[%d]", field, i))
		}
	case string:
		if n.Style == 0 && !isText(n) {
			c.tag(n, field)
		}
	}
}

// target returns what an alias stands for, else the node itself.
func target(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// yaml11 are the booleans of YAML 1.1. The decoder (sigs.k8s.io/yaml) reads them as such, and yaml/v3 as texts.
var yaml11 = regexp.MustCompile(`^([yY]|yes|Yes|YES|[nN]|no|No|NO|on|On|ON|off|Off|OFF)$`)

// isText reports whether a scalar is a text for the decoder, too. A number, or a truth, is none: the decoder would write it
// anew, so that the user 0012345 would become 5349. It leaves dates as they are.
func isText(n *yaml.Node) bool {
	return n.Tag == "!!timestamp" || n.Tag == "!!str" && (n.Style != 0 || !yaml11.MatchString(n.Value))
}

// isDecimal reports whether a key is a whole number, written as the decoder would write it.
func isDecimal(n *yaml.Node) bool {
	i, err := strconv.ParseInt(n.Value, 10, 64)
	return n.Tag == "!!int" && err == nil && strconv.FormatInt(i, 10) == n.Value
}

// fieldsOf adds the fields of a struct by their names in JSON, also those of embedded structs.
func fieldsOf(t reflect.Type, fields map[string]reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name == "" && f.Anonymous:
			fieldsOf(f.Type, fields)
		default:
			fields[name] = f.Type
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
