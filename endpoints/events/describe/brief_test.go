package describe_test

import (
	"encoding/json"
	"testing"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/endpoints/events/describe"
)

func TestTheGistNamesWhatChanges(t *testing.T) {
	t.Parallel()
	const pod = `{"metadata":{"labels":{"app":"x"}},"spec":{"volumes":[{"name":"old"}],"containers":[{"name":"notebook","image":"a:1","env":[{"name":"OLD","value":"1"}]},{"name":"side"}]}}`
	op := func(kind, path, value string) events.Op {
		return events.Op{Step: 1, Op: kind, Path: path, Value: json.RawMessage(value)}
	}
	stamp := events.Op{Op: "add", Path: "/metadata/annotations/amp.txn2.com~1event", Value: json.RawMessage(`"u"`)}
	for name, tc := range map[string]struct {
		want  string
		patch []events.Op
	}{
		"a volume and its mount are one thing": {"4 changes: env WORKSPACE, +1, volume workspaces", []events.Op{
			op("add", "/spec/containers/0/env/-", `{"name":"WORKSPACE","value":"w"}`), op("add", "/spec/containers/0/env/-", `{"name":"TEAM","value":"t"}`),
			op("add", "/spec/volumes/-", `{"name":"workspaces"}`), op("add", "/spec/containers/0/volumeMounts", `[{"name":"workspaces","mountPath":"/w"}]`), stamp}},
		"one of each":              {"3 changes: label team, image of notebook, cpu limit", []events.Op{op("add", "/metadata/labels/team", `"a"`), op("replace", "/spec/containers/0/image", `"b"`), op("add", "/spec/containers/0/resources/limits/cpu", `"1"`)}},
		"a variable's value":       {"1 change: env OLD", []events.Op{op("replace", "/spec/containers/0/env/0/value", `"2"`)}},
		"what goes":                {"2 changes: removes label app, removes volume old", []events.Op{op("remove", "/metadata/labels/app", ``), op("remove", "/spec/volumes/0", ``)}},
		"lists that are filled":    {"2 changes: toleration gpu", []events.Op{op("add", "/spec/tolerations", `[]`), op("add", "/spec/tolerations/-", `{"key":"gpu"}`)}},
		"one variable in two":      {"2 changes: env A", []events.Op{op("add", "/spec/containers/0/env/-", `{"name":"A"}`), op("add", "/spec/containers/1/env", `[{"name":"A"}]`)}},
		"several in one operation": {"1 change: env A, +2", []events.Op{op("add", "/spec/containers/1/env", `[{"name":"A"},{"name":"B"},{"name":"C"}]`)}},
		"other fields":             {"2 changes: spec.priorityClassName, securityContext", []events.Op{op("add", "/spec/priorityClassName", `"high"`), op("add", "/spec/securityContext/fsGroup", `100`)}},
		"more kinds than fit":      {"6 changes: label a, spec.a, spec.b, spec.c, spec.d, and more", []events.Op{op("add", "/metadata/labels/a", `""`), op("add", "/spec/a", `1`), op("add", "/spec/b", `1`), op("add", "/spec/c", `1`), op("add", "/spec/d", `1`), op("add", "/spec/e", `1`)}},
		"only amp's own":           {"1 change of amp's own", []events.Op{stamp}},
		"only a test":              {"1 change", []events.Op{op("test", "/metadata/labels/app", `"x"`)}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := describe.Gist(&events.Data{Outcome: "mutated", Object: json.RawMessage(pod), Patch: tc.patch}); got != tc.want {
				t.Errorf("it is %q, want %q", got, tc.want)
			}
		})
	}
}
