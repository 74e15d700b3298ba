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

// TestEveryFieldOfAPodHasItsPlace holds the table against the API's types, both ways: a field that a later
// Kubernetes adds is to be looked at before it is shown.
func TestEveryFieldOfAPodHasItsPlace(t *testing.T) {
	seen := map[*place]bool{}
	var walk func(typ reflect.Type, p *place, at string)
	walk = func(typ reflect.Type, p *place, at string) {
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if p == nil {
			t.Errorf("%s (%v) has no place in the table", at, typ)
			return
		}
		if p == hidden || seen[p] {
			return // as a whole, or looked at before
		}
		want := number
		switch {
		case typ == reflect.TypeFor[resource.Quantity](), typ == reflect.TypeFor[intstr.IntOrString](), typ.Kind() == reflect.String:
			if p.shows < showWords || p.fields != nil || p.elem != nil || p.values != nil {
				t.Errorf("%s is a %v: its place is to say what is shown of text", at, typ)
			}
			if p == word && typ == reflect.TypeFor[string]() && at != ".spec.volumes[].projected.sources[].podCertificate.keyType" {
				t.Errorf("%s is not an enumeration", at)
			}
			return
		case typ.Kind() == reflect.Slice:
			if p.elem == nil {
				t.Errorf("%s is a list", at)
				return
			}
			walk(typ.Elem(), p.elem, at+"[]")
			return
		case typ.Kind() == reflect.Map:
			if p.values == nil {
				t.Errorf("%s is a map", at)
				return
			}
			walk(typ.Elem(), p.values, at+"[*]")
			return
		case typ.Kind() == reflect.Struct:
			if p.fields == nil {
				t.Errorf("%s is an object", at)
				return
			}
			seen[p] = true
			known := fieldsOf(typ)
			for name, field := range known {
				walk(field, p.fields[name], at+"."+name)
			}
			for name := range p.fields {
				if known[name] == nil {
					t.Errorf("a Pod has no field %s.%s", at, name)
				}
			}
			return
		}
		if p != want && p != port {
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
	leaves(parse(t, Value("", populated(t))), "", func(at string, leaf any) {
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
	for name, p := range map[string]*place{
		"the zero value":                 {},
		"nil":                            nil,
		"nil within an object":           object(map[string]*place{"a": nil}).within("a"),
		"nil within an object of names":  (&place{fields: map[string]*place{"a": nil}}).within("a"),
		"the zero value, two levels up":  (&place{}).within("a").within("b"),
		"nil, two levels up":             (*place)(nil).within("a").within("0"),
		"the elements of the zero value": (&place{}).element(),
		"the elements of nil":            (*place)(nil).element(),
	} {
		for value, want := range map[string]string{
			`"s3cret"`: redacted, `"Always"`: redacted, `""`: redacted, `4711`: redacted, `true`: redacted, `null`: `null`,
			`{"s3cret":"s3cret"}`: redacted, `{"a":4711}`: redacted, `{}`: `{}`, `[]`: `[]`,
			`["s3cret",4711,true,{"s3cret":1},["s3cret"],null]`: `[` + strings.Repeat(redacted+",", 5) + `null]`,
		} {
			if got := string(appendValue(nil, gjson.Parse(value), p)); got != want {
				t.Errorf("%s shows %s of %s, want %s", name, got, value, want)
			}
		}
	}
}
