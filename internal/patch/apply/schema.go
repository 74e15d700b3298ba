package apply

import (
	"encoding/json"
	"reflect"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/internal/patch/jsontree"
)

// APIVersion is the Kubernetes release of k8s.io/api that amp is built with: what it knows of a Pod.
const APIVersion = "1.36"

// A Schema is what a Go type, pointers left out, says of the JSON that it decodes.
type Schema struct {
	// Type is not embedded: a method by name that is reachable through an interface keeps the linker from
	// dropping any method in the binary, which is 2 MB of them.
	Type   reflect.Type
	Opaque bool               // the type decodes its JSON itself, as quantities and times do
	Fields map[string]*Schema // of a struct, by their names in JSON
	Elem   *Schema            // of a map or a list
}

// PodSchema returns the schema of a Pod. It is made at the first call: a start has no time for it.
var PodSchema = sync.OnceValue(func() *Schema {
	return newSchema(reflect.TypeFor[corev1.Pod](), map[reflect.Type]*Schema{})
})

// newSchema returns the schema of t; known holds those made before.
func newSchema(t reflect.Type, known map[reflect.Type]*Schema) *Schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s, ok := known[t]; ok {
		return s
	}
	s := &Schema{Type: t, Opaque: reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())}
	known[t] = s
	if s.Opaque {
		return s
	}
	switch t.Kind() {
	case reflect.Map, reflect.Slice:
		s.Elem = newSchema(t.Elem(), known)
	case reflect.Struct:
		s.Fields = map[string]*Schema{}
		eachField(t, func(name string, of reflect.Type) bool {
			s.Fields[name] = newSchema(of, known)
			return false
		})
	}
	return s
}

// Below returns the schema of what a key or an index of s leads to, nil if a Pod has nothing there. s may be nil.
func (s *Schema) Below(segment string) *Schema {
	switch {
	case s == nil:
		return nil
	case s.Elem != nil:
		return s.Elem
	}
	return s.Fields[segment]
}

// IsMap reports whether s is the schema of a map, whose keys the Pod's author chose. s may be nil.
func (s *Schema) IsMap() bool { return s != nil && s.Elem != nil && s.Type.Kind() == reflect.Map }

// Bounds of what a Pod takes in memory once it is decoded. An element of a list takes up to a kilobyte, even if its text is
// "{}".
const (
	maxDecoded  = 16 << 20
	alwaysSmall = 16 << 10 // bytes of text
	entryOfAMap = 64       // bytes, without the value
)

// tooLarge reports whether the lists and maps of a Pod take too much memory once they are decoded.
func tooLarge(pod *jsontree.Node) bool {
	return pod.Length() > alwaysSmall && decodedSize(pod, PodSchema()) > maxDecoded
}

// decodedSize returns how many bytes the lists and maps in n take once they are decoded, about.
func decodedSize(n *jsontree.Node, s *Schema) (size int) {
	switch {
	case s == nil || s.Opaque:
	case s.Fields != nil:
		n.Each(func(key string, child *jsontree.Node) { size += decodedSize(child, s.Fields[key]) })
	case s.Elem != nil:
		size = (len(n.List())) * int(s.Elem.Type.Size())
		for _, element := range n.List() {
			size += decodedSize(element, s.Elem)
		}
		n.Each(func(_ string, child *jsontree.Node) {
			size += entryOfAMap + int(s.Elem.Type.Size()) + decodedSize(child, s.Elem)
		})
	}
	return size
}

// emptyParent returns the empty value for the missing value at p, which an op needs to hold the key or index next: "[]"
// or "{}". It is "" if a Pod has a string, a number or a boolean there. The type of the field decides. If a Pod has no
// such field, next decides: an index needs a list.
func emptyParent(p jsontree.Pointer, next string) string {
	s := PodSchema()
	for _, segment := range p {
		switch {
		case s == nil:
		case s.Elem != nil:
			s = s.Elem
		default:
			s = s.Fields[segment]
		}
	}
	if s != nil && s.isText() {
		return ""
	}
	isList := next == "-"
	if s != nil && (s.Elem != nil || s.Fields != nil) {
		isList = s.Type.Kind() == reflect.Slice
	} else if _, err := strconv.Atoi(next); err == nil {
		isList = true
	}
	if isList {
		return "[]"
	}
	return "{}"
}
