package suite_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/internal/suite"
)

// TestSchemaAndParserAgree: both take the samples' suites, and both refuse what is wrong.
func TestSchemaAndParserAgree(t *testing.T) {
	text, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("suite.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("suite.json")
	if err != nil {
		t.Fatal(err)
	}
	judge := func(t *testing.T, file string, good bool) {
		t.Helper()
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := yaml.YAMLToJSON(content)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); (err == nil) != good {
			t.Errorf("the schema: %v", err)
		}
		if _, err := suite.Load(file); (err == nil) != good {
			t.Errorf("the parser: %v", err)
		}
	}
	samples, err := filepath.Glob("../../endpoints/*/tests.yaml")
	if err != nil || len(samples) != 3 {
		t.Fatalf("%v, %v", samples, err)
	}
	for _, file := range samples {
		judge(t, file, true)
	}
	const pod = "  pod: {apiVersion: v1, kind: Pod, metadata: {name: x}}\n"
	for name, test := range map[string]struct {
		content string
		good    bool
	}{
		"every field":       {"endpoint: [a, b]\nvalidation: c\nuser: u\ngroups: [g]\nnamespace: ns\nfailurePolicy: Ignore\ntimeout: 1s\ndryRun: true\ncases:\n- name: a\n  endpoint: e\n  validation: [v]\n  user: u\n  groups: []\n  namespace: ns\n  failurePolicy: Fail\n  timeout: 1s\n  dryRun: false\n" + pod + "  expect: {outcome: mutated, denied: false, message: m, warning: w, unchanged: false, idempotent: true, pod: {spec: {}, /spec/a: 1, /metadata: {}}, patch: [{op: add, path: /a, value: 1}]}\n", true},
		"an unknown field":  {"cases:\n- name: a\n  x: 1\n" + pod, false},
		"an unknown wish":   {"cases:\n- name: a\n" + pod + "  expect: {result: 1}\n", false},
		"no cases":          {"cases: []\n", false},
		"cases of null":     {"cases:\n", false},
		"no Pod":            {"cases:\n- name: a\n", false},
		"no name":           {"cases:\n- file: x\n", false},
		"another policy":    {"failurePolicy: Warn\ncases:\n- name: a\n" + pod, false},
		"another outcome":   {"cases:\n- name: a\n" + pod + "  expect: {outcome: fine}\n", false},
		"a time below 0":    {"timeout: -5s\ncases:\n- name: a\n" + pod, false},
		"a time in words":   {"cases:\n- name: a\n  timeout: soon\n" + pod, false},
		"a patch of text":   {"cases:\n- name: a\n" + pod + "  expect: {patch: x}\n", false},
		"a Pod of a number": {"cases:\n- name: a\n" + pod + "  expect: {pod: 1}\n", false},
		"a Pod of nothing":  {"cases:\n- name: a\n" + pod + "  expect: {pod: {}}\n", false},
		"no field of a Pod": {"cases:\n- name: a\n" + pod + "  expect: {pod: {spec.hostNetwork: null}}\n", false},
		"no part of a Pod":  {"cases:\n- name: a\n" + pod + "  expect: {pod: {/spce/hostNetwork: null}}\n", false},
		"no slash":          {"cases:\n- name: a\n" + pod + "  expect: {pod: {spec/hostNetwork: null}}\n", false},
		"an empty key":      {"cases:\n- name: a\n" + pod + "  expect: {pod: {'': null}}\n", false},
		"a field of an op":  {"cases:\n- name: a\n" + pod + "  expect: {patch: [{op: remove, path: /a, vaule: x}]}\n", false},
		"an op of no path":  {"cases:\n- name: a\n" + pod + "  expect: {patch: [{op: remove}]}\n", false},
		"an unknown op":     {"cases:\n- name: a\n" + pod + "  expect: {patch: [{op: delete, path: /a}]}\n", false},
		"no op":             {"cases:\n- name: a\n" + pod + "  expect: {patch: [null]}\n", false},
		"a null in an op":   {"cases:\n- name: a\n" + pod + "  expect: {patch: [{op: add, path: /a, value: null}], pod: {/spec/a: null}}\n", true},
		"a group of null":   {"groups: [null]\ncases:\n- name: a\n" + pod, false},
		"a URL of null":     {"endpoint: [null]\ncases:\n- name: a\n" + pod, false},
		"no URL":            {"endpoint: []\ncases:\n- name: a\n" + pod, false},
	} {
		t.Run(name, func(t *testing.T) {
			judge(t, write(t, test.content), test.good)
		})
	}
	// A field without a value is refused. It would be a default or an expectation that is silently not there.
	for _, field := range []string{"endpoint", "validation", "user", "groups", "namespace", "failurePolicy", "timeout", "dryRun"} {
		t.Run(field+" of a suite without a value", func(t *testing.T) {
			judge(t, write(t, field+":\ncases:\n- name: a\n"+pod), false)
		})
	}
	for _, field := range []string{"endpoint", "validation", "user", "groups", "namespace", "failurePolicy", "timeout", "dryRun", "file", "expect"} {
		t.Run(field+" of a case without a value", func(t *testing.T) {
			judge(t, write(t, "cases:\n- name: a\n  "+field+": # nothing\n"+pod), false)
		})
	}
	var fields struct {
		Defs struct {
			Expect struct{ Properties map[string]any } `json:"expect"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &fields); err != nil || len(fields.Defs.Expect.Properties) == 0 {
		t.Fatalf("%v: the schema's expect has %v", err, fields.Defs.Expect.Properties)
	}
	for field := range fields.Defs.Expect.Properties {
		t.Run(field+" without a value", func(t *testing.T) {
			judge(t, write(t, "cases:\n- name: a\n"+pod+"  expect:\n    "+field+": ~\n"), false)
		})
	}
	for field, value := range map[string]string{"op": "add", "path": "/a", "from": "/b"} {
		t.Run(field+" of an op without a value", func(t *testing.T) {
			judge(t, write(t, "cases:\n- name: a\n"+pod+"  expect: {patch: [{"+strings.Replace("op: add, path: /a, from: /b", value, "null", 1)+"}]}\n"), false)
		})
	}
}

func write(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "suite.yaml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestLoadNamesWhatIsWrong: file, line, and what to do.
func TestLoadNamesWhatIsWrong(t *testing.T) {
	const one = "cases:\n- name: a\n  pod: {apiVersion: v1, kind: Pod, metadata: {name: x}}\n"
	for content, want := range map[string]string{
		one + "  expect:\n    patch:\n    # - {op: remove, path: /spec/hostname}\n\n\n": "5: patch: the field is empty: give it a value, or take it out",
		one + "  expect: {outcome: mutated,\n    message: null}\n":                      "5: message: the field is empty: give it a value, or take it out",
		"user:\n" + one: "1: user: the field is empty: give it a value, or take it out",
		one + "  expect:\n    patch:\n    - {op: remove, path: /spec/hostname, vaule: x}\n": "6: vaule: the field is unknown; did you mean value?",
		one + "  expect:\n    patch:\n    - {op: remove}\n":                                 "6: an operation of patch needs op and path",
		one + "  expect:\n    patch:\n    - {op: delete, path: /a}\n":                       "6: op \"delete\": allowed are add, remove, replace, move, copy, test",
		one + "  expect:\n    pod:\n      /spec/a: null\n      spec.hostNetwork: null\n":    "7: pod: spec.hostNetwork: a Pod has no such field; expected apiVersion, kind, metadata, spec or status, or a JSON pointer that begins so: /metadata/name",
		one + "  expect: {pod: {}}\n":                                                       "4: pod: expected fields of the Pod, or JSON pointers, each with its value",
	} {
		t.Run(want, func(t *testing.T) {
			file := write(t, content)
			if _, err := suite.Load(file); err == nil || err.Error() != file+":"+want {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestAPatchIsComparedAsThePodIs: a date and a number are what they are in YAML of the API server.
func TestAPatchIsComparedAsThePodIs(t *testing.T) {
	options := suite.Options{Asker: asker(t), Endpoints: []string{endpoint(t)}, Timeout: patience}
	for expect, pass := range map[string]bool{
		"patch: [{op: add, path: /metadata/labels/team, value: red}, {op: replace, path: /metadata/labels/day, value: 2026-01-01}]": false,
		"patch: [{op: add, path: /metadata/labels/team, value: red}, {op: add, path: /metadata/labels/day, value: 2026-01-01}]":     true,
		"patch: [{op: add, path: /metadata/labels/team, value: red}, {op: add, path: /metadata/labels/day, value: 2026-01-02}]":     false,
	} {
		s, err := suite.Load(write(t, "cases:\n- name: one\n"+strings.TrimSuffix(pod("red"), "\n")+"\n  expect: {"+expect+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if r := suite.Run(t.Context(), s, options)[0]; r.Passed != pass {
			t.Errorf("%s: %+v", expect, r)
		}
	}
}
