package events_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/eventstest"
)

type object = map[string]any

func schema(t testing.TB) object {
	t.Helper()
	var s object
	if err := json.Unmarshal(events.Schema, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTypesAndOutcomes: each type reports one outcome, of which its name is made.
func TestTypesAndOutcomes(t *testing.T) {
	for _, eventType := range events.Types {
		outcome, ok := events.OutcomeOf(eventType)
		if !ok || eventType != "com.txn2.amp.pod."+outcome+".v1" {
			t.Errorf("%s reports %q", eventType, outcome)
		}
		if back, ok := events.TypeOf(outcome); !ok || back != eventType {
			t.Errorf("%s is reported by %q, not by %s", outcome, back, eventType)
		}
	}
	if outcome, ok := events.OutcomeOf("com.txn2.amp.pod.skipped.v1"); ok {
		t.Errorf("an unknown type reports %q", outcome)
	}
	if eventType, ok := events.TypeOf("skipped"); ok {
		t.Errorf("skipped is reported by %q", eventType)
	}
}

// TestSchemaAndTypesSayTheSame compares every field of the Go types with the schema, and the reverse.
func TestSchemaAndTypesSayTheSame(t *testing.T) {
	s := schema(t)
	if s["$id"] != events.SchemaURL {
		t.Errorf("$id %v, want %s", s["$id"], events.SchemaURL)
	}
	defs := s["$defs"].(object)
	seen := map[string]bool{}
	same(t, s, defs, seen, reflect.TypeFor[events.Data](), "Data")
	for name := range defs {
		if !seen[name] {
			t.Errorf("$defs/%s does not belong to a type", name)
		}
	}

	enum := func(field string) []string {
		var all []string
		for _, v := range s["properties"].(object)[field].(object)["enum"].([]any) {
			all = append(all, v.(string))
		}
		return all
	}
	var types []string
	for _, outcome := range enum("outcome") {
		types = append(types, "com.txn2.amp.pod."+outcome+".v1")
	}
	if diff := cmp.Diff(events.Types, types); diff != "" {
		t.Errorf("outcomes, as types (-types +schema):\n%s", diff)
	}
	if diff := cmp.Diff([]string{string(events.LevelMetadata), string(events.LevelPatch), string(events.LevelFull)}, enum("level")); diff != "" {
		t.Errorf("levels (-constants +schema):\n%s", diff)
	}
}

func same(t *testing.T, s, defs object, seen map[string]bool, typ reflect.Type, at string) {
	t.Helper()
	if ref, ok := s["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, "#/$defs/")
		seen[name] = true
		s = defs[name].(object)
	}
	if text, _ := s["description"].(string); text == "" {
		t.Errorf("%s has no description in the schema", at)
	}
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ == reflect.TypeFor[json.RawMessage]() {
		return
	}
	want := map[reflect.Kind]string{reflect.String: "string", reflect.Int: "integer", reflect.Float64: "number", reflect.Slice: "array", reflect.Struct: "object"}[typ.Kind()]
	if _, isEnum := s["enum"]; s["type"] != want && !(isEnum && want == "string") {
		t.Errorf("%s is a %v, in the schema %v", at, typ, s["type"])
	}
	switch typ.Kind() {
	case reflect.Slice:
		items := s["items"].(object)
		if typ.Elem().Kind() == reflect.Struct {
			same(t, items, defs, seen, typ.Elem(), at+"[]")
		} else if items["type"] != "string" || typ.Elem().Kind() != reflect.String {
			t.Errorf("%s holds %v, in the schema %v", at, typ.Elem(), items)
		}
	case reflect.Struct:
		if s["additionalProperties"] != false {
			t.Errorf("%s allows unknown properties", at)
		}
		required, _ := s["required"].([]any)
		var names []string
		for i := range typ.NumField() {
			name, options, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			names = append(names, name)
			member, ok := s["properties"].(object)[name].(object)
			if !ok {
				t.Errorf("the schema does not have %s.%s", at, name)
				continue
			}
			if slices.Contains(required, any(name)) == (options == "omitempty") {
				t.Errorf("%s.%s: json:%q, but required: %v", at, name, typ.Field(i).Tag.Get("json"), required)
			}
			same(t, member, defs, seen, typ.Field(i).Type, at+"."+name)
		}
		for name := range s["properties"].(object) {
			if !slices.Contains(names, name) {
				t.Errorf("%s has no field %s", at, name)
			}
		}
	}
}

// full is the data of a mutation with every field that it may have.
const full = `{
	"uid": "6dd84eb1", "level": "Full", "namespace": "jhub", "user": "hub", "operation": "mutate", "outcome": "mutated",
	"pod": {"name": "jupyter-alice", "generateName": "jupyter-"},
	"controller": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "2"},
	"warnings": ["w"], "failurePolicy": "Fail", "durationMs": 1.5,
	"endpoints": [{"url": "http://hook:8080/a@b", "status": 200, "durationMs": 1, "ops": 2, "warnings": ["w"]}],
	"patch": [{"step": 1, "op": "add", "path": "/metadata/labels/a", "value": null}, {"step": 1, "op": "move", "from": "/a", "path": "/b"},
		{"step": 1, "op": "remove", "path": "/b"}],
	"object": {"kind": "Pod"}
}`

func TestSchema(t *testing.T) {
	const (
		good = true
		bad  = false
	)
	for name, test := range map[string]struct {
		want bool
		edit func(object)
	}{
		"every field":                          {good, func(d object) {}},
		"a typo":                               {bad, func(d object) { d["usr"] = "x" }},
		"a typo in the Pod":                    {bad, func(d object) { d["pod"].(object)["nmae"] = "x" }},
		"a typo in an endpoint":                {bad, func(d object) { first(d, "endpoints")["Url"] = "x" }},
		"a typo in an op":                      {bad, func(d object) { first(d, "patch")["vaule"] = "x" }},
		"no user":                              {bad, func(d object) { delete(d, "user") }},
		"an empty user":                        {good, func(d object) { d["user"] = "" }},
		"a number for a name":                  {bad, func(d object) { d["namespace"] = 1 }},
		"no endpoint was called":               {good, func(d object) { d["endpoints"] = []any{} }},
		"an endpoint with a query":             {bad, func(d object) { first(d, "endpoints")["url"] = "http://a/b?token=c" }},
		"an endpoint with userinfo":            {bad, func(d object) { first(d, "endpoints")["url"] = "http://u:p@a/b" }},
		"half an operation":                    {bad, func(d object) { first(d, "endpoints")["ops"] = 1.5 }},
		"a negative duration":                  {bad, func(d object) { d["durationMs"] = -1 }},
		"level None":                           {bad, func(d object) { d["level"] = "None" }},
		"level Patch":                          {good, func(d object) { d["level"] = "Patch"; delete(d, "object") }},
		"level Patch with the Pod":             {bad, func(d object) { d["level"] = "Patch" }},
		"level Patch without a patch":          {bad, func(d object) { d["level"] = "Patch"; delete(d, "object"); delete(d, "patch") }},
		"level Patch with an empty patch":      {bad, func(d object) { d["level"] = "Patch"; delete(d, "object"); d["patch"] = []any{} }},
		"level Metadata":                       {good, func(d object) { d["level"] = "Metadata"; delete(d, "object"); delete(d, "patch") }},
		"level Metadata with a patch":          {bad, func(d object) { d["level"] = "Metadata"; delete(d, "object") }},
		"level Full without the Pod":           {bad, func(d object) { delete(d, "object") }},
		"an unknown op":                        {bad, func(d object) { first(d, "patch")["op"] = "merge" }},
		"a bad path":                           {bad, func(d object) { first(d, "patch")["path"] = "spec" }},
		"an add with from":                     {bad, func(d object) { first(d, "patch")["from"] = "/a" }},
		"a copy without from":                  {bad, func(d object) { first(d, "patch")["op"] = "copy"; delete(first(d, "patch"), "value") }},
		"a remove with a value":                {bad, func(d object) { first(d, "patch")["op"] = "remove" }},
		"a mutation with a message":            {bad, func(d object) { d["message"] = "x" }},
		"a mutation by /validate":              {bad, func(d object) { d["operation"] = "validate" }},
		"a mutation with a stamp":              {bad, func(d object) { d["mutation"] = "x" }},
		"a mutation with the Pod's uid":        {bad, func(d object) { d["pod"].(object)["uid"] = "x" }},
		"shadowed, with what would have been":  {good, func(d object) { d["outcome"] = "shadowed" }},
		"shadowed, a failure":                  {good, func(d object) { d["outcome"] = "shadowed"; d["message"] = "x"; delete(d, "patch") }},
		"shadowed, by /validate, with a patch": {bad, func(d object) { d["outcome"] = "shadowed"; d["operation"] = "validate" }},
		"denied, under Fail":                   {good, func(d object) { d["outcome"] = "denied"; d["message"] = "x"; delete(d, "patch") }},
		"denied, under Ignore": {good, func(d object) {
			without(d, "patch", object{"outcome": "denied", "failurePolicy": "Ignore", "message": "x"})
		}},
		"denied, without the Pod":  {good, func(d object) { d["outcome"] = "denied"; d["message"] = "x"; delete(d, "patch"); delete(d, "object") }},
		"denied with a patch":      {bad, func(d object) { d["outcome"] = "denied"; d["message"] = "x" }},
		"denied without a message": {bad, func(d object) { d["outcome"] = "denied"; delete(d, "patch") }},
		"rejected under Ignore": {bad, func(d object) {
			without(d, "patch", object{"outcome": "rejected", "failurePolicy": "Ignore", "message": "x"})
		}},
		"rejected":                   {good, func(d object) { d["outcome"] = "rejected"; d["message"] = "x"; delete(d, "patch") }},
		"rejected, without the Pod":  {good, func(d object) { d["outcome"] = "rejected"; d["message"] = "x"; delete(d, "patch"); delete(d, "object") }},
		"rejected with a patch":      {bad, func(d object) { d["outcome"] = "rejected"; d["message"] = "x" }},
		"rejected without a message": {bad, func(d object) { d["outcome"] = "rejected"; delete(d, "patch") }},
		"failed open": {good, func(d object) {
			without(d, "patch", object{"outcome": "failedopen", "failurePolicy": "Ignore", "message": "x"})
		}},
		"failed open under Fail":        {bad, func(d object) { d["outcome"] = "failedopen"; d["message"] = "x"; delete(d, "patch") }},
		"unchanged":                     {good, func(d object) { d["outcome"] = "unchanged"; delete(d, "patch") }},
		"unchanged with a patch":        {bad, func(d object) { d["outcome"] = "unchanged" }},
		"validated, with stamp and uid": {good, func(d object) { validated(d); d["mutation"] = "x"; d["pod"].(object)["uid"] = "x" }},
		"validated, without a stamp":    {good, validated},
		"validated by /mutate":          {bad, func(d object) { validated(d); d["operation"] = "mutate" }},
		"compared":                      {good, compared},
		"compared, at level Metadata": {good, func(d object) {
			compared(d)
			without(d, "object", object{"level": "Metadata"})
			delete(d, "patch")
			delete(d["comparison"].(object), "differences")
		}},
		"compared, at level Metadata, with what differs": {bad, func(d object) {
			compared(d)
			without(d, "object", object{"level": "Metadata"})
			delete(d, "patch")
		}},
		"compared, without a comparison": {bad, func(d object) { compared(d); delete(d, "comparison") }},
		"compared, with two calls":       {bad, func(d object) { compared(d); d["endpoints"] = append(d["endpoints"].([]any), first(d, "endpoints")) }},
		"compared, a failure": {good, func(d object) {
			compared(d)
			d["comparison"].(object)["candidate"] = "failed"
			without(d, "patch", object{"message": "x"})
		}},
		"compared, a failure without words": {bad, func(d object) { compared(d); d["comparison"].(object)["candidate"] = "failed"; delete(d, "patch") }},
		"compared, a patch with a message":  {bad, func(d object) { compared(d); d["message"] = "x" }},
		"compared, an unknown kind":         {bad, func(d object) { compared(d); first(d["comparison"].(object), "differences")["kind"] = "x" }},
		"a mutation with a comparison":      {bad, func(d object) { compared(d); d["outcome"] = "mutated" }},
		"a Pod without a name":              {good, func(d object) { d["pod"] = object{} }},
		"an endpoint that did not answer":   {good, func(d object) { delete(first(d, "endpoints"), "status") }},
	} {
		t.Run(name, func(t *testing.T) {
			var d object
			if err := json.Unmarshal([]byte(full), &d); err != nil {
				t.Fatal(err)
			}
			test.edit(d)
			data, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			if err := eventstest.Validate(data); (err == nil) != test.want {
				t.Errorf("valid: %t, want %t: %v", err == nil, test.want, err)
			}
		})
	}
}

func first(d object, list string) object { return d[list].([]any)[0].(object) }

func validated(d object) {
	without(d, "patch", object{"outcome": "validated", "operation": "validate"})
}

func compared(d object) {
	d["outcome"] = "compared"
	d["comparison"] = object{"result": "different", "answered": "mutated", "candidate": "mutated", "differing": 1,
		"differences": []any{object{"kind": "otherValue", "path": "/a/0", "where": "/a/b", "answered": nil, "candidate": 1}}}
}

// without sets fields of an event and deletes one.
func without(d object, deleted string, set object) {
	maps.Copy(d, set)
	delete(d, deleted)
}

// TestDataRoundTrips shows that Data holds every field that the schema allows.
func TestDataRoundTrips(t *testing.T) {
	var d events.Data
	if err := json.Unmarshal([]byte(full), &d); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	eventstest.Check(t, data)
	var want, got any
	if err := json.Unmarshal([]byte(full), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
}
