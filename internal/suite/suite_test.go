package suite_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/internal/suite"
)

// TestSchemaAndParserAgree: both take the samples' suites, and both refuse what is wrong.
func TestSchemaAndParserAgree(t *testing.T) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(suite.Schema))
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
		"every field":       {"endpoint: [a, b]\nvalidation: c\nuser: u\ngroups: [g]\nnamespace: ns\nfailurePolicy: Ignore\ntimeout: 1s\ndryRun: true\ncases:\n- name: a\n  endpoint: e\n  validation: [v]\n  user: u\n  groups: []\n  namespace: ns\n  failurePolicy: Fail\n  timeout: 1s\n  dryRun: false\n" + pod + "  expect: {outcome: mutated, denied: false, message: m, warning: w, unchanged: false, idempotent: true, pod: {/a: 1}, patch: [{op: add, path: /a, value: 1}]}\n", true},
		"an unknown field":  {"cases:\n- name: a\n  x: 1\n" + pod, false},
		"an unknown wish":   {"cases:\n- name: a\n" + pod + "  expect: {result: 1}\n", false},
		"no cases":          {"cases: []\n", false},
		"no Pod":            {"cases:\n- name: a\n", false},
		"no name":           {"cases:\n- file: x\n", false},
		"another policy":    {"failurePolicy: Warn\ncases:\n- name: a\n" + pod, false},
		"another outcome":   {"cases:\n- name: a\n" + pod + "  expect: {outcome: fine}\n", false},
		"a time below 0":    {"timeout: -5s\ncases:\n- name: a\n" + pod, false},
		"a time in words":   {"cases:\n- name: a\n  timeout: soon\n" + pod, false},
		"a patch of text":   {"cases:\n- name: a\n" + pod + "  expect: {patch: x}\n", false},
		"a Pod of a number": {"cases:\n- name: a\n" + pod + "  expect: {pod: 1}\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "suite.yaml")
			if err := os.WriteFile(file, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			judge(t, file, test.good)
		})
	}
	var fields struct {
		Defs struct {
			Expect struct{ Properties map[string]any } `json:"expect"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(suite.Schema, &fields); err != nil || !slices.Equal(slices.Sorted(maps.Keys(fields.Defs.Expect.Properties)), suite.Expected) {
		t.Errorf("%v: the schema's expect has %v", err, slices.Sorted(maps.Keys(fields.Defs.Expect.Properties)))
	}
}
