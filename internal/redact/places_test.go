package redact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/txn2/amp/endpoints/events"
)

// TestEveryFieldOfAPodHasItsPlace compares the table with the API's types, both ways. A field that a later Kubernetes adds
// must be looked at before it is shown.
func TestEveryFieldOfAPodHasItsPlace(t *testing.T) {
	var walk func(typ reflect.Type, p place, at string)
	walk = func(typ reflect.Type, p place, at string) {
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if p == nil {
			t.Errorf("%s (%v) has no place in the table", at, typ)
			return
		}
		shown, isText := p.(text)
		if isText && shown == hidden {
			return // as a whole
		}
		switch {
		case typ == reflect.TypeFor[resource.Quantity](), typ == reflect.TypeFor[intstr.IntOrString](), typ.Kind() == reflect.String:
			if !isText || shown < word {
				t.Errorf("%s is a %v: its place must say what is shown of text", at, typ)
			}
			if isText && shown == word && typ == reflect.TypeFor[string]() && at != ".spec.volumes[].projected.sources[].podCertificate.keyType" {
				t.Errorf("%s is not an enumeration", at)
			}
		case typ.Kind() == reflect.Slice:
			if l, ok := p.(list); ok {
				walk(typ.Elem(), l.elements, at+"[]")
			} else {
				t.Errorf("%s is a list", at)
			}
		case typ.Kind() == reflect.Map:
			if n, ok := p.(named); ok {
				walk(typ.Elem(), n.values, at+"[*]")
			} else {
				t.Errorf("%s is a map", at)
			}
		case typ.Kind() == reflect.Struct:
			if table, ok := p.(*object); ok {
				p = *table
			}
			o, ok := p.(object)
			if !ok {
				t.Errorf("%s is an object", at)
				return
			}
			known, inTable := fieldsOf(typ), map[string]place{}
			for _, field := range o {
				if _, twice := inTable[field.key]; twice {
					t.Errorf("the table has %s.%s twice", at, field.key)
				}
				if known[field.key] == nil {
					t.Errorf("a Pod has no field %s.%s", at, field.key)
				}
				inTable[field.key] = field.place
			}
			for name, field := range known {
				walk(field, inTable[name], at+"."+name)
			}
		case !isText || shown != number && shown != port:
			t.Errorf("%s is a %v: no text is shown of it", at, typ)
		}
	}
	walk(reflect.TypeFor[corev1.Pod](), pod, "")
}

// fieldsOf are the fields of a struct by their names in JSON, those of embedded ones included.
func fieldsOf(typ reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" && f.Anonymous {
			maps.Copy(fields, fieldsOf(f.Type))
		} else if name != "" && name != "-" {
			fields[name] = f.Type
		}
	}
	return fields
}

// populated is a Pod in which every field, list and map of the API has a value, and every string is a secret
// that names its place.
func populated(t testing.TB) json.RawMessage {
	t.Helper()
	doc, err := json.Marshal(fill(reflect.TypeFor[corev1.Pod](), ""))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func fill(typ reflect.Type, at string) any {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case typ == reflect.TypeFor[resource.Quantity](), typ == reflect.TypeFor[intstr.IntOrString](), typ.Kind() == reflect.String,
		strings.HasSuffix(at, "Timestamp"), strings.HasSuffix(at, "Time"):
		return "s3cret:" + at
	case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Uint8:
		return "s3cret:" + at
	case typ.Kind() == reflect.Slice:
		return []any{fill(typ.Elem(), at+"/0")}
	case typ.Kind() == reflect.Map:
		return map[string]any{"key": fill(typ.Elem(), at+"/key")}
	case typ.Kind() == reflect.Struct:
		object := map[string]any{}
		for name, field := range fieldsOf(typ) {
			object[name] = fill(field, at+"/"+name)
		}
		return object
	case typ.Kind() == reflect.Bool:
		return true
	}
	return 7
}

// leaves calls visit for every string, number, boolean and null of doc with its JSON pointer.
func leaves(doc any, at string, visit func(at string, leaf any)) {
	switch v := doc.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			leaves(v[key], at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(key), visit)
		}
	case []any:
		for i, e := range v {
			leaves(e, at+"/"+strconv.Itoa(i), visit)
		}
	default:
		visit(at, v)
	}
}

func parse(t testing.TB, doc []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, doc)
	}
	return v
}

// TestShownPlaces holds what the level Patch shows against a list that was read by a person: testdata/shown.txt
// names every place whose text is shown, and of which enumerations. Regenerate it with UPDATE=1, and review
// the difference like code.
func TestShownPlaces(t *testing.T) {
	var got strings.Builder
	leaves(parse(t, valueShown("", populated(t))), "", func(at string, leaf any) {
		if strings.HasPrefix(at, "/spec/initContainers/") || strings.HasPrefix(at, "/spec/ephemeralContainers/") && !strings.HasSuffix(at, "targetContainerName") {
			return // as /spec/containers; the walk over the types has shown that
		}
		text, _ := leaf.(string)
		switch {
		case strings.HasPrefix(text, "s3cret:"):
			fmt.Fprintln(&got, at)
		case text == events.Redacted && placeOf(at) == word:
			fmt.Fprintln(&got, at, "(a constant of Kubernetes only)")
		}
	})
	file := filepath.Join("testdata", "shown.txt")
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("places whose text is shown (-%s +now):\n%s", file, diff)
	}
}

// shownPlaces are those of testdata/shown.txt, without indices and keys, of containers of any kind.
func shownPlaces(t testing.TB) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "shown.txt"))
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		at, constant, _ := strings.Cut(strings.TrimSpace(line), " ")
		places[at] = constant == ""
	}
	return places
}

// TestTheZeroValueOfAPlaceShowsNothing: an entry of the table that was forgotten or left empty hides what is there and
// below, numbers included.
func TestTheZeroValueOfAPlaceShowsNothing(t *testing.T) {
	var zero text
	for name, p := range map[string]place{
		"nil":                            nil,
		"the zero value of a text":       zero,
		"of an object":                   object(nil),
		"of a list":                      list{},
		"of an object of names":          named{},
		"a field without a place":        within(object{{"a", nil}}, "a"),
		"a field of an empty object":     within(object{}, "a"),
		"an element of an empty list":    within(list{}, "0"),
		"not an index of an empty list":  within(list{}, "a"),
		"a value of an object of names":  within(named{}, "a"),
		"below nil, two levels":          within(within(nil, "a"), "0"),
		"below the zero value of a text": within(within(zero, "a"), "b"),
	} {
		for value, want := range map[string]string{
			`"s3cret"`: redacted, `"Always"`: redacted, `""`: redacted, `4711`: redacted, `true`: redacted, `null`: `null`,
			`{"s3cret":"s3cret"}`: redacted, `{"a":4711}`: redacted, `{}`: `{}`, `[]`: `[]`,
			`["s3cret",4711,true,{"s3cret":1},null]`: `[` + strings.Repeat(redacted+",", 4) + `null]`,
		} {
			if got := string(appendValue(nil, gjson.Parse(value), p, nil)); got != want {
				t.Errorf("%s shows %s of %s, want %s", name, got, value, want)
			}
		}
		if got := string(appendValue(nil, gjson.Parse(`[["s3cret",4711]]`), p, nil)); strings.Contains(got, "s3cret") || strings.Contains(got, "4711") {
			t.Errorf("%s shows %s", name, got)
		}
	}
}
