package rules_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/patch/patchtest"
)

// spec returns a Pod with these fields in its spec, which a webhook sees after the API server computed some.
func spec(fields string) string {
	return `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"w","namespace":"ns"},"spec":{` + fields + `"containers":[{"name":"main","image":"i"}]}}`
}

var (
	priority = spec(`"priority":0,"preemptionPolicy":"PreemptLowerPriority",`)
	class    = spec(`"priorityClassName":"a","priority":10,"preemptionPolicy":"Never",`)
	overhead = spec(`"runtimeClassName":"a","overhead":{"cpu":"1"},`)
)

// TestDerivedValues tells which ops amp adds to those of the endpoint.
func TestDerivedValues(t *testing.T) {
	for sentence, test := range map[string]struct {
		pod, ops string
		added    string // paths of removes
		warning  string // a part of the only one
	}{
		"a class on a Pod with a computed priority": {priority, `[{"op":"add","path":"/spec/priorityClassName","value":"b"}]`, "/spec/priority /spec/preemptionPolicy", ""},
		"another class":                                     {class, `[{"op":"replace","path":"/spec/priorityClassName","value":"b"}]`, "/spec/priority /spec/preemptionPolicy", ""},
		"no class":                                          {class, `[{"op":"remove","path":"/spec/priorityClassName"}]`, "/spec/priority /spec/preemptionPolicy", ""},
		"an empty class":                                    {class, `[{"op":"replace","path":"/spec/priorityClassName","value":""}]`, "/spec/priority /spec/preemptionPolicy", ""},
		"the same class":                                    {class, `[{"op":"replace","path":"/spec/priorityClassName","value":"a"},{"op":"add","path":"/metadata/labels/x","value":"y"}]`, "", ""},
		"an empty class in place of none":                   {priority, `[{"op":"add","path":"/spec/priorityClassName","value":""}]`, "", ""},
		"a class and back":                                  {class, `[{"op":"replace","path":"/spec/priorityClassName","value":"b"},{"op":"replace","path":"/spec/priorityClassName","value":"a"},{"op":"add","path":"/metadata/labels/x","value":"y"}]`, "", ""},
		"a class on a Pod without computed values":          {patchtest.Bare, `[{"op":"add","path":"/spec/priorityClassName","value":"b"}]`, "", ""},
		"a class on a Pod with a priority that is null":     {spec(`"priority":null,`), `[{"op":"add","path":"/spec/priorityClassName","value":"b"}]`, "", ""},
		"a class, and the endpoint removes the priority":    {priority, `[{"op":"add","path":"/spec/priorityClassName","value":"b"},{"op":"remove","path":"/spec/priority"}]`, "/spec/preemptionPolicy", ""},
		"a class and a priority of the endpoint's own":      {priority, `[{"op":"add","path":"/spec/priorityClassName","value":"b"},{"op":"replace","path":"/spec/priority","value":7}]`, "/spec/priority /spec/preemptionPolicy", `op 2 (replace "/spec/priority"): amp leaves it out: the API server computes spec.priority from spec.priorityClassName`},
		"a whole spec with a class":                         {priority, `[{"op":"replace","path":"/spec","value":{"priorityClassName":"b","priority":0,"containers":[{"name":"main","image":"i"}]}}]`, "/spec/priority", ""},
		"a class of runtimes in place of one with overhead": {overhead, `[{"op":"replace","path":"/spec/runtimeClassName","value":"b"}]`, "/spec/overhead", ""},
		"no class of runtimes":                              {overhead, `[{"op":"remove","path":"/spec/runtimeClassName"}]`, "/spec/overhead", ""},
		"a class of runtimes on a Pod without overhead":     {patchtest.Bare, `[{"op":"add","path":"/spec/runtimeClassName","value":"b"}]`, "", ""},
		"a class of runtimes and an overhead":               {patchtest.Bare, `[{"op":"add","path":"/spec/runtimeClassName","value":"b"},{"op":"add","path":"/spec/overhead","value":{"cpu":"1"}}]`, "/spec/overhead", `op 2 (add "/spec/overhead"): amp leaves it out`},
		"both classes": {spec(`"priority":0,"overhead":{"cpu":"1"},"runtimeClassName":"a",`), `[{"op":"add","path":"/spec/priorityClassName","value":"b"},{"op":"replace","path":"/spec/runtimeClassName","value":"b"}]`,
			"/spec/priority /spec/overhead", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			// What amp removes is not the endpoint's doing, so that a denied place does not matter.
			var deny []string
			if !strings.Contains(test.ops, `"/spec/priority"`) && !strings.Contains(test.ops, `"/spec"`) {
				deny = []string{"/spec/priority"}
			}
			checked, err := patchtest.NewChecker(t, deny...).Check(t.Context(), "ns", json.RawMessage(test.pod), patchtest.Ops(t, test.ops))
			if err != nil {
				t.Fatal(err)
			}
			var added []string
			for _, op := range checked.Ops {
				if op.Op == "remove" && !strings.Contains(test.ops, `"op":"remove","path":"`+op.Path+`"`) {
					added = append(added, op.Path)
				}
			}
			if diff := cmp.Diff(test.added, strings.Join(added, " ")); diff != "" {
				t.Errorf("removed (-want +got):\n%s", diff)
			}
			if got := strings.Join(checked.Warnings, "\n"); !strings.Contains(got, test.warning) || (test.warning == "") != (got == "") && !strings.Contains(got, "drops") {
				t.Errorf("warnings %q, want %q", got, test.warning)
			}
			if err := patchtest.Property(json.RawMessage(test.pod), checked, nil); err != nil {
				t.Error(err)
			}
		})
	}
}
