package describe

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/txn2/amp/endpoints/events"
)

func TestWhereNamesTheKeysAbove(t *testing.T) {
	t.Parallel()
	text := strings.Split(`apiVersion: v1
metadata:
  labels:
    app: x
spec:
  containers:
  - env:
    - name: A
      value: "1"
    - name: B
      valueFrom:
        secretKeyRef:
          key: k
    image: i
  - args:
    - a
    - b
    name: second
    securityContext:
      runAsUser: 1
  volumes: []`, "\n")
	for i, want := range []string{
		"", "", "metadata", "metadata › labels", "", "spec", "spec › containers[0]", "spec › containers[0] › env[0]", "spec › containers[0] › env[0]",
		"spec › containers[0] › env[1]", "spec › containers[0] › env[1]", "spec › containers[0] › env[1] › valueFrom", "spec › containers[0] › env[1] › valueFrom › secretKeyRef",
		"spec › containers[0]", "spec › containers[1]", "spec › containers[1] › args[0]", "spec › containers[1] › args[1]", "spec › containers[1]", "spec › containers[1]",
		"spec › containers[1] › securityContext", "spec",
	} {
		if got := where(text, i); got != want {
			t.Errorf("line %d, %q: %q, want %q", i+1, text[i], got, want)
		}
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	pod := json.RawMessage(`{"kind":"Pod","spec":{"containers":[{"name":"a","image":"x"}]}}`)
	for name, tc := range map[string]struct {
		data   events.Data
		reason string // the beginning of it, or
		lines  string // those that differ
	}{
		"a change": {events.Data{Outcome: "mutated", Object: pod, Patch: []events.Op{{Op: "replace", Path: "/spec/containers/0/image", Value: json.RawMessage(`"y"`)}}},
			"", "-  - image: x\n+  - image: \"y\""},
		"several ops in their order": {events.Data{Outcome: "shadowed", Object: pod, Patch: []events.Op{{Op: "add", Path: "/metadata", Value: json.RawMessage(`{}`)}, {Op: "add", Path: "/metadata/name", Value: json.RawMessage(`"n"`)}}},
			"", "+metadata:\n+  name: \"n\""},
		"a level without the Pod":           {events.Data{Outcome: "mutated", Level: "Patch"}, "An event of level Patch does not hold the Pod.", ""},
		"nothing answered":                  {events.Data{Outcome: "rejected", Object: pod}, "amp answered no patch.", ""},
		"a validated Pod":                   {events.Data{Outcome: "validated", Object: pod}, "/validate changes nothing", ""},
		"no difference":                     {events.Data{Outcome: "mutated", Object: pod, Patch: []events.Op{{Op: "test", Path: "/kind", Value: json.RawMessage(`"Pod"`)}}}, "The patch leaves the Pod as it was.", ""},
		"a patch that does not apply":       {events.Data{Outcome: "mutated", Object: pod, Patch: []events.Op{{Op: "remove", Path: "/nowhere"}}}, "The patch does not apply to the Pod in this event: ", ""},
		"an op on which the library panics": {events.Data{Outcome: "mutated", Object: pod, Patch: []events.Op{{Op: "replace", Path: ""}}}, "The patch does not apply to the Pod in this event: ", ""},
		"a patch that copies without end":   {events.Data{Outcome: "mutated", Object: pod, Patch: bomb()}, "The patch does not apply to the Pod in this event: ", ""},
		"a Pod that is none":                {events.Data{Outcome: "mutated", Object: json.RawMessage(`7`), Patch: []events.Op{{Op: "add", Path: "/a", Value: json.RawMessage(`1`)}}}, "The patch does not apply", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := DiffOf(&tc.data)
			var lines []string
			for _, h := range d.Hunks {
				for _, l := range h.Lines {
					if l.Op != " " {
						lines = append(lines, l.Op+l.Text)
					}
				}
			}
			if got := strings.Join(lines, "\n"); !strings.HasPrefix(d.Reason, tc.reason) || d.Reason != "" && tc.reason == "" || got != tc.lines {
				t.Errorf("reason %q, lines\n%s", d.Reason, got)
			}
			Changes(&tc.data) // must bear it
			Gist(&tc.data)
		})
	}
}

// bomb doubles the Pod with each operation.
func bomb() []events.Op {
	var ops []events.Op
	for i := range 60 {
		ops = append(ops, events.Op{Op: "copy", From: "/spec", Path: "/spec/" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)})
	}
	return ops
}
