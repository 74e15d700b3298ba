package describe

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/endpoints/jsonpointer"
)

func TestApply(t *testing.T) {
	const pod = `{"a":{"b":1},"list":[1,2,3],"null":null,"large":12345678901234567890,"~k/":true}`
	for name, tc := range map[string]struct{ op, want string }{
		"add a member":                       {`{"op":"add","path":"/a/c","value":2}`, `"a":{"b":1,"c":2}`},
		"add over a member":                  {`{"op":"add","path":"/a","value":[]}`, `"a":[]`},
		"add an element":                     {`{"op":"add","path":"/list/1","value":9}`, `"list":[1,9,2,3]`},
		"add at the end, by its place":       {`{"op":"add","path":"/list/3","value":9}`, `"list":[1,2,3,9]`},
		"add at the end":                     {`{"op":"add","path":"/list/-","value":9}`, `"list":[1,2,3,9]`},
		"add from the end":                   {`{"op":"add","path":"/list/-2","value":9}`, `"list":[1,2,9,3]`},
		"add behind the end":                 {`{"op":"add","path":"/list/4","value":9}`, "the list has no such element"},
		"add below what is not there":        {`{"op":"add","path":"/x/y","value":9}`, "there is nothing at that place"},
		"add below null":                     {`{"op":"add","path":"/null/y","value":9}`, "there is nothing at that place"},
		"add below a number":                 {`{"op":"add","path":"/large/y","value":9}`, "there is nothing at that place"},
		"add the whole Pod":                  {`{"op":"add","path":"","value":{}}`, "it is about the whole Pod"},
		"add nothing":                        {`{"op":"add","path":"/x"}`, "it has no valid value"},
		"add null":                           {`{"op":"add","path":"/x","value":null}`, `"x":null`},
		"escaped keys":                       {`{"op":"replace","path":"/~0k~1","value":false}`, `"~k/":false`},
		"a pointer that is not valid":        {`{"op":"add","path":"x","value":1}`, "its path is not valid: it must begin with a slash"},
		"a from that is not valid":           {`{"op":"copy","from":"/~","path":"/x"}`, "its from is not valid"},
		"replace a member":                   {`{"op":"replace","path":"/a/b","value":"x"}`, `"a":{"b":"x"}`},
		"replace a member that is not there": {`{"op":"replace","path":"/a/z","value":"x"}`, `"a":{"b":1,"z":"x"}`},
		"replace an element":                 {`{"op":"replace","path":"/list/-1","value":9}`, `"list":[1,2,9]`},
		"replace an element behind the end":  {`{"op":"replace","path":"/list/3","value":9}`, "the list has no such element"},
		"replace the whole Pod":              {`{"op":"replace","path":"","value":{"x":1}}`, `{"x":1}`},
		"replace the whole Pod by a text":    {`{"op":"replace","path":"","value":"x"}`, "it has no valid value"},
		"remove a member":                    {`{"op":"remove","path":"/a/b"}`, `"a":{}`},
		"remove an element":                  {`{"op":"remove","path":"/list/0"}`, `"list":[2,3]`},
		"remove what is not there":           {`{"op":"remove","path":"/a/z"}`, "there is nothing at that place"},
		"remove the whole Pod":               {`{"op":"remove","path":""}`, "it is about the whole Pod"},
		"move":                               {`{"op":"move","from":"/list/0","path":"/a/b"}`, `"a":{"b":1},"large":12345678901234567890,"list":[2,3]`},
		"move what is not there":             {`{"op":"move","from":"/x","path":"/y"}`, "there is nothing at that place"},
		"move into itself":                   {`{"op":"move","from":"/a","path":"/a/b"}`, "there is nothing at that place"},
		"copy":                               {`{"op":"copy","from":"/a","path":"/list/-"}`, `"list":[1,2,3,{"b":1}]`},
		"copy what is not there":             {`{"op":"copy","from":"/x","path":"/y"}`, `"y":null`},
		"copy the whole Pod":                 {`{"op":"copy","from":"","path":"/y"}`, "it is about the whole Pod"},
		"test":                               {`{"op":"test","path":"/large","value":12345678901234567890}`, pod},
		"test another value":                 {`{"op":"test","path":"/large","value":12345678901234567891}`, "the Pod has another value there"},
		"test for what is not there":         {`{"op":"test","path":"/x","value":null}`, pod},
		"another operation":                  {`{"op":"merge","path":"/x","value":null}`, `there is no operation "merge"`},
	} {
		t.Run(name, func(t *testing.T) {
			var op events.Op
			if err := json.Unmarshal([]byte(tc.op), &op); err != nil {
				t.Fatal(err)
			}
			d := known(&events.Data{Object: json.RawMessage(pod)})
			got := ""
			if err := d.apply(&op); err != nil {
				got = err.Error()
			} else if text, err := json.Marshal(d.root); err != nil {
				t.Fatal(err)
			} else {
				got = string(text)
			}
			if tc.want == pod {
				if want := known(&events.Data{Object: json.RawMessage(pod)}); !reflect.DeepEqual(d.root, want.root) {
					t.Errorf("it became %s", got)
				}
			} else if !strings.Contains(got, tc.want) {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestACopySharesNothing(t *testing.T) {
	d := known(&events.Data{Object: json.RawMessage(`{"a":{"b":[1]}}`)})
	for _, op := range []events.Op{
		{Op: "copy", From: "/a", Path: "/c"},
		{Op: "add", Path: "/c/b/-", Value: json.RawMessage(`2`)},
		{Op: "add", Path: "/a/x", Value: json.RawMessage(`3`)},
	} {
		if err := d.apply(&op); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := json.Marshal(d.root); string(got) != `{"a":{"b":[1],"x":3},"c":{"b":[1,2]}}` {
		t.Errorf("it is %s", got)
	}
}

// FuzzApply has any data described. It holds the applier against the API server's library: both accept the same operations, and make the same
// Pod. It leaves out what that library takes and no operation of amp's has (see apply), and what it panics on.
func FuzzApply(f *testing.F) {
	f.Add([]byte(`{"object":{"a":[1,{"b":null}],"c":"x"},"patch":[{"op":"add","path":"/a/-","value":{}},{"op":"move","from":"/c","path":"/a/0"},{"op":"copy","from":"/a/-1","path":"/d"}]}`))
	f.Add([]byte(`{"object":{"a":1},"patch":[{"op":"test","path":"/a","value":1},{"op":"replace","path":"","value":[1]},{"op":"replace","path":"/0","value":2},{"op":"remove","path":"/-1"}]}`))
	f.Add([]byte(`{"object":{"a":{"~":1}},"patch":[{"op":"test","path":"/a/~0","value":1},{"op":"remove","path":"/a/~0"},{"op":"test","path":"/x","value":null}]}`))
	f.Add([]byte(`{"object":{"spec":{"containers":[{"name":"a"}]}},"patch":[{"op":"add","path":"/spec/containers/0/env/-","value":{}}]}`))
	f.Add([]byte(`{"object":{"a":[1]},"patch":[{"op":"move","from":"/a","path":"/a/0"},{"op":"copy","from":"","path":"/b"},{"op":"remove","path":"/a/0"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d events.Data
		if json.Unmarshal(b, &d) != nil {
			return
		}
		Changes(&d)
		described := d
		described.Outcome = "mutated"
		Gist(&described)
		DiffOf(&described)
		if len(d.Object) == 0 || len(d.Patch) == 0 {
			return
		}
		root, err := decode(d.Object)
		if _, ok := root.(map[string]any); err != nil || !ok {
			return
		}
		for i := range d.Patch {
			op := &d.Patch[i]
			if value, err := decode(op.Value); err == nil {
				op.Value, _ = json.Marshal(value) // the library compares texts as they are escaped
			} else if op.Op == "add" || op.Op == "replace" || op.Op == "test" {
				return
			}
			for _, pointer := range []string{op.Path, op.From} {
				if _, err := jsonpointer.Parse(pointer); err != nil {
					return
				}
			}
		}
		d.Object, _ = json.Marshal(root)

		want, panicked, theirs := byLibrary(&d)
		got, ours := patched(&d)
		if panicked {
			return
		}
		if (ours == nil) != (theirs == nil) {
			t.Fatalf("the library says %v, the applier %v", theirs, ours)
		}
		if ours != nil {
			return
		}
		x, _ := decode(got)
		y, err := decode(want)
		if err != nil || !reflect.DeepEqual(x, y) {
			t.Fatalf("the library makes %s, the applier %s", want, got)
		}
	})
}

func byLibrary(d *events.Data) (after []byte, panicked bool, err error) {
	defer func() { panicked = recover() != nil }()
	type op struct {
		Op    string          `json:"op"`
		Path  string          `json:"path"`
		From  string          `json:"from,omitempty"`
		Value json.RawMessage `json:"value,omitempty"`
	}
	var ops []op
	for _, o := range d.Patch {
		ops = append(ops, op{o.Op, o.Path, o.From, o.Value})
	}
	text, err := json.Marshal(ops)
	if err != nil {
		return nil, false, err
	}
	patch, err := jsonpatch.DecodePatch(text)
	if err == nil {
		after, err = patch.Apply(d.Object)
	}
	return after, false, err
}
