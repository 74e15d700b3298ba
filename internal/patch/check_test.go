package patch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
)

// bare is a Pod with as little as a Pod can have; owned is a ReplicaSet's; rich has something of each.
const (
	bare  = `{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"w-","namespace":"ns"},"spec":{"containers":[{"name":"main","image":"i"}]}}`
	owned = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"w","namespace":"ns","labels":{"app":"w","hash":"1"},` +
		`"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"w","uid":"u","controller":true}]},"spec":{"containers":[{"name":"main","image":"i"}]}}`
	rich = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"w","namespace":"ns","labels":{"app":"w"},"annotations":{"a/b":"1","c~d":"2"}},` +
		`"spec":{"nodeName":"n","serviceAccountName":"sa","serviceAccount":"sa","hostNetwork":false,"priority":10,"securityContext":{},"tolerations":null,` +
		`"volumes":[{"name":"v","emptyDir":{}},{"name":"w","emptyDir":{}}],` +
		`"initContainers":[{"name":"init","image":"i"}],` +
		`"containers":[{"name":"main","image":"i","env":[{"name":"A","value":"secret"},{"name":"B","value":"s\u003ct"}],"volumeMounts":[{"name":"v","mountPath":"/v"}],"securityContext":{"privileged":false}},` +
		`{"name":"side","image":"i","securityContext":{"privileged":true}}]},"status":{}}`
)

// ops reads a patch as amp reads an answer.
func ops(t testing.TB, text string) []review.Op {
	t.Helper()
	var ops []review.Op
	if err := json.Unmarshal([]byte(text), &ops); err != nil {
		t.Fatalf("reading %s: %v", text, err)
	}
	return ops
}

func TestCompletion(t *testing.T) {
	for sentence, test := range map[string]struct{ pod, ops, want string }{
		"an add to a list that is there stays as it is": {
			rich, `[{"op":"add","path":"/spec/volumes/-","value":{"name":"x","emptyDir":{}}}]`,
			`[{"op":"add","path":"/spec/volumes/-","value":{"name":"x","emptyDir":{}}}]`,
		},
		"a missing list is made": {
			bare, `[{"op":"add","path":"/spec/initContainers/-","value":{"name":"x","image":"i"}}]`,
			`[{"op":"add","path":"/spec/initContainers","value":[]},{"op":"add","path":"/spec/initContainers/-","value":{"name":"x","image":"i"}}]`,
		},
		"a missing list in an element is made, once": {
			bare, `[{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"A"}},{"op":"add","path":"/spec/containers/0/env/0","value":{"name":"B"}}]`,
			`[{"op":"add","path":"/spec/containers/0/env","value":[]},{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"A"}},{"op":"add","path":"/spec/containers/0/env/0","value":{"name":"B"}}]`,
		},
		"a missing map is made although its key looks like an index": {
			bare, `[{"op":"add","path":"/metadata/annotations/0","value":"x"}]`,
			`[{"op":"add","path":"/metadata/annotations","value":{}},{"op":"add","path":"/metadata/annotations/0","value":"x"}]`,
		},
		"several missing parents are made, and escapes stay": {
			bare, `[{"op":"add","path":"/spec/containers/0/resources/limits/nvidia.com~1gpu","value":"1"}]`,
			`[{"op":"add","path":"/spec/containers/0/resources","value":{}},{"op":"add","path":"/spec/containers/0/resources/limits","value":{}},{"op":"add","path":"/spec/containers/0/resources/limits/nvidia.com~1gpu","value":"1"}]`,
		},
		"parents are made through inlined structs": {
			bare, `[{"op":"add","path":"/spec/containers/0/livenessProbe/exec/command/-","value":"x"}]`,
			`[{"op":"add","path":"/spec/containers/0/livenessProbe","value":{}},{"op":"add","path":"/spec/containers/0/livenessProbe/exec","value":{}},{"op":"add","path":"/spec/containers/0/livenessProbe/exec/command","value":[]},{"op":"add","path":"/spec/containers/0/livenessProbe/exec/command/-","value":"x"}]`,
		},
		"a parent that is null counts as missing": {
			rich, `[{"op":"add","path":"/spec/tolerations/-","value":{"operator":"Exists"}}]`,
			`[{"op":"add","path":"/spec/tolerations","value":[]},{"op":"add","path":"/spec/tolerations/-","value":{"operator":"Exists"}}]`,
		},
		"below an unknown field the next segment tells a list": {
			bare, `[{"op":"add","path":"/spec/newer/-","value":1},{"op":"add","path":"/spec/newest/a","value":1}]`,
			`[{"op":"add","path":"/spec/newer","value":[]},{"op":"add","path":"/spec/newer/-","value":1},{"op":"add","path":"/spec/newest","value":{}},{"op":"add","path":"/spec/newest/a","value":1}]`,
		},
		"an element after a negative index has its parents made": {
			rich, `[{"op":"add","path":"/spec/containers/-1/env/-","value":{"name":"A"}}]`,
			`[{"op":"add","path":"/spec/containers/-1/env","value":[]},{"op":"add","path":"/spec/containers/-1/env/-","value":{"name":"A"}}]`,
		},
		"a key of json-patch.v4's own is taken, replace of what is missing": {
			bare, `[{"op":"replace","path":"/spec/priorityClassName","value":"x"}]`,
			`[{"op":"replace","path":"/spec/priorityClassName","value":"x"}]`,
		},
		"a parent made of a copied null is made, where json-patch.v4 would panic": {
			bare, `[{"op":"add","path":"/metadata/annotations","value":null},{"op":"copy","from":"/metadata/annotations","path":"/metadata/labels"},{"op":"add","path":"/metadata/labels/x","value":"y"}]`,
			`[{"op":"add","path":"/metadata/annotations","value":null},{"op":"copy","from":"/metadata/annotations","path":"/metadata/labels"},{"op":"add","path":"/metadata/labels","value":{}},{"op":"add","path":"/metadata/labels/x","value":"y"}]`,
		},
		"no ops are no change":                        {rich, `[]`, `null`},
		"a test alone is no change":                   {rich, `[{"op":"test","path":"/spec/priority","value":10}]`, `null`},
		"the same value spelt otherwise is no change": {rich, `[{"op":"replace","path":"/spec/priority","value":1.0e1},{"op":"replace","path":"/metadata/labels/app","value":"\u0077"}]`, `null`},
		"there and back is no change":                 {rich, `[{"op":"add","path":"/metadata/labels/x","value":"y"},{"op":"remove","path":"/metadata/labels/x"}]`, `null`},
		"order of keys is no change":                  {rich, `[{"op":"replace","path":"/spec/volumes/0","value":{"emptyDir":{},"name":"v"}}]`, `null`},
	} {
		t.Run(sentence, func(t *testing.T) {
			checked, err := newChecker(t).Check(json.RawMessage(test.pod), ops(t, test.ops))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(ops(t, test.want), checked.Ops); diff != "" {
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
			if err := property(json.RawMessage(test.pod), checked, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestUntouchedFieldsKeepTheirBytes(t *testing.T) {
	pod := `{"apiVersion":"v1", "kind":"Pod","x-newer": { "a" : [1.00, "\u00e9"] },"metadata":{"labels":{ "k" : "\u0076" },"name":"n"},"spec":{"containers":[ {"name" : "c"} ]}}`
	checked, err := newChecker(t).Check(json.RawMessage(pod), ops(t, `[{"op":"add","path":"/spec/containers/-","value":{"name":"d"}}]`))
	if err != nil {
		t.Fatal(err)
	}
	for _, bytes := range []string{`"x-newer":{ "a" : [1.00, "\u00e9"] }`, `{"labels":{ "k" : "\u0076" },"name":"n"}`, `{"name" : "c"}`} {
		if !strings.Contains(string(checked.Pod), bytes) {
			t.Errorf("%s is not in %s", bytes, checked.Pod)
		}
	}
	if len(checked.Warnings) > 0 {
		t.Errorf("a field that the Pod had is warned of: %q", checked.Warnings)
	}
}

func TestFailures(t *testing.T) {
	deep := strings.Repeat(`[`, 101) + strings.Repeat(`]`, 101)
	for sentence, test := range map[string]struct{ pod, ops, want string }{
		"remove past the end": {
			rich, `[{"op":"test","path":"/kind","value":"Pod"},{"op":"test","path":"/kind","value":"Pod"},{"op":"remove","path":"/spec/containers/9"}]`,
			`op 3 (remove "/spec/containers/9"): the Pod has 2 containers`,
		},
		"replace past the end":                    {bare, `[{"op":"replace","path":"/spec/containers/1","value":{}}]`, `op 1 (replace "/spec/containers/1"): the Pod has 1 container`},
		"past the end of a list with an odd name": {bare, `[{"op":"add","path":"/spec/container /01","value":1}]`, `op 1 (add "/spec/container /01"): the Pod has no "container "`},
		"past the end of a list without a name":   {bare, `[{"op":"add","path":"/spec//01","value":1}]`, `op 1 (add "/spec//01"): the Pod has no ""`},
		"a list that is missing":                  {bare, `[{"op":"replace","path":"/spec/volumes/0","value":{}}]`, `op 1 (replace "/spec/volumes/0"): "/spec/volumes" is missing, and amp creates missing parents only for an add`},
		"elements are not made up":                {bare, `[{"op":"add","path":"/spec/containers/1/env/-","value":{}}]`, `op 1 (add "/spec/containers/1/env/-"): the Pod has 1 container`},
		"nor in a list that was made":             {bare, `[{"op":"add","path":"/spec/initContainers/0/env/-","value":{}}]`, `op 1 (add "/spec/initContainers/0/env/-"): the Pod has no initContainers`},
		"nor for a dash":                          {bare, `[{"op":"add","path":"/spec/containers/-/env/-","value":{}}]`, `op 1 (add "/spec/containers/-/env/-"): "/spec/containers/-" does not name an element: only an add may end in "-"`},
		"past the end of an inner list":           {rich, `[{"op":"remove","path":"/spec/containers/0/env/2"}]`, `op 1 (remove "/spec/containers/0/env/2"): "/spec/containers/0/env" has 2 elements`},
		"a key for an index":                      {rich, `[{"op":"add","path":"/spec/containers/main","value":{}}]`, `op 1 (add "/spec/containers/main"): "/spec/containers" is a list, and "main" is not an index`},
		"remove what is not there":                {bare, `[{"op":"remove","path":"/metadata/labels"}]`, `op 1 (remove "/metadata/labels"): there is nothing at "/metadata/labels": move or remove only what the Pod has`},
		"below a string":                          {bare, `[{"op":"add","path":"/metadata/namespace/x","value":1}]`, `op 1 (add "/metadata/namespace/x"): "/metadata/namespace" is not an object or a list, so it cannot hold "x"`},
		"the whole Pod":                           {bare, `[{"op":"replace","path":"","value":{}}]`, `op 1 (replace ""): its path is not a pointer to a field: it is the whole Pod, which a patch may not replace or read: name a field`},
		"the whole Pod, without a value":          {bare, `[{"op":"replace","path":""}]`, `op 1 (replace ""): its path is not a pointer to a field: it is the whole Pod, which a patch may not replace or read: name a field`},
		"a copy of the whole Pod":                 {bare, `[{"op":"copy","path":"/x","from":""}]`, `op 1 (copy "/x" from ""): it has no "from", or its "from" is the whole Pod: name a field`},
		"no leading slash":                        {bare, `[{"op":"add","path":"spec","value":{}}]`, `op 1 (add "spec"): its path is not a pointer to a field: it must begin with a slash`},
		"a bad escape":                            {bare, `[{"op":"add","path":"/spec/a~2","value":{}}]`, `op 1 (add "/spec/a~2"): its path is not a pointer to a field: ~ must be written ~0, and / within a key ~1`},
		"an op in upper case":                     {bare, `[{"op":"Add","path":"/spec/a","value":{}}]`, `op 1 ("Add" "/spec/a"): it is not an op of RFC 6902: use add, remove, replace, move, copy or test, in lower case`},
		"no op":                                   {bare, `[{"path":"/spec/a","value":{}}]`, `op 1 ("" "/spec/a"): it is not an op of RFC 6902: use add, remove, replace, move, copy or test, in lower case`},
		"an add without value":                    {bare, `[{"op":"add","path":"/spec/a"}]`, `op 1 (add "/spec/a"): it has no value`},
		"a replace without value":                 {bare, `[{"op":"replace","path":"/spec/a"}]`, `op 1 (replace "/spec/a"): it has no value`},
		"a test without value":                    {bare, `[{"op":"test","path":"/spec/a"}]`, `op 1 (test "/spec/a"): it has no value`},
		"a move from nothing":                     {bare, `[{"op":"move","from":"/spec/x","path":"/spec/y"}]`, `op 1 (move "/spec/y" from "/spec/x"): there is nothing at "/spec/x": move or remove only what the Pod has`},
		"a copy from nothing":                     {bare, `[{"op":"copy","from":"/spec/x","path":"/spec/y"}]`, `op 1 (copy "/spec/y" from "/spec/x"): there is nothing at "/spec/x" to copy`},
		"a move to a missing parent":              {rich, `[{"op":"move","from":"/spec/volumes/0","path":"/spec/newer/x"}]`, `op 1 (move "/spec/newer/x" from "/spec/volumes/0"): "/spec/newer" is missing, and amp creates missing parents only for an add`},
		"a move into itself":                      {bare, `[{"op":"move","from":"/spec","path":"/spec/y"}]`, `op 1 (move "/spec/y" from "/spec"): a value cannot be moved into itself`},
		"a failing test":                          {rich, `[{"op":"test","path":"/spec/containers/0/env/0/value","value":"guess"}]`, `op 1 (test "/spec/containers/0/env/0/value"): the test failed: the value there is different`},
		"a test below nothing":                    {bare, `[{"op":"test","path":"/spec/x/y","value":1}]`, `op 1 (test "/spec/x/y"): "/spec/x" is missing, and amp creates missing parents only for an add`},
		"a test past the end":                     {bare, `[{"op":"test","path":"/spec/containers/1","value":1}]`, `op 1 (test "/spec/containers/1"): the Pod has 1 container`},
		"a move without from":                     {bare, `[{"op":"move","path":"/spec/x"}]`, `op 1 (move "/spec/x" from ""): it has no "from", or its "from" is the whole Pod: name a field`},
		"an element that is null":                 {bare, `[{"op":"add","path":"/spec/volumes","value":[null]},{"op":"add","path":"/spec/volumes/0/name","value":"x"}]`, `op 2 (add "/spec/volumes/0/name"): "/spec/volumes/0" is null, and amp does not invent the elements of lists`},
		"a label that is true":                    {bare, `[{"op":"add","path":"/metadata/labels/x","value":true}]`, `op 1 (add "/metadata/labels/x"): metadata.labels["x"] must be a string, not true or false`},
		"a list for a map":                        {bare, `[{"op":"add","path":"/metadata/labels","value":[]}]`, `op 1 (add "/metadata/labels"): metadata.labels must be an object, not a list`},
		"a string for a flag":                     {bare, `[{"op":"add","path":"/spec/hostNetwork","value":"true"}]`, `op 1 (add "/spec/hostNetwork"): spec.hostNetwork must be true or false, not a string`},
		"a Pod that is none":                      {`[]`, `[{"op":"add","path":"/0","value":"true"}]`, `the Pod is not a JSON object`},
		"a test of nothing":                       {rich, `[{"op":"test","path":"/spec/x","value":"guess"}]`, `op 1 (test "/spec/x"): the test failed: nothing is there`},
		"a test spelt otherwise":                  {rich, `[{"op":"test","path":"/spec/priority","value":10.0},{"op":"add","path":"/metadata/labels/x","value":"y"}]`, `op 1 (test "/spec/priority"): the test failed: the value there is the same but written differently, or is a list that contains null: the API server compares text and cannot compare these`},
		"a panic of json-patch.v4":                {bare, `[{"op":"add","path":"/spec/x","value":[null]},{"op":"test","path":"/spec/x","value":[null]}]`, `op 2 (test "/spec/x"): the test failed: the value there is the same but written differently, or is a list that contains null: the API server compares text and cannot compare these`},
		"a key twice in a value":                  {bare, `[{"op":"add","path":"/metadata/labels","value":{"a":"1","b":"2","\u0061":"3"}}]`, `op 1 (add "/metadata/labels"): its value has the key "a" twice in one object`},
		"a key twice deep in a value":             {bare, `[{"op":"add","path":"/spec/x","value":[{"a":{"b":1,"b":2}}]}]`, `op 1 (add "/spec/x"): its value has the key "b" twice in one object`},
		"a value that nests too deep":             {bare, `[{"op":"add","path":"/spec/x","value":` + deep + `}]`, `op 1 (add "/spec/x"): its value nests deeper than 100 levels; no field of a Pod does`},
		"a path that is too deep":                 {bare, `[{"op":"add","path":"` + strings.Repeat("/a", 65) + `","value":1}]`, `op 1 (add "` + strings.Repeat("/a", 49) + `/…"): its path is not a pointer to a field: it has more than 64 segments; no field of a Pod is that deep`},
		"control characters":                      {bare, `[{"op":"remove","path":"/spec/a\nb"}]`, `op 1 (remove "/spec/a\nb"): there is nothing at "/spec/a\nb": move or remove only what the Pod has`},
		"a string for a list":                     {bare, `[{"op":"add","path":"/metadata/labels/x","value":"y"},{"op":"add","path":"/spec/volumes","value":"x"}]`, `op 2 (add "/spec/volumes"): spec.volumes must be a list, not a string`},
		"a number for a label":                    {bare, `[{"op":"add","path":"/metadata/labels/x","value":1},{"op":"add","path":"/metadata/labels/y","value":"1"}]`, `op 1 (add "/metadata/labels/x"): metadata.labels["x"] must be a string, not a number`},
		"a string for a port":                     {bare, `[{"op":"add","path":"/spec/containers/0/ports/-","value":{"containerPort":"80"}}]`, `op 1 (add "/spec/containers/0/ports/-"): spec.containers[0].ports[0].containerPort must be a number, not a string`},
		"a fraction for a port":                   {bare, `[{"op":"add","path":"/spec/containers/0/ports/-","value":{"containerPort":80.5}}]`, `op 1 (add "/spec/containers/0/ports/-"): spec.containers[0].ports[0].containerPort must be a whole number of 32 bits`},
		"an object for a string":                  {bare, `[{"op":"add","path":"/metadata/name/x","value":"y"}]`, `op 1 (add "/metadata/name/x"): metadata.name must be a string, not an object`},
		"a quantity that is none":                 {bare, `[{"op":"add","path":"/spec/containers/0/resources/limits/cpu","value":"much"}]`, `op 1 (add "/spec/containers/0/resources/limits/cpu"): spec.containers[0].resources.limits["cpu"] is not a valid Quantity`},
		"what was moved to a wrong place":         {rich, `[{"op":"move","from":"/spec/containers/0/image","path":"/spec/volumes/-"}]`, `op 1 (move "/spec/volumes/-" from "/spec/containers/0/image"): spec.volumes[2] must be an object, not a string`},

		"another name":              {rich, `[{"op":"replace","path":"/metadata/name","value":"x"}]`, `op 1 (replace "/metadata/name"): a patch may not change metadata.name: leave it as it is`},
		"another name from above":   {rich, `[{"op":"add","path":"/metadata","value":{"name":"x","namespace":"ns"}}]`, `op 1 (add "/metadata"): a patch may not change metadata.name: leave it as it is`},
		"no kind":                   {rich, `[{"op":"remove","path":"/kind"}]`, `op 1 (remove "/kind"): a patch may not change kind: leave it as it is`},
		"another apiVersion":        {rich, `[{"op":"replace","path":"/apiVersion","value":"v2"}]`, `op 1 (replace "/apiVersion"): a patch may not change apiVersion: leave it as it is`},
		"another namespace":         {rich, `[{"op":"replace","path":"/metadata/namespace","value":"x"}]`, `op 1 (replace "/metadata/namespace"): a patch may not change metadata.namespace: leave it as it is`},
		"a name for generateName":   {bare, `[{"op":"add","path":"/metadata/name","value":"x"}]`, `op 1 (add "/metadata/name"): a patch may not change metadata.name: leave it as it is`},
		"another generateName":      {bare, `[{"op":"remove","path":"/metadata/generateName"}]`, `op 1 (remove "/metadata/generateName"): a patch may not change metadata.generateName: leave it as it is`},
		"a status":                  {rich, `[{"op":"add","path":"/status/phase","value":"Running"}]`, `op 1 (add "/status/phase"): a patch may not change status: leave it as it is`},
		"an ephemeral container":    {rich, `[{"op":"add","path":"/spec/ephemeralContainers/-","value":{"name":"x"}}]`, `op 1 (add "/spec/ephemeralContainers/-"): a patch may not change spec.ephemeralContainers: leave it as it is`},
		"another owner":             {owned, `[{"op":"replace","path":"/metadata/ownerReferences/0/controller","value":false}]`, `op 1 (replace "/metadata/ownerReferences/0/controller"): a patch may not change metadata.ownerReferences: leave it as it is`},
		"a finalizer":               {bare, `[{"op":"add","path":"/metadata/finalizers/-","value":"a/b"}]`, `op 1 (add "/metadata/finalizers/-"): a patch may not change metadata.finalizers: leave it as it is`},
		"a deletionTimestamp":       {bare, `[{"op":"add","path":"/metadata/deletionTimestamp","value":"2026-01-02T03:04:05Z"}]`, `op 1 (add "/metadata/deletionTimestamp"): a patch may not change metadata.deletionTimestamp: leave it as it is`},
		"a controller's label gone": {owned, `[{"op":"add","path":"/metadata/labels","value":{"hash":"1","x":"y"}}]`, `op 1 (add "/metadata/labels"): the Pod belongs to a controller that finds it by its labels: keep "app" unchanged, and only add labels`},
		"a controller's label new":  {owned, `[{"op":"replace","path":"/metadata/labels/hash","value":"2"}]`, `op 1 (replace "/metadata/labels/hash"): the Pod belongs to a controller that finds it by its labels: keep "hash" unchanged, and only add labels`},

		"two volumes of a name":               {rich, `[{"op":"add","path":"/spec/volumes/-","value":{"name":"v"}}]`, `op 1 (add "/spec/volumes/-"): the Pod would have two volumes named "v": give the new one another name`},
		"two containers of a name":            {rich, `[{"op":"add","path":"/spec/initContainers/0","value":{"name":"side"}}]`, `op 1 (add "/spec/initContainers/0"): the Pod would have two containers named "side", init containers included: give the new one another name`},
		"a renamed container":                 {rich, `[{"op":"replace","path":"/spec/containers/1/name","value":"main"}]`, `op 1 (replace "/spec/containers/1/name"): the Pod would have two containers named "main", init containers included: give the new one another name`},
		"two mounts at a path":                {rich, `[{"op":"add","path":"/spec/containers/0/volumeMounts/-","value":{"name":"w","mountPath":"/v"}}]`, `op 1 (add "/spec/containers/0/volumeMounts/-"): container "main" would have two mounts at the same mountPath, of the volumes "v" and "w"`},
		"a mount without volume":              {rich, `[{"op":"add","path":"/spec/initContainers/0/volumeMounts/-","value":{"name":"x","mountPath":"/v"}}]`, `op 1 (add "/spec/initContainers/0/volumeMounts/-"): container "init" would mount volume "x", which the Pod would not have: add the volume or remove the mount`},
		"a volume taken from its mount":       {rich, `[{"op":"remove","path":"/spec/volumes/0"},{"op":"add","path":"/metadata/labels/x","value":"y"}]`, `op 1 (remove "/spec/volumes/0"): container "main" would mount volume "v", which the Pod would not have: add the volume or remove the mount`},
		"all volumes taken from their mounts": {rich, `[{"op":"remove","path":"/spec/volumes"}]`, `op 1 (remove "/spec/volumes"): container "main" would mount volume "v", which the Pod would not have: add the volume or remove the mount`},
		"an env name that holds its value":    {rich, `[{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"TOKEN=secret"}}]`, `op 1 (add "/spec/containers/0/env/-"): the name of env 2 of container "main" is malformed: use printable ASCII characters except =`},
		"a malformed label key":               {rich, `[{"op":"add","path":"/metadata/labels/a b","value":"x"}]`, `op 1 (add "/metadata/labels/a b"): label key "a b" is malformed: use up to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends; a DNS name and a slash may come first`},
		"a malformed label value":             {rich, `[{"op":"add","path":"/metadata/labels/app","value":"x y"}]`, `op 1 (add "/metadata/labels/app"): the value of label "app" is malformed: use up to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends`},
		"a label key in upper case":           {rich, `[{"op":"add","path":"/metadata/labels/A.B~1c","value":"x"}]`, `op 1 (add "/metadata/labels/A.B~1c"): label key "A.B/c" is malformed: use up to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends; a DNS name and a slash may come first`},
		"a malformed annotation key":          {rich, `[{"op":"add","path":"/metadata/annotations/-x","value":"x"}]`, `op 1 (add "/metadata/annotations/-x"): annotation key "-x" is malformed: use up to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends; a DNS name and a slash may come first`},
	} {
		t.Run(sentence, func(t *testing.T) {
			checked, err := newChecker(t).Check(json.RawMessage(test.pod), ops(t, test.ops))
			var failure *review.Failure
			if !errors.As(err, &failure) {
				t.Fatalf("error = %v, ops = %v; want a *review.Failure", err, checked.Ops)
			}
			if failure.Result != review.ResultPatch {
				t.Errorf("result = %q, want %q", failure.Result, review.ResultPatch)
			}
			if diff := cmp.Diff(test.want, failure.Cause); diff != "" {
				t.Errorf("cause (-want +got):\n%s", diff)
			}
			for _, secret := range []string{"secret", "guess"} {
				if strings.Contains(failure.Cause, secret) {
					t.Errorf("the cause holds a value")
				}
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	for sentence, test := range map[string]struct{ pod, ops string }{
		"a label more on a controller's Pod":                 {owned, `[{"op":"add","path":"/metadata/labels/x","value":"y"}]`},
		"a controller's labels written anew":                 {owned, `[{"op":"add","path":"/metadata/labels","value":{"hash":"1","app":"w","x":"y"}}]`},
		"any label without a controller":                     {rich, `[{"op":"remove","path":"/metadata/labels/app"}]`},
		"an annotation key in upper case":                    {rich, `[{"op":"add","path":"/metadata/annotations/A.B~1c","value":"x"}]`},
		"an env name with odd characters":                    {rich, `[{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"a b/c:1"}}]`},
		"an empty label value":                               {rich, `[{"op":"add","path":"/metadata/labels/x","value":""}]`},
		"a name in both containers and volumes":              {rich, `[{"op":"add","path":"/spec/volumes/-","value":{"name":"main"}}]`},
		"a path mounted in another container":                {rich, `[{"op":"add","path":"/spec/containers/1/volumeMounts/-","value":{"name":"v","mountPath":"/v"}}]`},
		"a mount before its volume":                          {bare, `[{"op":"add","path":"/spec/containers/0/volumeMounts/-","value":{"name":"x","mountPath":"/x"}},{"op":"add","path":"/spec/volumes/-","value":{"name":"x"}}]`},
		"a duplicate that goes again":                        {rich, `[{"op":"add","path":"/spec/volumes/-","value":{"name":"v"}},{"op":"remove","path":"/spec/volumes/0"}]`},
		"an empty status":                                    {bare, `[{"op":"add","path":"/status","value":{}}]`},
		"a volume taken with its mount":                      {rich, `[{"op":"remove","path":"/spec/volumes/0"},{"op":"remove","path":"/spec/containers/0/volumeMounts/0"}]`},
		"negative indices":                                   {rich, `[{"op":"replace","path":"/spec/containers/-1/image","value":"j"},{"op":"add","path":"/spec/volumes/-1","value":{"name":"x"}},{"op":"remove","path":"/spec/volumes/-3"},{"op":"remove","path":"/spec/containers/0/volumeMounts"}]`},
		"a test with characters that Go escapes":             {rich, `[{"op":"test","path":"/spec/containers/0/env/1","value":{"value":"s<t","name":"B"}},{"op":"add","path":"/metadata/labels/x","value":"y"}]`},
		"a test that something is not there":                 {rich, `[{"op":"test","path":"/metadata/labels/x","value":null},{"op":"add","path":"/metadata/labels/x","value":"y"}]`},
		"a move within a list":                               {rich, `[{"op":"move","from":"/spec/containers/0","path":"/spec/containers/1"}]`},
		"a move that is worked on":                           {rich, `[{"op":"move","from":"/spec/containers/0/env","path":"/spec/containers/1/env"},{"op":"add","path":"/spec/containers/1/env/0","value":{"name":"X"}},{"op":"remove","path":"/spec/containers/1/env/1"}]`},
		"a copy that is worked on":                           {rich, `[{"op":"copy","from":"/spec/containers/0","path":"/spec/containers/-"},{"op":"replace","path":"/spec/containers/2/name","value":"third"},{"op":"test","path":"/spec/containers/0/name","value":"main"}]`},
		"escapes in keys":                                    {rich, `[{"op":"replace","path":"/metadata/annotations/a~1b","value":"x"},{"op":"remove","path":"/metadata/annotations/c~0d"}]`},
		"what was wrong before":                              {strings.Replace(rich, `{"name":"w","emptyDir"`, `{"name":"v","emptyDir"`, 1), `[{"op":"add","path":"/spec/volumes/-","value":{"name":"x"}}]`},
		"a map written anew that keeps every key":            {rich, `[{"op":"add","path":"/metadata/labels","value":{"app":"x","y":"z"}}]`},
		"a key that the Pod has twice":                       {`{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"1","a":"2"}}}`, `[{"op":"remove","path":"/metadata/labels/a"}]`},
		"bytes that are not UTF-8":                           {"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"annotations\":{\"a\":\"\xff\",\"\xff\":\"x\"}}}", `[{"op":"remove","path":"/metadata/annotations/\ufffd"}]`},
		"a Pod that is a type amp does not know, in the way": {`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"c","image":{"newer":true}}]}}`, `[{"op":"test","path":"/spec/containers/0","value":{"name":"c","image":{"newer":true}}},{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"X"}}]`},
		"a Pod that is a type amp does not know":             {`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"c","image":{"newer":true}}]}}`, `[{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"X"}}]`},
	} {
		t.Run(sentence, func(t *testing.T) {
			checked, err := newChecker(t).Check(json.RawMessage(test.pod), ops(t, test.ops))
			if err != nil {
				t.Fatal(err)
			}
			if len(checked.Warnings) > 0 {
				t.Errorf("warnings: %q", checked.Warnings)
			}
			if strings.HasPrefix(sentence, "a Pod that is a type") {
				return
			}
			if err := property(json.RawMessage(test.pod), checked, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	for sentence, test := range map[string]struct {
		pod, ops string
		want     []string
	}{
		"a field that no Pod has": {
			bare, `[{"op":"add","path":"/spec/contianers","value":[]}]`,
			[]string{`op 1 (add "/spec/contianers"): spec.contianers is unknown to amp's Kubernetes 1.36 API`},
		},
		"one within a value": {
			bare, `[{"op":"add","path":"/metadata/labels/x","value":"y"},{"op":"add","path":"/spec/volumes/-","value":{"name":"x","emptydir":{"medium":"Memory"}}}]`,
			[]string{`op 2 (add "/spec/volumes/-"): spec.volumes[0].emptydir is unknown to amp's Kubernetes 1.36 API`},
		},
		"one with odd characters in its name": {
			bare, `[{"op":"add","path":"/spec/a\n","value":[]}]`,
			[]string{`op 1 (add "/spec/a\n"): spec."a\n" is unknown to amp's Kubernetes 1.36 API`},
		},
		"many of them": {
			bare, `[{"op":"add","path":"/spec/a","value":1},{"op":"add","path":"/spec/b","value":1},{"op":"add","path":"/spec/c","value":1},{"op":"add","path":"/spec/d","value":1},{"op":"add","path":"/spec/e","value":1}]`,
			[]string{
				`op 1 (add "/spec/a"): spec.a is unknown to amp's Kubernetes 1.36 API`,
				`op 2 (add "/spec/b"): spec.b is unknown to amp's Kubernetes 1.36 API`,
				`op 3 (add "/spec/c"): spec.c is unknown to amp's Kubernetes 1.36 API`,
				`2 more fields are unknown to amp's Kubernetes 1.36 API`,
			},
		},
		"but not one that the Pod had": {
			`{"apiVersion":"v1","kind":"Pod","spec":{"newer":1,"containers":[{"name":"a","newest":{"x":1}}]}}`,
			`[{"op":"replace","path":"/spec/newer","value":2},{"op":"add","path":"/spec/containers/0","value":{"name":"b","newest":1}}]`, nil,
		},
		"a map that loses keys": {
			rich, `[{"op":"add","path":"/metadata/annotations","value":{"c~d":"2","x":"y"}}]`,
			[]string{`op 1 (add "/metadata/annotations"): drops "a/b" that the Pod had: add single keys to keep the others`},
		},
		"a map that loses more keys than are named": {
			owned, `[{"op":"add","path":"/spec/x","value":{"a":1,"b":1,"c":1,"d":1}},{"op":"add","path":"/spec/x","value":{}},{"op":"remove","path":"/spec/x"},{"op":"add","path":"/metadata/labels/x","value":"y"}]`,
			[]string{`op 2 (add "/spec/x"): drops "a", "b", "c" and 1 more that the Pod had: add single keys to keep the others`},
		},
		"a map that loses many keys": {
			rich, `[{"op":"add","path":"/spec/containers/0","value":{"name":"x"}},{"op":"add","path":"/spec/volumes/0/x","value":1},{"op":"remove","path":"/spec/volumes/0/x"},{"op":"add","path":"/metadata","value":{"name":"w","namespace":"ns"}}]`,
			[]string{`op 4 (add "/metadata"): drops "labels", "annotations" that the Pod had: add single keys to keep the others`},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			checked, err := newChecker(t).Check(json.RawMessage(test.pod), ops(t, test.ops))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, checked.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeny(t *testing.T) {
	cause := func(op, pointer string) string {
		return fmt.Sprintf(`op 1 (%s): an endpoint may not change %q (AMP_PATCH_DENY)`, op, pointer)
	}
	for sentence, test := range map[string]struct{ deny, ops, want string }{
		"an op at it":                            {"/spec/nodeName", `[{"op":"add","path":"/spec/nodeName","value":"x"}]`, cause(`add "/spec/nodeName"`, "/spec/nodeName")},
		"an op at it that changes nothing":       {"/spec/hostNetwork", `[{"op":"add","path":"/spec/hostNetwork","value":false}]`, cause(`add "/spec/hostNetwork"`, "/spec/hostNetwork")},
		"an op under it":                         {"/spec/securityContext", `[{"op":"add","path":"/spec/securityContext/runAsUser","value":0}]`, cause(`add "/spec/securityContext/runAsUser"`, "/spec/securityContext")},
		"an op above it":                         {"/spec/nodeName", `[{"op":"replace","path":"/spec","value":{"containers":[]}}]`, cause(`replace "/spec"`, "/spec/nodeName")},
		"a move from it":                         {"/spec/nodeName", `[{"op":"move","from":"/spec/nodeName","path":"/spec/hostname"}]`, cause(`move "/spec/hostname" from "/spec/nodeName"`, "/spec/nodeName")},
		"the alias of the service account":       {"/spec/serviceAccountName", `[{"op":"replace","path":"/spec/serviceAccount","value":"x"}]`, cause(`replace "/spec/serviceAccount"`, "/spec/serviceAccountName")},
		"a star, by index":                       {"/spec/containers/*/securityContext", `[{"op":"add","path":"/spec/containers/1/securityContext/privileged","value":true}]`, cause(`add "/spec/containers/1/securityContext/privileged"`, "/spec/containers/*/securityContext")},
		"a star, by negative index":              {"/spec/containers/1/securityContext", `[{"op":"add","path":"/spec/containers/-1/securityContext/privileged","value":true}]`, cause(`add "/spec/containers/-1/securityContext/privileged"`, "/spec/containers/1/securityContext")},
		"a star, a new element":                  {"/spec/containers/*/securityContext", `[{"op":"add","path":"/spec/containers/-","value":{"name":"x","securityContext":{"privileged":true}}}]`, cause(`add "/spec/containers/-"`, "/spec/containers/*/securityContext")},
		"a star, an element written anew":        {"/spec/containers/*/securityContext", `[{"op":"replace","path":"/spec/containers/1","value":{"name":"side"}}]`, cause(`replace "/spec/containers/1"`, "/spec/containers/*/securityContext")},
		"a star, two elements that swap names":   {"/spec/containers/*/securityContext", `[{"op":"replace","path":"/spec/containers","value":[{"name":"side","securityContext":{"privileged":false}},{"name":"main","securityContext":{"privileged":true}}]}]`, cause(`replace "/spec/containers"`, "/spec/containers/*/securityContext")},
		"a star over a map":                      {"/metadata/labels/*", `[{"op":"add","path":"/metadata/labels","value":{"app":"w","x":"y"}}]`, cause(`add "/metadata/labels"`, "/metadata/labels/*")},
		"an index that another element comes to": {"/spec/containers/0/image", `[{"op":"add","path":"/spec/containers/0","value":{"name":"x","image":"j"}}]`, cause(`add "/spec/containers/0"`, "/spec/containers/0/image")},
		"its missing parent made":                {"/metadata/finalizers", `[{"op":"add","path":"/metadata/finalizers/-","value":"x"}]`, cause(`add "/metadata/finalizers/-"`, "/metadata/finalizers")},
		"but an op above that leaves it":         {"/spec/nodeName", `[{"op":"replace","path":"/spec","value":{"nodeName":"n","containers":[{"name":"main"}]}}]`, ""},
		"but a new element without it":           {"/spec/containers/*/securityContext", `[{"op":"add","path":"/spec/containers/0","value":{"name":"x"}}]`, ""},
		"but a move of its element":              {"/spec/containers/*/securityContext", `[{"op":"move","from":"/spec/containers/0","path":"/spec/containers/1"}]`, ""},
		"but a test":                             {"/spec/nodeName", `[{"op":"test","path":"/spec/nodeName","value":"n"},{"op":"add","path":"/metadata/labels/x","value":"y"}]`, ""},
		"but a copy from it":                     {"/spec/nodeName", `[{"op":"copy","from":"/spec/nodeName","path":"/metadata/labels/node"}]`, ""},
		"but a neighbour with a longer name":     {"/spec/node", `[{"op":"replace","path":"/spec/nodeName","value":"x"}]`, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := newChecker(t, test.deny).Check(json.RawMessage(rich), ops(t, test.ops))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("cause (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewNamesEachBadPointer(t *testing.T) {
	_, err := patch.New([]string{"/spec/nodeName", "spec/nodeName", "", "/a~"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, bad := range []string{`"spec/nodeName" is not a JSON pointer`, `"" is not a JSON pointer`, `"/a~" is not a JSON pointer`} {
		if !strings.Contains(err.Error(), bad) {
			t.Errorf("%q is not in %q", bad, err)
		}
	}
	if strings.Contains(err.Error(), `"/spec/nodeName" is not`) {
		t.Errorf("a good pointer is called bad: %v", err)
	}
}

// TestOpsThatNoJSONHolds are what only a caller of ours could hand in.
func TestOpsThatNoJSONHolds(t *testing.T) {
	for _, test := range []struct {
		op   review.Op
		want string
	}{
		{review.Op{Op: "add", Path: "/spec/x", Value: json.RawMessage(`{"a"}`)}, `op 1 (add "/spec/x"): its value is not valid JSON`},
		{review.Op{Op: "add", Path: "/spec/\xff", Value: json.RawMessage(`1`)}, `op 1 (add "/spec/\xff"): its path is not a pointer to a field: it is not valid UTF-8`},
	} {
		if _, err := newChecker(t).Check(json.RawMessage(bare), []review.Op{test.op}); err == nil || err.Error() != test.want {
			t.Errorf("error = %v, want %s", err, test.want)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	checker := newChecker(t, denied...)
	pod, patch := json.RawMessage(rich), ops(t, `[{"op":"add","path":"/spec/imagePullSecrets/-","value":{"name":"x"}},{"op":"add","path":"/spec/newer","value":1}]`)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if checked, err := checker.Check(pod, patch); err != nil || len(checked.Warnings) != 1 {
				t.Errorf("checked = %+v, error = %v", checked, err)
			}
		})
	}
	group.Wait()
}

func TestLimits(t *testing.T) {
	many := make([]review.Op, 10_001)
	for i := range many {
		many[i] = review.Op{Op: "add", Path: "/metadata/annotations/x", Value: json.RawMessage(`"y"`)}
	}
	_, err := newChecker(t).Check(json.RawMessage(rich), many)
	if want := "the patch has 10001 ops; the limit is 10000, as for a PATCH request to the API server"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	_, err = newChecker(t).Check(json.RawMessage(bare), many[:10_000])
	if want := "the patch has 10001 ops with those that create missing parents; the limit is 10000, as for a PATCH request to the API server"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	if _, err = newChecker(t).Check(json.RawMessage(rich), many[:10_000]); err != nil {
		t.Error(err)
	}

	copies := []review.Op{{Op: "add", Path: "/metadata/annotations/x", Value: json.RawMessage(`"` + strings.Repeat("x", 1<<20) + `"`)}}
	for range 3 {
		copies = append(copies, review.Op{Op: "copy", From: "/metadata/annotations/x", Path: "/metadata/annotations/y"})
	}
	_, err = newChecker(t).Check(json.RawMessage(rich), copies)
	if want := `op 4 (copy "/metadata/annotations/y" from "/metadata/annotations/x"): the patch copies more than 3 MiB in all, which is the API server's limit`; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestSame(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{`{"a":1,"b":[true,null]}`, ` { "b" : [ true , null ] , "a" : 1 } `, true},
		{`{"a":1}`, `{"a":1,"b":null}`, false},
		{`{"a":1,"b":2}`, `{"a":1}`, false},
		{`[1,2]`, `[2,1]`, false},
		{`[1]`, `[1,1]`, false},
		{`"é"`, `"\u00e9"`, true},
		{`"\ud83d\ude00"`, `"😀"`, true},
		{`"a"`, `"b"`, false},
		{`1`, `1.0`, true},
		{`100`, `1e2`, true},
		{`0.5`, `5E-1`, true},
		{`-0`, `0`, true},
		{`-1`, `1`, false},
		{`9007199254740993`, `9007199254740992`, false},
		{`1e999999999999999999999`, `1e999999999999999999998`, false},
		{`{}`, `[]`, false},
		{`null`, `false`, false},
		{`true`, `false`, false},
		{`{"a":1,"a":2}`, `{"a":2}`, true},
		{`"1"`, `1`, false},
	} {
		if got := patch.Same(json.RawMessage(test.a), json.RawMessage(test.b)); got != test.want {
			t.Errorf("Same(%s, %s) = %v", test.a, test.b, got)
		}
		if got := patch.Same(json.RawMessage(test.b), json.RawMessage(test.a)); got != test.want {
			t.Errorf("Same(%s, %s) = %v", test.b, test.a, got)
		}
	}
}

// TestAPIVersion holds the release that warnings name against the one that amp is built with.
func TestAPIVersion(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	minor := regexp.MustCompile(`(?m)^\s*k8s\.io/api v0\.(\d+)\.`).FindSubmatch(mod)
	if minor == nil {
		t.Fatal("go.mod does not require k8s.io/api")
	}
	checked, err := newChecker(t).Check(json.RawMessage(bare), ops(t, `[{"op":"add","path":"/spec/x","value":1}]`))
	if err != nil || len(checked.Warnings) != 1 {
		t.Fatalf("warnings = %q, error = %v; want one warning", checked.Warnings, err)
	}
	if want := "Kubernetes 1." + string(minor[1]) + " API"; !strings.HasSuffix(checked.Warnings[0], want) {
		t.Errorf("warning %q does not end in %q, as go.mod has it", checked.Warnings[0], want)
	}
}
