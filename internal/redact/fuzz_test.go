package redact

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/fuzztest"
)

// FuzzRedact places text anywhere by any op, and marks by a patch of many ops. It holds what is shown against the list of
// shown places, which it reads in its own way.
func FuzzRedact(f *testing.F) {
	shown := shownPlaces(f)
	doc := gjson.ParseBytes(populated(f))
	for _, part := range []string{"metadata", "spec.containers.0.env", "spec.containers.0.livenessProbe", "spec.containers.0.securityContext",
		"spec.volumes.0.csi", "spec.volumes.0.projected", "spec.volumes.0.ephemeral", "spec.affinity.nodeAffinity"} {
		f.Add("/"+strings.ReplaceAll(part, ".", "/"), doc.Get(part).Raw, []byte{})
		f.Add("/spec/future", doc.Get(part).Raw, []byte{})
	}
	f.Add("/spec/containers/0", `{"name":"a","env":[{"name":"A","value":"s3cret"}],"x":{"a":[["s3cret"]]}}`, []byte{})
	f.Add("/spec/containers/0/env/-", `{"name":"A","value":7}`, []byte{})
	for i := range len(marked) {
		// A value is put at one place, tested there, then moved to each other place.
		for at := (i + 2) % 3; at < len(places); at += 3 { // all of them would be a slow start
			f.Add("/spec/hostname", `"x"`, []byte{0, byte(at), byte(i), 5, byte(at), 0, 3, byte(i + at), byte(at), 5, byte(i + at), 0})
		}
	}
	f.Fuzz(func(t *testing.T, path, value string, program []byte) {
		fuzztest.Within(t, time.Second, 64<<20, func() {
			holdValue(t, shown, path, value)
			holdPatch(t, shown, program)
		})
	})
}

// holdValue fails the test if a value at a path shows text at a place that is not shown.
func holdValue(t *testing.T, shown map[string]bool, path, value string) {
	t.Helper()
	got := valueShown(path, json.RawMessage(value))
	if !json.Valid(got) {
		t.Fatalf("%q at %q becomes no JSON: %q", value, path, got)
	}
	if !json.Valid([]byte(value)) || path != "" && path[0] != '/' {
		return
	}
	leaves(parse(t, got), path, func(at string, leaf any) {
		text, isText := leaf.(string)
		if !isText || text == events.Redacted || words[text] {
			return
		}
		if !shown[normal(at)] {
			t.Errorf("%q at %q shows %q at %s", value, path, text, at)
		}
	})
}

// What the bytes of a program choose from: places, and values in which each # becomes another mark.
var (
	places = []string{
		"/spec/hostname", "/spec/subdomain", "/spec/containers/0/image", "/spec/containers/0/env/0/value", "/spec/containers/0/env/-", "/spec/containers/0/env/0", "/spec/containers/0/env",
		"/spec/containers/0/args/0", "/spec/containers/0/args", "/spec/containers/1", "/spec/containers/-", "/spec/containers/-1", "/spec/containers/0", "/spec/containers", "/spec/initContainers", "/spec/initContainers/-",
		"/metadata/labels/x", "/metadata/labels", "/metadata/annotations/x", "/metadata/annotations", "/spec/nodeSelector", "/spec/future", "/spec/future/a", "/spec/volumes/-", "/spec/volumes/0", "/spec/volumes/0/csi", "/spec",
	}
	marked = []string{
		`"#"`, `["#","#"]`, `{"x":"#"}`, `{"name":"#","value":"#"}`, `{"name":"#","image":"#","args":["#"],"env":[{"name":"#","value":"#"}]}`, `{"name":"#","csi":{"driver":"#","volumeAttributes":{"a":"#"}}}`,
		`{"a":{"b":["#",{"c":"#"}]}}`, `[{"name":"#","value":"#"}]`, `{}`, `[]`, `{"hostname":"#","containers":[{"image":"#","env":[{"value":"#"}]}]}`,
	}
)

// holdPatch makes ops of a program, three bytes each, and fails the test if an op shows a mark that at any time stood at a
// place that is not shown. json-patch.v4 says where the marks stand.
func holdPatch(t *testing.T, shown map[string]bool, program []byte) {
	t.Helper()
	doc := []byte(aPod)
	number := 0
	hidden := map[string]string{} // marks, with a place where each is not shown
	look := func(at string, value any) {
		leaves(value, at, func(at string, leaf any) {
			if text, ok := leaf.(string); ok && strings.HasPrefix(text, "mark") && !shown[normal(at)] {
				hidden[text] = at
			}
		})
	}
	var ops []events.Op
	for ; len(program) >= 3 && len(ops) < 12; program = program[3:] {
		op := events.Op{Op: []string{"add", "replace", "remove", "move", "copy", "test"}[program[0]%6], Path: places[int(program[1])%len(places)]}
		switch op.Op {
		case "add", "replace":
			value := marked[int(program[2])%len(marked)]
			for strings.Contains(value, "#") {
				number++
				value = strings.Replace(value, "#", fmt.Sprintf("mark%d.", number), 1)
			}
			op.Value = json.RawMessage(value)
		case "move", "copy":
			op.From = places[int(program[2])%len(places)]
		case "test":
			found := gjson.GetBytes(doc, strings.ReplaceAll(strings.TrimPrefix(op.Path, "/"), "/", "."))
			if !found.Exists() {
				continue
			}
			op.Value = json.RawMessage(found.Raw)
		}
		next, err := plain(doc, op)
		if err != nil || len(next) > 20_000 {
			continue // amp refuses such a patch, and shows nothing of it
		}
		doc = next
		ops = append(ops, op)
		look("", parse(t, doc))
		if op.Value != nil {
			look(op.Path, parse(t, op.Value))
		}
	}
	said, err := json.Marshal(ops)
	if err != nil {
		t.Fatal(err)
	}
	Patch(json.RawMessage(aPod), ops)
	for i, op := range ops {
		if op.Value == nil {
			continue
		}
		for mark, at := range hidden {
			if strings.Contains(string(op.Value), mark) {
				t.Errorf("op %d shows %s, which stood at %s: %s\n%s", i+1, mark, at, op.Value, said)
			}
		}
	}
}

// plain applies one op as the API server's library does.
func plain(doc []byte, op events.Op) (after []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	text, err := json.Marshal([]events.Op{op})
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.DecodePatch(text)
	if err != nil {
		return nil, err
	}
	return patch.Apply(doc)
}

// normal writes a JSON pointer as testdata/shown.txt does: with index 0, the key "key", and containers for
// each kind of them.
func normal(pointer string) string {
	segments := strings.Split(pointer, "/")
	for i, segment := range segments {
		if i > 0 && slices.Contains([]string{"labels", "annotations", "nodeSelector", "matchLabels", "limits", "requests", "overhead"}, segments[i-1]) {
			segments[i] = "key"
		} else if _, err := strconv.Atoi(segment); err == nil || segment == "-" {
			segments[i] = "0"
		}
	}
	if len(segments) > 2 && (segments[2] == "initContainers" || segments[2] == "ephemeralContainers" && segments[len(segments)-1] != "targetContainerName") {
		segments[2] = "containers"
	}
	return strings.Join(segments, "/")
}
