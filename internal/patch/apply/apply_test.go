package apply_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/patchtest"
	"github.com/txn2/amp/internal/review"
)

func TestCompletion(t *testing.T) {
	for sentence, test := range map[string]struct{ pod, ops, want string }{
		"an add to a list that is there stays as it is": {
			patchtest.Rich, `[{"op":"add","path":"/spec/volumes/-","value":{"name":"x","emptyDir":{}}}]`,
			`[{"op":"add","path":"/spec/volumes/-","value":{"name":"x","emptyDir":{}}}]`,
		},
		"a missing list is made": {
			patchtest.Bare, `[{"op":"add","path":"/spec/initContainers/-","value":{"name":"x","image":"i"}}]`,
			`[{"op":"add","path":"/spec/initContainers","value":[]},{"op":"add","path":"/spec/initContainers/-","value":{"name":"x","image":"i"}}]`,
		},
		"a missing list in an element is made, once": {
			patchtest.Bare, `[{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"A"}},{"op":"add","path":"/spec/containers/0/env/0","value":{"name":"B"}}]`,
			`[{"op":"add","path":"/spec/containers/0/env","value":[]},{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"A"}},{"op":"add","path":"/spec/containers/0/env/0","value":{"name":"B"}}]`,
		},
		"a missing map is made although its key looks like an index": {
			patchtest.Bare, `[{"op":"add","path":"/metadata/annotations/0","value":"x"}]`,
			`[{"op":"add","path":"/metadata/annotations","value":{}},{"op":"add","path":"/metadata/annotations/0","value":"x"}]`,
		},
		"several missing parents are made, and escapes stay": {
			patchtest.Bare, `[{"op":"add","path":"/spec/containers/0/resources/limits/nvidia.com~1gpu","value":"1"}]`,
			`[{"op":"add","path":"/spec/containers/0/resources","value":{}},{"op":"add","path":"/spec/containers/0/resources/limits","value":{}},{"op":"add","path":"/spec/containers/0/resources/limits/nvidia.com~1gpu","value":"1"}]`,
		},
		"parents are made through inlined structs": {
			patchtest.Bare, `[{"op":"add","path":"/spec/containers/0/livenessProbe/exec/command/-","value":"x"}]`,
			`[{"op":"add","path":"/spec/containers/0/livenessProbe","value":{}},{"op":"add","path":"/spec/containers/0/livenessProbe/exec","value":{}},{"op":"add","path":"/spec/containers/0/livenessProbe/exec/command","value":[]},{"op":"add","path":"/spec/containers/0/livenessProbe/exec/command/-","value":"x"}]`,
		},
		"a parent that is null counts as missing": {
			patchtest.Rich, `[{"op":"add","path":"/spec/tolerations/-","value":{"operator":"Exists"}}]`,
			`[{"op":"add","path":"/spec/tolerations","value":[]},{"op":"add","path":"/spec/tolerations/-","value":{"operator":"Exists"}}]`,
		},
		"below an unknown field the next segment tells a list": {
			patchtest.Bare, `[{"op":"add","path":"/spec/newer/-","value":1},{"op":"add","path":"/spec/newest/a","value":1}]`,
			`[{"op":"add","path":"/spec/newer","value":[]},{"op":"add","path":"/spec/newer/-","value":1},{"op":"add","path":"/spec/newest","value":{}},{"op":"add","path":"/spec/newest/a","value":1}]`,
		},
		"an element after a negative index has its parents made": {
			patchtest.Rich, `[{"op":"add","path":"/spec/containers/-1/env/-","value":{"name":"A"}}]`,
			`[{"op":"add","path":"/spec/containers/-1/env","value":[]},{"op":"add","path":"/spec/containers/-1/env/-","value":{"name":"A"}}]`,
		},
		"a key of json-patch.v4's own is taken, replace of what is missing": {
			patchtest.Bare, `[{"op":"replace","path":"/spec/priorityClassName","value":"x"}]`,
			`[{"op":"replace","path":"/spec/priorityClassName","value":"x"}]`,
		},
		"a parent made of a copied null is made, where json-patch.v4 would panic": {
			patchtest.Bare, `[{"op":"add","path":"/metadata/annotations","value":null},{"op":"copy","from":"/metadata/annotations","path":"/metadata/labels"},{"op":"add","path":"/metadata/labels/x","value":"y"}]`,
			`[{"op":"add","path":"/metadata/annotations","value":null},{"op":"copy","from":"/metadata/annotations","path":"/metadata/labels"},{"op":"add","path":"/metadata/labels","value":{}},{"op":"add","path":"/metadata/labels/x","value":"y"}]`,
		},
		"no ops are no change":                        {patchtest.Rich, `[]`, `null`},
		"a test alone is no change":                   {patchtest.Rich, `[{"op":"test","path":"/spec/priority","value":10}]`, `null`},
		"a test of what is absent is no change":       {patchtest.Rich, `[{"op":"test","path":"/metadata/labels/zz","value":null}]`, `null`},
		"the same value spelt otherwise is no change": {patchtest.Rich, `[{"op":"replace","path":"/spec/priority","value":1.0e1},{"op":"replace","path":"/metadata/labels/app","value":"\u0077"}]`, `null`},
		"there and back is no change":                 {patchtest.Rich, `[{"op":"add","path":"/metadata/labels/x","value":"y"},{"op":"remove","path":"/metadata/labels/x"}]`, `null`},
		"order of keys is no change":                  {patchtest.Rich, `[{"op":"replace","path":"/spec/volumes/0","value":{"emptyDir":{},"name":"v"}}]`, `null`},
	} {
		t.Run(sentence, func(t *testing.T) {
			checked, err := patchtest.NewChecker(t).Check(t.Context(), "ns", json.RawMessage(test.pod), patchtest.Ops(t, test.ops))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(patchtest.Ops(t, test.want), checked.Ops); diff != "" {
				t.Errorf("ops (-want +got):\n%s", diff)
			}
			if len(checked.Ops) == 0 {
				if string(checked.Pod) != test.pod {
					t.Errorf("the Pod is not as it came: %s", checked.Pod)
				}
				if len(checked.Warnings) > 0 {
					t.Errorf("warnings without a change: %q", checked.Warnings)
				}
				return
			}
			if err := patchtest.Property(json.RawMessage(test.pod), checked, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOpsThatDoNotApply(t *testing.T) {
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"remove past the end": {
			patchtest.Rich, `[{"op":"test","path":"/kind","value":"Pod"},{"op":"test","path":"/kind","value":"Pod"},{"op":"remove","path":"/spec/containers/9"}]`,
			`op 3 (remove "/spec/containers/9"): the Pod has 2 containers`,
		},
		"replace past the end":                    {patchtest.Bare, `[{"op":"replace","path":"/spec/containers/1","value":{}}]`, `op 1 (replace "/spec/containers/1"): the Pod has 1 container, and indices count from 0`},
		"past the end of a list with an odd name": {patchtest.Bare, `[{"op":"add","path":"/spec/container /01","value":1}]`, `op 1 (add "/spec/container /01"): the Pod has no "container ": did you mean "/spec/containers/01"?`},
		"past the end of a list without a name":   {patchtest.Bare, `[{"op":"add","path":"/spec//01","value":1}]`, `op 1 (add "/spec//01"): the Pod has no "": "-" adds at the end`},
		"a list that is missing":                  {patchtest.Bare, `[{"op":"replace","path":"/spec/volumes/0","value":{}}]`, `op 1 (replace "/spec/volumes/0"): "/spec/volumes" is missing: add a whole element at "/spec/volumes/-", which also creates the list`},
		"an object that is missing":               {patchtest.Bare, `[{"op":"replace","path":"/spec/dnsConfig/searches","value":[]}]`, `op 1 (replace "/spec/dnsConfig/searches"): "/spec/dnsConfig" is missing: use add, which also creates missing parents`},
		"elements are not made up":                {patchtest.Bare, `[{"op":"add","path":"/spec/containers/1/env/-","value":{}}]`, `op 1 (add "/spec/containers/1/env/-"): the Pod has 1 container, and indices count from 0`},
		"nor in a list that was made":             {patchtest.Bare, `[{"op":"add","path":"/spec/initContainers/0/env/-","value":{}}]`, `op 1 (add "/spec/initContainers/0/env/-"): the Pod has no initContainers, and amp does not invent the elements of lists: add a whole one at "/spec/initContainers/-" first`},
		"nor for a dash":                          {patchtest.Bare, `[{"op":"add","path":"/spec/containers/-/env/-","value":{}}]`, `op 1 (add "/spec/containers/-/env/-"): "/spec/containers/-" does not name an element: only an add may end in "-"; use an index`},
		"past the end of an inner list":           {patchtest.Rich, `[{"op":"remove","path":"/spec/containers/0/env/2"}]`, `op 1 (remove "/spec/containers/0/env/2"): "/spec/containers/0/env" has 2 elements, and indices count from 0`},
		"a key for an index":                      {patchtest.Rich, `[{"op":"add","path":"/spec/containers/main","value":{}}]`, `op 1 (add "/spec/containers/main"): "/spec/containers" is a list, and "main" is not an index: "main" is at index 0`},
		"remove what is not there":                {patchtest.Bare, `[{"op":"remove","path":"/metadata/labels"}]`, `op 1 (remove "/metadata/labels"): "/metadata/labels" is missing: remove only what the Pod has`},
		"below a string":                          {patchtest.Bare, `[{"op":"add","path":"/metadata/namespace/x","value":1}]`, `op 1 (add "/metadata/namespace/x"): "/metadata/namespace" is not an object or a list, so it cannot hold "x"`},
		"the whole Pod":                           {patchtest.Bare, `[{"op":"replace","path":"","value":{}}]`, `op 1 (replace ""): its path is not a pointer to a field: it is the whole Pod, which a patch may not replace or read: name a field`},
		"the whole Pod, without a value":          {patchtest.Bare, `[{"op":"replace","path":""}]`, `op 1 (replace ""): its path is not a pointer to a field: it is the whole Pod, which a patch may not replace or read: name a field`},
		"a copy of the whole Pod":                 {patchtest.Bare, `[{"op":"copy","path":"/x","from":""}]`, `op 1 (copy "/x" from ""): it has no "from", or its "from" is the whole Pod: name a field`},
		"no leading slash":                        {patchtest.Bare, `[{"op":"add","path":"spec","value":{}}]`, `op 1 (add "spec"): its path is not a pointer to a field: it must begin with a slash: did you mean "/spec"?`},
		"a bad escape":                            {patchtest.Bare, `[{"op":"add","path":"/spec/a~2","value":{}}]`, `op 1 (add "/spec/a~2"): its path is not a pointer to a field: ~ must be written ~0, and / within a key ~1`},
		"an op in upper case":                     {patchtest.Bare, `[{"op":"Add","path":"/spec/a","value":{}}]`, `op 1 ("Add" "/spec/a"): it is not an op of RFC 6902: use add, remove, replace, move, copy or test, in lower case`},
		"no op":                                   {patchtest.Bare, `[{"path":"/spec/a","value":{}}]`, `op 1 ("" "/spec/a"): it is not an op of RFC 6902: use add, remove, replace, move, copy or test, in lower case`},
		"an add without value":                    {patchtest.Bare, `[{"op":"add","path":"/spec/a"}]`, `op 1 (add "/spec/a"): it has no "value": write null if that is meant`},
		"a replace without value":                 {patchtest.Bare, `[{"op":"replace","path":"/spec/a"}]`, `op 1 (replace "/spec/a"): it has no "value": write null if that is meant`},
		"a test without value":                    {patchtest.Bare, `[{"op":"test","path":"/spec/a"}]`, `op 1 (test "/spec/a"): it has no "value": write null if that is meant`},
		"remove what is not there, far down":      {patchtest.Rich, `[{"op":"remove","path":"/metadata/annotations/a.very.long.name.of.a.company.example~1and-its-key"}]`, `op 1 (remove "/metadata/annotations/a.very.long.name.of.a.company.example~1and-its-key"): it is missing: remove only what the Pod has`},
		"past the only element":                   {patchtest.Rich, `[{"op":"remove","path":"/spec/containers/0/volumeMounts/7"}]`, `op 1 (remove "/spec/containers/0/volumeMounts/7"): "/spec/containers/0/volumeMounts" has 1 element`},
		"a move from nothing":                     {patchtest.Bare, `[{"op":"move","from":"/spec/x","path":"/spec/y"}]`, `op 1 (move "/spec/y" from "/spec/x"): "/spec/x" is missing: move only what the Pod has`},
		"a copy from nothing":                     {patchtest.Bare, `[{"op":"copy","from":"/spec/x","path":"/spec/y"}]`, `op 1 (copy "/spec/y" from "/spec/x"): "/spec/x" is missing: copy only what the Pod has`},
		"a move to a missing parent":              {patchtest.Rich, `[{"op":"move","from":"/spec/volumes/0","path":"/spec/newer/x"}]`, `op 1 (move "/spec/newer/x" from "/spec/volumes/0"): "/spec/newer" is missing: add it first, because only an add creates missing parents`},
		"a move into itself":                      {patchtest.Bare, `[{"op":"move","from":"/spec","path":"/spec/y"}]`, `op 1 (move "/spec/y" from "/spec"): a value cannot be moved into itself`},
		"a failing test":                          {patchtest.Rich, `[{"op":"test","path":"/spec/containers/0/env/0/value","value":"guess"}]`, `op 1 (test "/spec/containers/0/env/0/value"): the test failed: the value there is different`},
		"a test below nothing":                    {patchtest.Bare, `[{"op":"test","path":"/spec/x/y","value":1}]`, `op 1 (test "/spec/x/y"): the test failed: "/spec/x" is missing`},
		"a test past the end":                     {patchtest.Bare, `[{"op":"test","path":"/spec/containers/1","value":1}]`, `op 1 (test "/spec/containers/1"): the Pod has 1 container, and indices count from 0`},
		"a move without from":                     {patchtest.Bare, `[{"op":"move","path":"/spec/x"}]`, `op 1 (move "/spec/x" from ""): it has no "from", or its "from" is the whole Pod: name a field`},
		"an element that is null":                 {patchtest.Bare, `[{"op":"add","path":"/spec/volumes","value":[null]},{"op":"add","path":"/spec/volumes/0/name","value":"x"}]`, `op 2 (add "/spec/volumes/0/name"): "/spec/volumes/0" is null, and amp does not invent the elements of lists: replace the whole element`},
		"a Pod that is none":                      {`[]`, `[{"op":"add","path":"/0","value":"true"}]`, `the Pod is not a JSON object`},
		"a test of nothing":                       {patchtest.Rich, `[{"op":"test","path":"/spec/x","value":"guess"}]`, `op 1 (test "/spec/x"): the test failed: "/spec/x" is missing`},
		"a test spelt otherwise":                  {patchtest.Rich, `[{"op":"test","path":"/spec/priority","value":10.0},{"op":"add","path":"/metadata/labels/x","value":"y"}]`, `op 1 (test "/spec/priority"): the test failed: the value there is the same but written differently, or contains null: the API server compares text and cannot compare these`},
		"a panic of json-patch.v4":                {patchtest.Bare, `[{"op":"add","path":"/spec/x","value":[null]},{"op":"test","path":"/spec/x","value":[null]}]`, `op 2 (test "/spec/x"): the test failed: the value there is the same but written differently, or contains null: the API server compares text and cannot compare these`},
		"a path that is too deep":                 {patchtest.Bare, `[{"op":"add","path":"` + strings.Repeat("/a", 65) + `","value":1}]`, `op 1 (add "` + strings.Repeat("/a", 49) + `/…"): its path is not a pointer to a field: it has more than 64 segments; no field of a Pod is that deep`},
		"control characters":                      {patchtest.Bare, `[{"op":"remove","path":"/spec/a\nb"}]`, `op 1 (remove "/spec/a\nb"): "/spec/a\nb" is missing: remove only what the Pod has`},
	})
}

func TestOpsThatApply(t *testing.T) {
	patchtest.Accepted(t, map[string]patchtest.Case{
		"negative indices":                       {patchtest.Rich, `[{"op":"replace","path":"/spec/containers/-1/image","value":"j"},{"op":"add","path":"/spec/volumes/-1","value":{"name":"x"}},{"op":"remove","path":"/spec/volumes/-3"},{"op":"remove","path":"/spec/containers/0/volumeMounts"}]`},
		"a test with characters that Go escapes": {patchtest.Rich, `[{"op":"test","path":"/spec/containers/0/env/1","value":{"value":"s<t","name":"B"}},{"op":"add","path":"/metadata/labels/x","value":"y"}]`},
		"a test with such characters as they are": {
			strings.Replace(patchtest.Rich, `s\u003ct`, `s<t`, 1),
			`[{"op":"test","path":"/spec/containers/0/env/1","value":{"name":"B","value":"s<t"}},{"op":"add","path":"/metadata/labels/x","value":"y"}]`,
		},
		"a test that something is not there": {patchtest.Rich, `[{"op":"test","path":"/metadata/labels/x","value":null},{"op":"add","path":"/metadata/labels/x","value":"y"}]`},
		"a move within a list":               {patchtest.Rich, `[{"op":"move","from":"/spec/volumes/0","path":"/spec/volumes/1"}]`},
		"a move that is worked on":           {patchtest.Rich, `[{"op":"move","from":"/spec/containers/0/env","path":"/spec/containers/1/env"},{"op":"add","path":"/spec/containers/1/env/0","value":{"name":"X"}},{"op":"remove","path":"/spec/containers/1/env/1"}]`},
		"a copy that is worked on":           {patchtest.Rich, `[{"op":"copy","from":"/spec/containers/0","path":"/spec/containers/-"},{"op":"replace","path":"/spec/containers/2/name","value":"third"},{"op":"test","path":"/spec/containers/0/name","value":"main"}]`},
		"escapes in keys":                    {patchtest.Rich, `[{"op":"replace","path":"/metadata/annotations/a~1b","value":"x"},{"op":"remove","path":"/metadata/annotations/c~0d"}]`},
		"a key that the Pod has twice":       {`{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"1","a":"2"}}}`, `[{"op":"remove","path":"/metadata/labels/a"}]`},
		"bytes that are not UTF-8":           {"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"annotations\":{\"a\":\"\xff\",\"\xff\":\"x\"}}}", `[{"op":"remove","path":"/metadata/annotations/\ufffd"}]`},
	})
}

// TestOpsThatNoJSONHolds is about ops that only a caller inside amp could pass.
func TestOpsThatNoJSONHolds(t *testing.T) {
	for _, test := range []struct {
		op   review.Op
		want string
	}{
		{review.Op{Op: "add", Path: "/spec/x", Value: json.RawMessage(`{"a"}`)}, `op 1 (add "/spec/x"): its value is not valid JSON`},
		{review.Op{Op: "add", Path: "/spec/\xff", Value: json.RawMessage(`1`)}, `op 1 (add "/spec/\xff"): its path is not a pointer to a field: it is not valid UTF-8`},
	} {
		if _, err := patchtest.NewChecker(t).Check(t.Context(), "ns", json.RawMessage(patchtest.Bare), []review.Op{test.op}); err == nil || err.Error() != test.want {
			t.Errorf("error = %v, want %s", err, test.want)
		}
	}
}

func TestCopies(t *testing.T) {
	copies := []review.Op{{Op: "add", Path: "/metadata/annotations/x", Value: json.RawMessage(`"` + strings.Repeat("x", 1<<20) + `"`)}}
	for range 3 {
		copies = append(copies, review.Op{Op: "copy", From: "/metadata/annotations/x", Path: "/metadata/annotations/y"})
	}
	_, err := patchtest.NewChecker(t).Check(t.Context(), "ns", json.RawMessage(patchtest.Rich), copies)
	if want := `op 4 (copy "/metadata/annotations/y" from "/metadata/annotations/x"): the patch copies more than 3 MiB in all, which is the API server's limit`; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

// TestShifted is about patches that insert into a list of 1,001 elements, or remove from it.
func TestShifted(t *testing.T) {
	pod := json.RawMessage(`{"spec":{"x":[` + strings.TrimSuffix(strings.Repeat("1,", 1001), ",") + `]}}`)
	repeat := func(n int, ops ...review.Op) (all []review.Op) {
		for range n {
			all = append(all, ops...)
		}
		return all
	}
	insert := review.Op{Op: "add", Path: "/spec/x/0", Value: json.RawMessage("1")}      // moves 1,001, then one more each time
	remove := review.Op{Op: "remove", Path: "/spec/x/0"}                                // moves 1,000, if there are 1,001
	atEnd := review.Op{Op: "add", Path: "/spec/x/-", Value: json.RawMessage("1")}       // moves none
	replace := review.Op{Op: "replace", Path: "/spec/x/0", Value: json.RawMessage("2")} // moves none
	for sentence, test := range map[string]struct {
		ops     []review.Op
		refused bool
	}{
		"a million moved by removals and insertions": {append(repeat(500, remove, insert), atEnd), false},
		"one more than a million":                    {append(repeat(500, remove, insert), review.Op{Op: "add", Path: "/spec/x/1000", Value: json.RawMessage("1")}), true},
		"insertions":                                 {repeat(1000, insert), true},
		"what moves nothing":                         {repeat(4000, atEnd, replace), false},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := apply.Apply(t.Context(), pod, test.ops, nil)
			if refused := err != nil && strings.Contains(err.Error(), "moves more than 1,000,000 elements"); refused != test.refused || err != nil && !refused {
				t.Errorf("refused %v (%v), want %v", refused, err, test.refused)
			}
		})
	}
}
