package patch

import (
	"encoding/json"
	"maps"
	"reflect"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// apiVersion is the Kubernetes release of k8s.io/api that amp is built with: what it knows of a Pod.
const apiVersion = "1.36"

// A schema is what a Go type says of the JSON it decodes, pointers left out.
type schema struct {
	// The type is not embedded: a method by name, reachable through an interface, keeps the linker from
	// dropping any method in the binary, 2 MB of them.
	typ    reflect.Type
	own    bool               // it reads its JSON itself, as quantities and times do
	fields map[string]*schema // of a struct, by their names in JSON
	elem   *schema            // of a map or a list
}

// podSchema is a Pod's. It is made when first asked for: a start has no time for it.
var podSchema = sync.OnceValue(func() *schema {
	return newSchema(reflect.TypeFor[corev1.Pod](), map[reflect.Type]*schema{})
})

// newSchema is t's; known holds those made before.
func newSchema(t reflect.Type, known map[reflect.Type]*schema) *schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s, ok := known[t]; ok {
		return s
	}
	s := &schema{typ: t, own: reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())}
	known[t] = s
	if s.own {
		return s
	}
	switch t.Kind() {
	case reflect.Map, reflect.Slice:
		s.elem = newSchema(t.Elem(), known)
	case reflect.Struct:
		s.fields = map[string]*schema{}
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case name == "" && f.Anonymous: // inlined
				maps.Copy(s.fields, newSchema(f.Type, known).fields)
			case name != "" && name != "-" && f.IsExported():
				s.fields[name] = newSchema(f.Type, known)
			}
		}
	}
	return s
}

// within is the schema of what the segment names, nil where none is known.
func (s *schema) within(segment string) *schema {
	switch {
	case s == nil:
		return nil
	case s.elem != nil:
		return s.elem
	}
	return s.fields[segment]
}

// isList reports whether what is missing at p, to hold next, is a list: by the field's type or, where no
// field of a Pod is known there, by whether next looks like an index.
func isList(p pointer, next string) bool {
	s := podSchema()
	for _, segment := range p {
		s = s.within(segment)
	}
	if s != nil && (s.elem != nil || s.fields != nil) {
		return s.typ.Kind() == reflect.Slice
	}
	_, err := strconv.Atoi(next)
	return next == "-" || err == nil
}

// A misfit is a place in a Pod that does not go with the Pod's type.
type misfit struct {
	field   string // spec.containers[0].env
	op      int    // the number of the op that put it there, 0 for none
	problem string // "" where the type has no such field
}

// misfits calls report for every place in n, put there by an op, that does not go with s.
func misfits(n *node, s *schema, field string, op int, report func(misfit)) {
	if n.op != 0 {
		op = n.op
	}
	if n.null() || n.base != nil && !n.owned && op == 0 {
		return
	}
	wrong := func(want string) { report(misfit{field, op, "must be " + want + ", not " + kindName(n.kind)}) }
	if s.own {
		if json.Unmarshal(n.appendJSON(nil), reflect.New(s.typ).Interface()) != nil {
			report(misfit{field, op, "is no valid " + s.typ.Name()})
		}
		return
	}
	switch s.typ.Kind() {
	case reflect.Struct, reflect.Map:
		if n.kind != '{' {
			wrong("an object")
			return
		}
		n.each(func(key string, child *node) {
			if s.elem != nil {
				misfits(child, s.elem, field+"["+shown(key)+"]", op, report)
				return
			}
			at := strings.TrimPrefix(field+"."+bare(key), ".")
			if known := s.fields[key]; known != nil {
				misfits(child, known, at, op, report)
			} else if by := max(op, child.op); by != 0 {
				report(misfit{at, by, ""})
			}
		})
	case reflect.Slice:
		if s.elem.typ.Kind() == reflect.Uint8 && n.kind == '"' {
			return
		}
		if n.kind != '[' {
			wrong("a list")
			return
		}
		for i, e := range n.list() {
			misfits(e, s.elem, field+"["+strconv.Itoa(i)+"]", op, report)
		}
	case reflect.String:
		if n.kind != '"' {
			wrong("a string")
		}
	case reflect.Bool:
		if n.kind != 't' && n.kind != 'f' {
			wrong("true or false")
		}
	default: // numbers, all of them whole
		if !number(n.kind) {
			wrong("a number")
		} else if json.Unmarshal([]byte(n.raw), reflect.New(s.typ).Interface()) != nil {
			report(misfit{field, op, "must be a whole number of " + strconv.Itoa(s.typ.Bits()) + " bits"})
		}
	}
}

// bare is a key as part of a field's name, without quotes where it looks like one.
func bare(key string) string {
	odd := strings.ContainsFunc(key, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || '9' < r) && (r < 'A' || 'Z' < r) && (r < 'a' || 'z' < r)
	})
	if odd || key == "" || len(key) > 60 {
		return shown(key)
	}
	return key
}

func kindName(kind byte) string {
	switch kind {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "true or false"
	}
	return "a number"
}
