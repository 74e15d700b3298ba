package jsontree_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/patch/jsontree"
)

const document = ` { "a" : {"b":[1, "x\u0079", null, true, false]}, "c~d":"<é>", "e": 1e2 , "n":null } `

func TestReading(t *testing.T) {
	root := jsontree.NewDocument(document)
	for keys, want := range map[string]jsontree.Kind{
		"a": jsontree.Object, "a b": jsontree.List, "c~d": jsontree.String, "e": jsontree.Number, "n": jsontree.Null,
		"x": jsontree.Absent, "a x": jsontree.Absent, "a b 0": jsontree.Absent, "e x": jsontree.Absent,
	} {
		if got := root.Get(strings.Fields(keys)...).Kind(); got != want {
			t.Errorf("the kind at %q is %q, want %q", keys, got, want)
		}
	}
	var kinds []jsontree.Kind
	for _, element := range root.Get("a", "b").List() {
		kinds = append(kinds, element.Kind())
	}
	if want := []jsontree.Kind{jsontree.Number, jsontree.String, jsontree.Null, jsontree.True, jsontree.False}; !slices.Equal(kinds, want) {
		t.Errorf("the kinds of the list are %q, want %q", kinds, want)
	}
	var keys []string
	root.Each(func(key string, _ *jsontree.Node) { keys = append(keys, key) })
	if want := []string{"a", "c~d", "e", "n"}; !slices.Equal(keys, want) {
		t.Errorf("the keys are %q, want %q", keys, want)
	}
	if text := root.Get("a", "b").List()[1].Text(); text != "xy" {
		t.Errorf("the string is %q", text)
	}
	if text := root.Get("e").Text(); text != "" {
		t.Errorf("the text of a number is %q", text)
	}
	if got := string(root.AppendJSON(nil)); got != strings.TrimSpace(document) {
		t.Errorf("reading changed the text to %s", got)
	}
	if levels := root.Levels(); levels != 3 {
		t.Errorf("it nests %d levels deep", levels)
	}
}

func TestAbsent(t *testing.T) {
	var absent *jsontree.Node
	absent.Each(func(string, *jsontree.Node) { t.Error("it has members") })
	absent.NeedPresence()
	_, repeated := absent.RepeatedKey()
	if absent.Kind() != jsontree.Absent || !absent.IsNull() || absent.Get("a") != nil || absent.List() != nil || absent.Text() != "" || absent.Op() != 0 || !absent.Untouched() || repeated {
		t.Error("an absent value is not as it should be")
	}
	if null := jsontree.NewDocument("null"); !null.IsNull() || jsontree.Same(null, absent) {
		t.Error("null is the same as absent")
	}
}

func TestRepeatedKey(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1,"b":{"a":1}}`:                  "",
		`{"a":1,"a":2}`:                        "a",
		`[1,{"x":[{"b":1,"\u0062":2}]}]`:       "b",
		`{"x":{"c":{},"c":{}},"y":[{"d":[]}]}`: "c",
	} {
		key, repeated := jsontree.NewValue(text, 1).RepeatedKey()
		if key != want || repeated != (want != "") {
			t.Errorf("%s: the repeated key is %q, %v; want %q", text, key, repeated, want)
		}
	}
	if last := jsontree.NewDocument(`{"a":1,"a":2}`).Get("a"); !jsontree.Same(last, jsontree.NewValue("2", 0)) {
		t.Error("the last of two equal keys does not count")
	}
}

// TestEditing changes a document, which leaves the document before as it was.
func TestEditing(t *testing.T) {
	before := jsontree.NewDocument(document)
	after := before.Edit()
	if after == before || after.Edit() != after || !jsontree.Same(before, after) {
		t.Fatal("Edit does not copy once")
	}
	list := after.EditChild(after.Find("a"))
	list = list.EditChild(list.Find("b"))
	list.Insert(0, jsontree.NewValue(`{"new":[]}`, 1))
	list.Insert(6, jsontree.NewValue(`"end"`, 2))
	list.Remove(3)
	list.Replace(1, jsontree.NewValue("2", 3))
	if at := after.Set("n", jsontree.NewValue(`"set"`, 4)); after.Child(at).Text() != "set" || at != after.Find("n") {
		t.Error("Set does not replace")
	}
	if at := after.Set("<", jsontree.NewValue("{}", 5)); at != after.Find("<") {
		t.Error("Set does not add")
	}
	after.Remove(after.Find("e"))

	if got, want := string(after.AppendJSON(nil)), `{"a":{"b":[{"new":[]},2,"x\u0079",true,false,"end"]},"c~d":"<é>","n":"set","\u003c":{}}`; got != want {
		t.Errorf("after is %s, want %s", got, want)
	}
	if got := string(before.AppendJSON(nil)); got != strings.TrimSpace(document) || after.Find("e") >= 0 || after.Get("e") != nil {
		t.Errorf("before is %s, and after has e: %v", got, after.Get("e"))
	}
	if after.Levels() != 5 || before.Levels() != 3 {
		t.Errorf("they nest %d and %d levels deep", after.Levels(), before.Levels())
	}
	if before.Get("c~d") != after.Get("c~d") {
		t.Error("what did not change is not shared")
	}
}

func TestOrigins(t *testing.T) {
	before := jsontree.NewDocument(`{"a":{"b":{"c":1}},"d":{"e":{}}}`)
	after := before.Edit()
	inner := after.EditChild(after.Find("d"))
	inner.Set("f", jsontree.NewValue(`{"g":1}`, 2))
	moved := after.Get("a")
	after.Remove(after.Find("a"))
	after.Set("x", moved.MovedBy(3))

	for keys, want := range map[string]struct {
		op        int
		untouched bool
	}{
		"d":     {0, false},
		"d e":   {0, true},
		"d f":   {2, false},
		"d f g": {2, false},
		"x":     {3, false},
		"x b c": {3, false},
	} {
		if n := after.Get(strings.Fields(keys)...); n == nil || n.Op() != want.op || n.Untouched() != want.untouched {
			t.Errorf("at %q: op = %d, untouched = %v; want %v", keys, n.Op(), n.Untouched(), want)
		}
	}
	if n := before.Get("a", "b", "c"); n.Op() != 0 || !n.Untouched() {
		t.Error("the move changed the document before it")
	}
	inner.MovedBy(4)
	if after.Get("d").Op() != 4 || after.Get("d", "e").Op() != 0 {
		t.Error("a move of an edited value does not mark just that value")
	}
}

func TestSparse(t *testing.T) {
	before := jsontree.NewDocument(`{"a":{"b":[{"x":1},"s",[2],3],"c":"gone"},"d":"gone","e":{"f":1}}`)
	after := before.Edit()
	after.NeedPresence()
	a := after.EditChild(after.Find("a"))
	a.NeedPresence()
	list := a.EditChild(a.Find("b"))
	list.NeedPresence()
	list.Child(2).NeedWhole()
	list.Insert(0, jsontree.NewValue(`"new"`, 1))
	after.Get("e").NeedPresence()

	for which, test := range map[string]struct {
		n    *jsontree.Node
		want string
	}{
		"before": {before, `{"a":{"b":[{},"",[2],3]},"e":{}}`},
		"after":  {after, `{"a":{"b":["new",{},"",[2],3]},"e":{}}`},
	} {
		if got := string(test.n.AppendSparse(nil)); got != test.want {
			t.Errorf("%s is %s, want %s", which, got, test.want)
		}
	}
	after.NeedWhole()
	if got, want := string(before.AppendSparse(nil)), `{"a":{"b":[{"x":1},"s",[2],3],"c":"gone"},"d":"gone","e":{"f":1}}`; got != want {
		t.Errorf("all of before is %s, want %s", got, want)
	}
}

func TestManyMembers(t *testing.T) {
	root := jsontree.NewDocument("{}").Edit()
	for i := range 100 {
		root.Set("k"+strconv.Itoa(i), jsontree.NewValue(strconv.Itoa(i), i))
	}
	for i := 0; i < 100; i += 2 {
		root.Remove(root.Find("k" + strconv.Itoa(i)))
	}
	root.Set("k0", jsontree.NewValue("0", 100))
	copied := jsontree.NewDocument(string(root.AppendJSON(nil)))
	if !jsontree.Same(root, copied) || !jsontree.Same(copied, root) {
		t.Error("the text is not the same")
	}
	for i := range 100 {
		want := "<nil>"
		if i%2 == 1 || i == 0 {
			want = strconv.Itoa(i)
		}
		got := "<nil>"
		if n := root.Get(fmt.Sprint("k", i)); n != nil {
			got = string(n.AppendJSON(nil))
		}
		if got != want {
			t.Errorf("k%d is %s, want %s", i, got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{"a": `"a"`, `<"\>`: `"\u003c\"\\\u003e"`, "é\n": "\"é\\n\"", "\xff": `"\ufffd"`} {
		if got := jsontree.Quote(text); got != want {
			t.Errorf("Quote(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestPointers(t *testing.T) {
	p := func(text string) jsontree.Pointer { return strings.Split(text, "/") }
	for _, test := range []struct {
		pattern, place     string
		contains, overlaps bool
	}{
		{"a/b", "a/b", true, true},
		{"a/b", "a/b/c", true, true},
		{"a/b", "a", false, true},
		{"a/b", "a/c", false, false},
		{"a/b", "b", false, false},
		{"a/*/c", "a/0/c/d", true, true},
		{"a/*/c", "a/0", false, true},
		{"a/*/c", "a/0/d", false, false},
		{"a/b", "a/*", false, false}, // in a place, * is a key
	} {
		if got := p(test.pattern).Contains(p(test.place)); got != test.contains {
			t.Errorf("%s contains %s: %v", test.pattern, test.place, got)
		}
		if got := p(test.pattern).Overlaps(p(test.place)); got != test.overlaps {
			t.Errorf("%s overlaps %s: %v", test.pattern, test.place, got)
		}
	}
	if got := p("spec/nodeName").String(); got != "spec.nodeName" {
		t.Errorf("String() = %q", got)
	}
}
