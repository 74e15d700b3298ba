package emit

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
			if p.text == textHidden || p.fields != nil || p.elem != nil || p.values != nil {
				t.Errorf("%s is a %v: its place is to say what is shown of text", at, typ)
			}
			if p == word && typ == reflect.TypeFor[string]() && at != ".spec.volumes[].projected.sources[].podCertificate.keyType" {
				t.Errorf("%s is no enumeration", at)
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
	leaves(parse(t, redact("", populated(t))), "", func(at string, leaf any) {
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

// TestRedactionGoesByPlaceNotByPath: whether an op adds the whole Pod, any part of it or a single leaf, the
// same is shown of each leaf.
func TestRedactionGoesByPlaceNotByPath(t *testing.T) {
	doc := populated(t)
	whole := gjson.ParseBytes(redact("", doc))
	var parts func(v gjson.Result, at, query string)
	n := 0
	parts = func(v gjson.Result, at, query string) {
		n++
		want := whole.Raw
		if query != "" {
			want = whole.Get(query).Raw
		}
		if want == "" { // within what is redacted as a whole
			want = redactedJSON
		}
		got := string(redact(at, json.RawMessage(v.Raw)))
		if got != want && !strings.HasPrefix(at, "/status/") && !strings.HasPrefix(at, "/metadata/managedFields/") &&
			!strings.HasPrefix(at, "/spec/volumes/0/ephemeral/volumeClaimTemplate/metadata/managedFields/") {
			t.Errorf("an op on %q shows\n%s\nwithin the Pod it shows\n%s", at, got, want)
		}
		if strings.HasPrefix(at, "/status") && strings.Contains(got, "s3cret") {
			t.Errorf("an op on %q shows %s", at, got)
		}
		if query != "" {
			query += "."
		}
		i := 0
		v.ForEach(func(key, value gjson.Result) bool {
			if v.IsArray() {
				parts(value, at+"/"+strconv.Itoa(i), query+strconv.Itoa(i))
				i++
			} else if v.IsObject() {
				parts(value, at+"/"+key.String(), query+key.String())
			}
			return true
		})
	}
	parts(gjson.ParseBytes(doc), "", "")
	if n < 1000 {
		t.Errorf("only %d parts: the Pod is not full", n)
	}
}

func TestRedact(t *testing.T) {
	const r = `"[redacted]"`
	for name, test := range map[string]struct{ path, value, want string }{
		"an environment value":            {"/spec/containers/0/env/3/value", `"s3cret"`, r},
		"a variable at the list's end":    {"/spec/containers/0/env/-", `{"name":"A","value":"s3cret"}`, `{"name":"A","value":` + r + `}`},
		"a variable from a Secret":        {"/spec/initContainers/-1/env/0", `{"name":"A","valueFrom":{"secretKeyRef":{"name":"s","key":"k","optional":true}}}`, `{"name":"A","valueFrom":{"secretKeyRef":{"name":"s","key":"k","optional":true}}}`},
		"an annotation":                   {"/metadata/annotations/x", `"s3cret"`, r},
		"the stamp, by an endpoint":       {"/metadata/annotations/amp.txn2.com~1event", `"s3cret"`, r},
		"annotations":                     {"/metadata/annotations", `{"a":"s3cret","b":"s3cret"}`, `{"a":` + r + `,"b":` + r + `}`},
		"annotations of a volume's claim": {"/spec/volumes/-", `{"ephemeral":{"volumeClaimTemplate":{"metadata":{"annotations":{"a":"s3cret"},"labels":{"a":"b"}}}}}`, `{"ephemeral":{"volumeClaimTemplate":{"metadata":{"annotations":{"a":` + r + `},"labels":{"a":"b"}}}}}`},
		"a label with a slash":            {"/metadata/labels/a~1b", `"c"`, `"c"`},
		"a label of no name":              {"/metadata/labels/", `"c"`, `"c"`},
		"below a name":                    {"/spec/containers/0/name/", `"s3cret"`, r},
		"arguments":                       {"/spec/containers/0/args", `["--password","s3cret"]`, `[` + r + `,` + r + `]`},
		"an argument":                     {"/spec/containers/0/args/-", `"s3cret"`, r},
		"a number for an argument":        {"/spec/containers/0/args/-", `12345`, r},
		"an image":                        {"/spec/containers/0/image", `"a:1"`, `"a:1"`},
		"a mount":                         {"/spec/containers/0/volumeMounts/-", `{"name":"a","mountPath":"/b","subPath":"c"}`, `{"name":"a","mountPath":"/b","subPath":"c"}`},
		"quantities":                      {"/spec/containers/0/resources/limits", `{"cpu":"1","memory":1e9}`, `{"cpu":"1","memory":1e9}`},
		"ports":                           {"/spec/containers/0/ports/-", `{"name":"http","containerPort":80,"protocol":"TCP","hostIP":"10.0.0.1"}`, `{"name":"http","containerPort":80,"protocol":"TCP","hostIP":` + r + `}`},
		"a probe":                         {"/spec/containers/0/livenessProbe", `{"httpGet":{"path":"/?s3cret","port":"http","httpHeaders":[{"name":"Authorization","value":"s3cret"}]},"exec":{"command":["s3cret"]},"periodSeconds":5}`, `{"httpGet":{"path":` + r + `,"port":"http","httpHeaders":[{"name":"Authorization","value":` + r + `}]},"exec":{"command":[` + r + `]},"periodSeconds":5}`},
		"a driver's attributes":           {"/spec/volumes/-", `{"name":"v","csi":{"driver":"d","volumeAttributes":{"password":"s3cret"},"nodePublishSecretRef":{"name":"s"}}}`, `{"name":"v","csi":{"driver":"d","volumeAttributes":{"password":` + r + `},"nodePublishSecretRef":{"name":"s"}}}`},
		"a driver's options":              {"/spec/volumes/0/flexVolume/options/password", `"s3cret"`, r},
		"a constant":                      {"/spec/restartPolicy", `"Never"`, `"Never"`},
		"no constant":                     {"/spec/restartPolicy", `"s3cret"`, r},
		"a constant in the wrong place":   {"/spec/containers/0/env/0/value", `"Never"`, r},
		"an unknown field":                {"/spec/future", `"s3cret"`, r},
		"a number in an unknown field":    {"/spec/future", `1.50`, `1.50`},
		"a list in an unknown field":      {"/spec/future", `[1,"s3cret",true,null,[1],{"s3cret":1},{}]`, `[1,` + r + `,true,null,` + r + `,` + r + `,{}]`},
		"an object in an unknown field, keys and all": {"/spec/future", `{"s3cret":1}`, r},
		"an unknown field of a known object":          {"/spec/containers/-", `{"name":"a","future":{"s3cret":1},"contianer":"s3cret","n":7}`, `{"name":"a","future":` + r + `,"contianer":` + r + `,"n":7}`},
		"another case is another field":               {"/spec/containers/-", `{"Name":"s3cret","name":"a"}`, `{"Name":` + r + `,"name":"a"}`},
		"a key that is escaped":                       {"/spec/containers/-", `{"\u006eame":"a","\u0076alue":"s3cret"}`, `{"\u006eame":"a","\u0076alue":` + r + `}`},
		"an object for a name":                        {"/spec/containers/0/name", `{"s3cret":"s3cret"}`, r},
		"a list for a name":                           {"/spec/containers/0/name", `["s3cret"]`, `[` + r + `]`},
		"a string for an object":                      {"/spec/securityContext", `"s3cret"`, r},
		"an object for a list":                        {"/spec/containers", `{"s3cret":"s3cret"}`, r},
		"a list for an object":                        {"/spec", `["s3cret"]`, `[` + r + `]`},
		"a word for an index":                         {"/spec/containers/name", `"s3cret"`, r},
		"null":                                        {"/spec/containers/0/args", `null`, `null`},
		"white space":                                 {"/spec/securityContext", " { \"runAsUser\" :\t1 } ", `{"runAsUser":1}`},
		"an empty object anywhere":                    {"/spec/future", "{ \n }", `{}`},
		"no pointer":                                  {"spec/hostname", `"s3cret"`, r},
		"no JSON":                                     {"/spec/hostname", `s3cret`, r},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(redact(test.path, json.RawMessage(test.value))); got != test.want {
				t.Errorf("shows %s, want %s", got, test.want)
			}
		})
	}
}

// TestRedactionOfDeepNestingIsQuick: each level is scanned again, so that there must not be many.
func TestRedactionOfDeepNestingIsQuick(t *testing.T) {
	deep := strings.Repeat("[", 9000) + `"` + strings.Repeat("x", 1<<20) + `"` + strings.Repeat("]", 9000)
	for _, path := range []string{"/spec/future", "/spec/containers", "/spec/containers/0/args", "/metadata/annotations/x"} {
		if got := string(redact(path, json.RawMessage(deep))); len(got) > 100 {
			t.Errorf("%s: %d bytes are left", path, len(got))
		}
	}
}

// FuzzRedact places text anywhere by any op, and holds what is shown against the list of shown places, which
// it reads in its own way.
func FuzzRedact(f *testing.F) {
	shown := shownPlaces(f)
	doc := gjson.ParseBytes(populated(f))
	for _, part := range []string{"metadata", "spec.containers.0.env", "spec.containers.0.livenessProbe", "spec.containers.0.securityContext",
		"spec.volumes.0.csi", "spec.volumes.0.projected", "spec.volumes.0.ephemeral", "spec.affinity.nodeAffinity"} {
		f.Add("/"+strings.ReplaceAll(part, ".", "/"), doc.Get(part).Raw)
		f.Add("/spec/future", doc.Get(part).Raw)
	}
	f.Add("/spec/containers/0", `{"name":"a","env":[{"name":"A","value":"s3cret"}],"x":{"a":[["s3cret"]]}}`)
	f.Add("/spec/containers/0/env/-", `{"name":"A","value":7}`)
	f.Fuzz(func(t *testing.T, path, value string) {
		got := redact(path, json.RawMessage(value))
		if !json.Valid(got) {
			t.Fatalf("%q at %q becomes no JSON: %q", value, path, got)
		}
		if !json.Valid([]byte(value)) || path != "" && path[0] != '/' {
			return
		}
		leaves(parse(t, got), path, func(at string, leaf any) {
			text, isText := leaf.(string)
			if !isText || text == events.Redacted || words[text] {
				return
			}
			if !shown[normal(at)] {
				t.Errorf("%q at %q shows %q at %s", value, path, text, at)
			}
		})
	})
}

// normal writes a JSON pointer as testdata/shown.txt does: with index 0, the key "key", and containers for
// each kind of them.
func normal(pointer string) string {
	segments := strings.Split(pointer, "/")
	for i, segment := range segments {
		if i > 0 && slices.Contains([]string{"labels", "annotations", "nodeSelector", "matchLabels", "limits", "requests", "overhead"}, segments[i-1]) {
			segments[i] = "key"
		} else if _, err := strconv.Atoi(segment); err == nil || segment == "-" {
			segments[i] = "0"
		}
	}
	if len(segments) > 2 && (segments[2] == "initContainers" || segments[2] == "ephemeralContainers" && segments[len(segments)-1] != "targetContainerName") {
		segments[2] = "containers"
	}
	return strings.Join(segments, "/")
}

func BenchmarkRedact(b *testing.B) {
	container := json.RawMessage(`{"name":"proxy","image":"registry/proxy:1","args":["--a","--b"],"env":[{"name":"A","value":"x"},{"name":"B","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}],"ports":[{"containerPort":80}],"resources":{"limits":{"cpu":"1","memory":"1Gi"}},"volumeMounts":[{"name":"a","mountPath":"/a"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		redact("/spec/initContainers/-", container)
	}
}
