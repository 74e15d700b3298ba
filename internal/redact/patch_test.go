package redact

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/fuzztest"
)

const aPod = `{"metadata":{"labels":{"team":"data"},"annotations":{"note":"s3cret-note"}},"spec":{"hostname":"web","containers":[` +
	`{"name":"app","image":"registry/app","args":["s3cret-arg"],"env":[{"name":"TOKEN","value":"s3cret-env"},{"name":"KEY","value":"s3cret-key"}]},` +
	`{"name":"side","image":"registry/side"}],"volumes":[]}}`

// TestAValueIsShownOnlyIfAllItsPlacesMayBe: each secret of these patches is at a place that is not shown, before or after
// it is at one that is.
func TestAValueIsShownOnlyIfAllItsPlacesMayBe(t *testing.T) {
	for name, test := range map[string]struct {
		ops  string
		want string // what is shown, without spaces
	}{
		"moved from a shown place to a hidden one": {
			`{"op":"add","path":"/spec/hostname","value":"s3cret"},{"op":"move","from":"/spec/hostname","path":"/spec/containers/0/env/0/value"}`,
			`"[redacted]" -`},
		"copied from a shown place to a hidden one": {
			`{"op":"add","path":"/spec/hostname","value":"s3cret"},{"op":"copy","from":"/spec/hostname","path":"/spec/containers/0/env/0/value"}`,
			`"[redacted]" -`},
		"copied twice, and only the second copy goes to a hidden place": {
			`{"op":"add","path":"/spec/hostname","value":"s3cret"},{"op":"copy","from":"/spec/hostname","path":"/spec/subdomain"},` +
				`{"op":"copy","from":"/spec/subdomain","path":"/metadata/labels/x"},{"op":"remove","path":"/spec/subdomain"},` +
				`{"op":"move","from":"/metadata/labels/x","path":"/metadata/annotations/x"}`,
			`"[redacted]" - - - -`},
		"moved from a hidden place to a shown one, and tested there": {
			`{"op":"add","path":"/metadata/annotations/x","value":"s3cret"},{"op":"move","from":"/metadata/annotations/x","path":"/spec/hostname"},` +
				`{"op":"test","path":"/spec/hostname","value":"s3cret"}`,
			`"[redacted]" - "[redacted]"`},
		"of the Pod, moved to a shown place and tested there": {
			`{"op":"move","from":"/spec/containers/0/env/0/value","path":"/spec/hostname"},{"op":"test","path":"/spec/hostname","value":"s3cret-env"}`,
			`- "[redacted]"`},
		"of the Pod, copied to a shown place and tested there with what is around it": {
			`{"op":"copy","from":"/spec/containers/0/args/0","path":"/metadata/labels/x"},{"op":"test","path":"/metadata/labels","value":{"team":"data","x":"s3cret-arg"}}`,
			`- {"team":"data","x":"[redacted]"}`},
		"tested at a shown place, and moved to a hidden one after it": {
			`{"op":"replace","path":"/spec/hostname","value":"s3cret"},{"op":"test","path":"/spec/hostname","value":"s3cret"},` +
				`{"op":"move","from":"/spec/hostname","path":"/metadata/annotations/x"}`,
			`"[redacted]" "[redacted]" -`},
		"of the Pod, tested at a shown place, then moved to a hidden one": {
			`{"op":"test","path":"/metadata/labels/team","value":"data"},{"op":"move","from":"/metadata/labels/team","path":"/metadata/annotations/x"}`,
			`"[redacted]" -`},
		"a whole container, whose image becomes an argument": {
			`{"op":"add","path":"/spec/containers/-","value":{"name":"n","image":"s3cret","env":[{"name":"A","value":"s3cret"}]}},` +
				`{"op":"move","from":"/spec/containers/2/image","path":"/spec/containers/0/args/0"}`,
			`{"name":"n","image":"[redacted]","env":[{"name":"A","value":"[redacted]"}]} -`},
		"a copied container, tested": {
			`{"op":"copy","from":"/spec/containers/0","path":"/spec/initContainers"},{"op":"remove","path":"/spec/initContainers"},` +
				`{"op":"add","path":"/spec/initContainers","value":[]},{"op":"copy","from":"/spec/containers/0","path":"/spec/initContainers/-"},` +
				`{"op":"test","path":"/spec/initContainers/0","value":{"name":"app","image":"registry/app","args":["s3cret-arg"],"env":[{"name":"TOKEN","value":"s3cret-env"},{"name":"KEY","value":"s3cret-key"}]}}`,
			`- - [] - "[redacted]"`}, // it stood where a list belongs
		"a container copied to its like, tested": {
			`{"op":"copy","from":"/spec/containers/0","path":"/spec/containers/-"},` +
				`{"op":"test","path":"/spec/containers/2","value":{"name":"app","image":"registry/app","args":["s3cret-arg"],"env":[{"name":"TOKEN","value":"s3cret-env"},{"name":"KEY","value":"s3cret-key"}]}}`,
			`- {"name":"app","image":"registry/app","args":["[redacted]"],"env":[{"name":"TOKEN","value":"[redacted]"},{"name":"KEY","value":"[redacted]"}]}`},
		"a list moves on before the index is used": {
			`{"op":"add","path":"/spec/containers/0/env/0","value":{"name":"FIRST","value":"s3cret"}},{"op":"move","from":"/spec/containers/0/env/1/value","path":"/spec/hostname"},` +
				`{"op":"test","path":"/spec/hostname","value":"s3cret-env"}`,
			`{"name":"FIRST","value":"[redacted]"} - "[redacted]"`},
		"an index from the end": {
			`{"op":"move","from":"/spec/containers/0/env/-1/value","path":"/spec/hostname"},{"op":"test","path":"/spec/hostname","value":"s3cret-key"}`,
			`- "[redacted]"`},
		"an insertion by an index from the end, which counts from behind the last element": {
			`{"op":"add","path":"/spec/containers/0/env/-1","value":{"name":"s3cret"}},{"op":"move","from":"/spec/containers/0/env/-1/name","path":"/spec/containers/0/env/0/value"}`,
			`{"name":"[redacted]"} -`},
		"labels become annotations": {
			`{"op":"add","path":"/metadata/labels","value":{"a":"s3cret"}},{"op":"test","path":"/metadata/labels/a","value":"s3cret"},{"op":"move","from":"/metadata/labels","path":"/metadata/annotations"}`,
			`{"a":"[redacted]"} "[redacted]" -`},
		"an object goes to where keys are data": {
			`{"op":"add","path":"/metadata/labels","value":{"s3cret":"x"}},{"op":"move","from":"/metadata/labels","path":"/metadata/annotations/x"}`,
			`"[redacted]" -`},
		"a number that was an annotation": {
			`{"op":"add","path":"/metadata/annotations/pin","value":1234},{"op":"move","from":"/metadata/annotations/pin","path":"/spec/priority"},{"op":"test","path":"/spec/priority","value":1234}`,
			`"[redacted]" - "[redacted]"`},
		"what is copied with something that is changed after it": {
			`{"op":"copy","from":"/metadata/labels","path":"/spec/nodeSelector"},{"op":"add","path":"/spec/nodeSelector/x","value":"s3cret"},` +
				`{"op":"test","path":"/spec/nodeSelector","value":{"team":"data","x":"s3cret"}},{"op":"move","from":"/spec/nodeSelector/x","path":"/metadata/annotations/x"}`,
			`- "[redacted]" {"team":"data","x":"[redacted]"} -`},
		"through a place that no Pod has": {
			`{"op":"add","path":"/spec/contianers","value":[{"image":"s3cret"}]},{"op":"move","from":"/spec/contianers/0/image","path":"/spec/hostname"},{"op":"test","path":"/spec/hostname","value":"s3cret"}`,
			`["[redacted]"] - "[redacted]"`},
		"from nothing": {
			`{"op":"copy","from":"/spec/nothing","path":"/spec/hostname"},{"op":"test","path":"/spec/hostname","value":null}`,
			`- null`},
		"between shown places all stays shown": {
			`{"op":"add","path":"/spec/hostname","value":"web-1"},{"op":"copy","from":"/spec/hostname","path":"/metadata/labels/host"},` +
				`{"op":"test","path":"/metadata/labels/host","value":"web-1"},{"op":"copy","from":"/spec/containers/0/image","path":"/spec/containers/1/image"},` +
				`{"op":"test","path":"/spec/containers/1/image","value":"registry/app"},{"op":"add","path":"/metadata/annotations/x","value":"s3cret"}`,
			`"web-1" - "web-1" - "registry/app" "[redacted]"`},
		"what is behind the end of a list cannot be followed": {
			`{"op":"add","path":"/spec/hostname","value":"s3cret"},{"op":"move","from":"/spec/containers/9/image","path":"/spec/subdomain"}`,
			`"[redacted]" -`},
	} {
		t.Run(name, func(t *testing.T) {
			var ops []events.Op
			if err := json.Unmarshal([]byte("["+test.ops+"]"), &ops); err != nil {
				t.Fatal(err)
			}
			Patch(json.RawMessage(aPod), ops)
			var shown []string
			for _, op := range ops {
				text := "-"
				if op.Value != nil {
					text = string(op.Value)
				}
				shown = append(shown, text)
			}
			got := strings.Join(shown, " ")
			if got != test.want {
				t.Errorf("shown\n%s\nwant\n%s", got, test.want)
			}
			if strings.Contains(got, "s3cret") {
				t.Error("a secret is shown")
			}
		})
	}
}

// TestWithoutMovesNothingChanges: a patch that only adds, replaces and tests is shown as each of its values alone.
func TestWithoutMovesNothingChanges(t *testing.T) {
	ops := []events.Op{{Op: "add", Path: "/spec", Value: json.RawMessage(`{"hostname":"a","containers":[{"args":["s3cret"]}]}`)}, {Op: "remove", Path: "/spec/nothing/0"},
		{Op: "test", Path: "/metadata/annotations", Value: json.RawMessage(`{"a":"s3cret"}`)}, {Op: "add", Path: "/spec/hostname", Value: json.RawMessage(`{`)}}
	Patch(json.RawMessage(`not JSON`), ops)
	got := fmt.Sprintf("%s %s %s %s", ops[0].Value, ops[1].Value, ops[2].Value, ops[3].Value)
	if want := `{"hostname":"a","containers":[{"args":["[redacted]"]}]}  {"a":"[redacted]"} "[redacted]"`; got != want {
		t.Errorf("shown %s, want %s", got, want)
	}
}

// TestFollowingIsBounded: a patch may move a large value to and fro, and copy what holds copies.
func TestFollowingIsBounded(t *testing.T) {
	large := `{"metadata":{"labels":{` + strings.TrimSuffix(strings.Repeat(`"a":"b",`, 40_000), ",") + `}},"spec":{"x":[` + strings.TrimSuffix(strings.Repeat(`[[]],`, 300_000), ",") + `]}}`
	for name, pair := range map[string][2]events.Op{
		"a large list":       {{Op: "copy", From: "/spec/x/0", Path: "/spec/x/-"}, {Op: "move", From: "/spec/x/0", Path: "/spec/x/-"}},
		"what holds itself":  {{Op: "copy", From: "/spec", Path: "/spec/y"}, {Op: "copy", From: "/spec", Path: "/spec/z"}},
		"to and fro":         {{Op: "move", From: "/spec/x", Path: "/metadata/x"}, {Op: "move", From: "/metadata/x", Path: "/spec/x"}},
		"a label to and fro": {{Op: "move", From: "/metadata/labels/a", Path: "/metadata/labels/b"}, {Op: "move", From: "/metadata/labels/b", Path: "/metadata/labels/a"}},
	} {
		t.Run(name, func(t *testing.T) {
			ops := []events.Op{{Op: "add", Path: "/spec/hostname", Value: json.RawMessage(`"s3cret"`)}, {Op: "copy", From: "/spec/hostname", Path: "/metadata/annotations"}}
			for range 5000 {
				ops = append(ops, pair[0], pair[1])
			}
			fuzztest.Within(t, 3*time.Second, 4<<30, func() { Patch(json.RawMessage(large), ops) })
			if string(ops[0].Value) != redacted {
				t.Errorf("shown %s", ops[0].Value)
			}
		})
	}
}
