package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// TestAnEmptyEndpointIsNoEndpoint: a variable that is not set must not look like an endpoint that wants no change.
func TestAnEmptyEndpointIsNoEndpoint(t *testing.T) {
	dir := t.TempDir()
	pod := write(t, dir, "pod.yaml", aPod)
	const wants = "  file: pod.yaml\n  expect: {unchanged: true}\n"
	suite := write(t, dir, "suite.yaml", "cases:\n- name: nothing changes\n"+wants)
	for name, args := range map[string][]string{
		"try":                     {"try", "-f", pod, "--endpoint", ""},
		"try, of a chain":         {"try", "-f", pod, "--endpoint", "http://127.0.0.1:1/", "--endpoint", " "},
		"test":                    {"test", suite, "--endpoint", ""},
		"test, in the suite":      {"test", write(t, dir, "empty.yaml", "endpoint: ''\ncases:\n- name: nothing changes\n"+wants)},
		"test, without a value":   {"test", write(t, dir, "null.yaml", "endpoint:\ncases:\n- name: nothing changes\n"+wants)},
		"test, in a list of URLs": {"test", write(t, dir, "list.yaml", "endpoint: ['http://127.0.0.1:1/', '']\ncases:\n- name: nothing changes\n"+wants)},
		"replay":                  {"replay", "--events", pod, "--endpoint", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := run(t.Context(), args, &out, &errs); code != 2 || !strings.Contains(out.String()+errs.String(), "empty") {
				t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
			}
		})
	}
}

// TestASuiteIsReadWhole: what a suite says is compared, or is an error that names the line. It is never left out.
func TestASuiteIsReadWhole(t *testing.T) {
	server := httptest.NewServer(answers(200, "application/json", "[]"))
	t.Cleanup(server.Close)
	one := func(expect string) string {
		return "cases:\n- name: one\n  pod: {apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: a, image: b}]}}\n  expect: " + expect + "\n"
	}
	const other = "- name: two\n  pod: {apiVersion: v1, kind: Pod, metadata: {name: other, annotations: {day: '2024-01-01'}}, spec: {containers: [{name: a, image: b}]}}\n"
	for name, test := range map[string]struct {
		suite string
		code  int
		says  string
	}{
		"an alias, which does not hold":          {one("{pod: &want {/metadata/name: web}}") + other + "  expect: {pod: *want}\n", 1, "1 passed, 1 failed"},
		"an alias within a value":                {one("{pod: {/metadata: &want {name: web}}}") + other + "  expect: {pod: {/metadata: *want}}\n", 1, "1 passed, 1 failed"},
		"a Pod that shares a part with another":  {strings.Replace(one("{unchanged: true}"), "spec: {", "spec: &spec {", 1) + "- name: two\n  pod: {apiVersion: v1, kind: Pod, metadata: {name: two}, spec: *spec}\n  expect: {unchanged: true}\n", 0, "2 passed, 0 failed"},
		"a date, which is a text in a Pod":       {one("{unchanged: true}") + other + "  expect: {pod: {/metadata/annotations/day: 2024-01-01}}\n", 0, "2 passed, 0 failed"},
		"a second document":                      {one("{unchanged: true}") + "---\n" + one("{denied: true}"), 2, "suite.yaml:5: a second document"},
		"a second document that cannot be read":  {one("{unchanged: true}") + "---\na: [\n", 2, "suite.yaml: yaml: "},
		"a key that is a number":                 {one("{pod: {/metadata/labels: {1: x}}}"), 1, "pod /metadata/labels"},
		"a value that is not of its type":        {one("{pod: {/metadata/labels: !!int abc}}"), 2, "suite.yaml:4: pod: /metadata/labels: "},
		"a key that is there twice":              {one("{pod: {/metadata/labels: {a: 1, a: 2}}}"), 2, "suite.yaml:4: pod: /metadata/labels: "},
		"a number that is none":                  {one("{pod: {/metadata/labels: .nan}}"), 2, "suite.yaml:4: pod: /metadata/labels: "},
		"a pointer that is none":                 {one("{pod: {/spec/containers/~9: null}}"), 2, "suite.yaml:4: pod: "},
		"an index that is none":                  {one("{pod: {/spec/containers/0abc/name: a}}"), 1, "pod /spec/containers/0abc/name"},
		"aliases of aliases, which are too many": {one("{pod: {a: &a [x,x,x,x,x,x,x,x,x,x], b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a], c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b], d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c], e: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]}}"), 2, "too many values"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			file := write(t, t.TempDir(), "suite.yaml", test.suite)
			if code := run(t.Context(), []string{"test", file, "--endpoint", server.URL, "--timeout", patience}, &out, &errs); code != test.code || !strings.Contains(out.String()+errs.String(), test.says) {
				t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
			}
		})
	}

	t.Run("an update of one case leaves the other as it is", func(t *testing.T) {
		var out, errs bytes.Buffer
		file := write(t, t.TempDir(), "suite.yaml", one("{pod: &want {/metadata/name: web}}")+other+"  expect: {pod: *want}\n")
		if code := run(t.Context(), []string{"test", file, "--endpoint", server.URL, "--update", "--timeout", patience}, &out, &errs); code != 0 {
			t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
		}
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), "/metadata/name: web") || !strings.Contains(string(text), "/metadata/name: other") {
			t.Errorf("%v\n%s", err, text)
		}
	})
}
