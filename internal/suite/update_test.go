package suite_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/internal/suite"
	"github.com/txn2/amp/internal/tryout"
)

// patience is a time that no test waits for.
const patience = 20 * time.Second // other tests run beside it

// endpoint answers with what stands in the Pod's annotation answer; "500" is a failure, and without one nothing changes.
func endpoint(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch text := string(body); {
		case strings.Contains(text, `"answer":"red"`):
			_, _ = io.WriteString(w, `{"patch": [{"op":"add","path":"/metadata/labels/team","value":"red"},{"op":"add","path":"/metadata/labels/day","value":"2026-01-01"}], "warnings": ["a new team", "it is red"]}`)
		case strings.Contains(text, `"answer":"denied"`):
			_, _ = io.WriteString(w, `{"allowed":false,"status":{"message":"no GPUs left"}}`)
		case strings.Contains(text, `"answer":"500"`):
			w.WriteHeader(http.StatusInternalServerError)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// asker asks as amp does by default.
func asker(t *testing.T) *tryout.Asker {
	t.Helper()
	a, err := tryout.NewAsker("", "")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func pod(answer string) string {
	return "  pod: {apiVersion: v1, kind: Pod, metadata: {name: web, annotations: {answer: \"" + answer + "\"}, labels: {day: x}}, spec: {containers: [{name: a, image: b}]}}\n"
}

// TestUpdateRewritesOnlyWhatDiffers: each file is whole, before and after.
func TestUpdateRewritesOnlyWhatDiffers(t *testing.T) {
	options := suite.Options{Asker: asker(t), Endpoints: []string{endpoint(t)}, Timeout: patience}
	for name, test := range map[string]struct{ before, after string }{
		"an alias that differs, and its anchor holds": {
			"cases:\n- name: one\n" + pod("") + "  expect: &e {unchanged: true}\n- name: two\n" + pod("denied") + "  expect: *e\n",
			"cases:\n- name: one\n" + pod("") + "  expect: &e {unchanged: true}\n- name: two\n" + pod("denied") + "  expect: {outcome: denied, message: no GPUs left}\n",
		},
		"an anchor that differs, and its alias holds": {
			"cases:\n- name: one\n" + pod("denied") + "  expect: &e {unchanged: true}\n- name: two\n" + pod("") + "  expect: *e # the same\n",
			"cases:\n- name: one\n" + pod("denied") + "  expect: &e {outcome: denied, message: no GPUs left}\n- name: two\n" + pod("") + "  expect: {unchanged: true} # the same\n",
		},
		"an anchor within what differs": {
			"cases:\n- name: one\n" + pod("red") + "  expect: {pod: &p {/metadata/labels/team: &t blue}}\n- name: two\n" + pod("") + "  expect: {pod: {/metadata/name: web}, message: ''}\n- name: three\n  user: *t\n" + pod("red") + "  expect: {pod: *p}\n",
			"cases:\n- name: one\n" + pod("red") + "  expect: {pod: &p {/metadata/labels/team: red}}\n- name: two\n" + pod("") + "  expect: {pod: {/metadata/name: web}, message: ''}\n- name: three\n  user: blue\n" + pod("red") + "  expect: {pod: {/metadata/labels/team: red}}\n",
		},
		"the second warning holds": {
			"cases:\n- name: one\n" + pod("red") + "  expect: {warning: it is, outcome: unchanged}\n",
			"cases:\n- name: one\n" + pod("red") + "  expect: {warning: it is, outcome: mutated}\n",
		},
		"any warning holds": {
			"cases:\n- name: one\n" + pod("red") + "  expect: {warning: '', outcome: unchanged}\n",
			"cases:\n- name: one\n" + pod("red") + "  expect: {warning: '', outcome: mutated}\n",
		},
		"a date of the Pod holds": {
			"cases:\n- name: one\n" + pod("red") + "  expect:\n    pod:\n      /metadata/labels/day: 2026-01-01\n      /metadata/labels/team: blue\n",
			"cases:\n- name: one\n" + pod("red") + "  expect:\n    pod:\n      /metadata/labels/day: 2026-01-01\n      /metadata/labels/team: red\n",
		},
		"a merged part of the Pod differs": {
			"cases:\n- name: one\n" + pod("") + "  expect: {pod: {/metadata/labels: &l {day: x}}}\n- name: two\n" + pod("red") + "  expect: {pod: {/metadata/labels: {<<: *l, team: red}}}\n",
			"cases:\n- name: one\n" + pod("") + "  expect: {pod: {/metadata/labels: &l {day: x}}}\n- name: two\n" + pod("red") + "  expect: {pod: {/metadata/labels: {day: \"2026-01-01\", team: red}}}\n",
		},
		"a merged part of a Pod that is sent": {
			"cases:\n- name: one\n  pod: {apiVersion: v1, kind: Pod, metadata: &m {name: web}, spec: {containers: [{name: a, image: b}]}}\n  expect: {unchanged: true}\n- name: two\n  pod: {apiVersion: v1, kind: Pod, metadata: {<<: *m, labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}\n  expect: {unchanged: false}\n",
			"cases:\n- name: one\n  pod: {apiVersion: v1, kind: Pod, metadata: &m {name: web}, spec: {containers: [{name: a, image: b}]}}\n  expect: {unchanged: true}\n- name: two\n  pod: {apiVersion: v1, kind: Pod, metadata: {<<: *m, labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}\n  expect: {unchanged: true}\n",
		},
		"the endpoint fails": {
			"cases:\n- name: one\n" + pod("500") + "  expect: {pod: {/metadata/name: web}, patch: [], unchanged: true}\n",
			"",
		},
		"the endpoint fails under Ignore": {
			"cases:\n- name: one\n  failurePolicy: Ignore\n" + pod("500") + "  expect: {outcome: mutated}\n",
			"",
		},
		"the endpoint fails, and a denial is expected": {
			"cases:\n- name: one\n" + pod("500") + "  expect: {denied: true, message: no GPUs}\n",
			"",
		},
		"the endpoint fails, and nothing is expected yet": {
			"cases:\n- name: one\n" + pod("500"),
			"",
		},
		"the endpoint fails otherwise than is expected": {
			"cases:\n- name: one\n  failurePolicy: Ignore\n" + pod("500") + "  expect: {outcome: rejected, message: '500'}\n",
			"cases:\n- name: one\n  failurePolicy: Ignore\n" + pod("500") + "  expect: {outcome: failedopen, message: '500'}\n",
		},
		"it fails no longer": {
			"cases:\n- name: one\n" + pod("") + "  expect: {outcome: rejected, message: '500'}\n",
			"cases:\n- name: one\n" + pod("") + "  expect: {outcome: unchanged}\n",
		},
		"the Pod is denied": {
			"cases:\n- name: one\n" + pod("denied") + "  expect: {pod: {/metadata/labels/team: red}, idempotent: true, unchanged: true}\n",
			"cases:\n- name: one\n" + pod("denied") + "  expect: {outcome: denied, message: no GPUs left}\n",
		},
		"the message differs": {
			"cases:\n- name: one\n" + pod("denied") + "  expect: {denied: true, message: no CPUs left} # why\n",
			"cases:\n- name: one\n" + pod("denied") + "  expect: {denied: true, message: no GPUs left} # why\n",
		},
		"nothing is expected yet": {
			"cases:\n- name: one\n" + pod(""),
			"cases:\n- name: one\n" + pod("") + "  expect:\n    outcome: unchanged\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "suite.yaml")
			if err := os.WriteFile(file, []byte(test.before), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := suite.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			results := suite.Run(t.Context(), s, options)
			changed, err := suite.Update(s, results)
			if err != nil || len(changed) == 0 != (test.after == "") {
				t.Fatalf("changed %q, %v", changed, err)
			}
			if test.after == "" {
				if r := results[0]; r.Passed || !strings.Contains(r.Error+r.Seen+strings.Join(of(r), " "), "500") {
					t.Errorf("%+v", r)
				}
				test.after = test.before
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := strings.ReplaceAll(string(got), "  - ", "- "), test.after; flat(got) != flat(want) {
				t.Errorf("%s\nwant\n%s", got, want)
			}
			if s, err = suite.Load(file); err != nil {
				t.Fatal(err)
			}
			for _, r := range suite.Run(t.Context(), s, options) {
				if r.Passed == (test.after == test.before) {
					t.Errorf("afterwards: %+v", r)
				}
			}
		})
	}
}

// flat is a text without the places of its line breaks: the writer of YAML indents, and breaks lines, in its own way.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// of are the texts of a result's differences.
func of(r suite.Result) (all []string) {
	for _, d := range r.Differences {
		if text, ok := d.Got.(string); ok {
			all = append(all, text)
		}
	}
	return all
}
