package apply

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/internal/patch/jsontree"
	"github.com/txn2/amp/internal/spelling"
)

// NoField says why a pattern, in which * stands for any one segment, can match no field of a Pod; it is empty for one
// that can. Keys of maps are free. It goes along the types and makes no [PodSchema], for which a start has no time.
func NoField(pattern jsontree.Pointer) string {
	return noField(reflect.TypeFor[corev1.Pod](), pattern, "")
}

// noField is NoField for what is below a field of type t, which is at the path at.
func noField(t reflect.Type, pattern jsontree.Pointer, at string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(pattern) == 0 {
		return ""
	}
	segment, rest := pattern[0], pattern[1:]
	where := "a Pod"
	if at != "" {
		where = at
	}
	below := at + "/" + segment
	switch {
	case reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()): // a quantity, a time
	case t.Kind() == reflect.Map:
		return noField(t.Elem(), rest, below)
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		// Not "-", -1 or 00 either: the places that ops touch have plain indices, so such a pattern would match none.
		if n, err := strconv.Atoi(segment); segment != "*" && (err != nil || n < 0 || strconv.Itoa(n) != segment) {
			return fmt.Sprintf("%s is a list; write an index or * instead of %s", where, Quote(segment))
		}
		return noField(t.Elem(), rest, below)
	case t.Kind() == reflect.Struct:
		return noMember(t, segment, rest, where, at)
	}
	return where + " has no fields; write a / within a key as ~1"
}

// noMember is noField for a struct.
func noMember(t reflect.Type, segment string, rest jsontree.Pointer, where, at string) string {
	fault := ""
	var names []string
	found := eachField(t, func(name string, of reflect.Type) bool {
		names = append(names, name)
		if name != segment && segment != "*" {
			return false
		}
		fault = noField(of, rest, at+"/"+name)
		return fault == ""
	})
	switch {
	case found:
		return ""
	case segment == "*" && fault != "":
		return "no field of " + where + " has what follows"
	case fault != "":
		return fault
	}
	nearest, _ := spelling.Closest(segment, names)
	return fmt.Sprintf("%s has no %s; the nearest known is %s", where, Quote(segment), at+"/"+nearest)
}

// eachField calls do with the fields of a struct by their names in JSON, until it returns true, which eachField then
// returns.
func eachField(t reflect.Type, do func(name string, of reflect.Type) bool) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		switch name, _, _ := strings.Cut(f.Tag.Get("json"), ","); {
		case name == "" && f.Anonymous: // inlined
			if eachField(f.Type, do) {
				return true
			}
		case name != "" && name != "-" && f.IsExported():
			if do(name, f.Type) {
				return true
			}
		}
	}
	return false
}
