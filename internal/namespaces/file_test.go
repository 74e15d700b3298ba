package namespaces_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/namespaces"
)

const twoNamespaces = `# who gets what
---
apiVersion: v1
kind: Namespace
metadata:
  name: jhub
  labels: {amp.txn2.com/enabled: "true"}
  annotations: {amp.txn2.com/ep: "http://a/m"}
---
apiVersion: v1
kind: Namespace
metadata: {name: other}
`

func write(t *testing.T, path, content string) {
	t.Helper()
	// Editors and Kubernetes volumes do the same: a new file takes the name of the old one.
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "namespaces.yaml")
	write(t, path, twoNamespaces)
	var log bytes.Buffer
	file, err := namespaces.OpenFile(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := file.Policy(t.Context(), "jhub")
	if err != nil || len(p.Mutate) != 1 || p.Mutate[0].Name != "http://a/m" {
		t.Errorf("jhub: %+v, %v", p, err)
	}
	if p, err := file.Policy(t.Context(), "other"); err != nil || p.Enabled {
		t.Errorf("other: %+v, %v", p, err)
	}
	if _, err := file.Policy(t.Context(), "third"); err == nil || err.Error() != "reading namespace third: it is not in "+path {
		t.Errorf("third: %v", err)
	}

	write(t, path, strings.ReplaceAll(twoNamespaces, "http://a/m", "http://b"))
	if p, err := file.Policy(t.Context(), "jhub"); err != nil || p.Mutate[0].Name != "http://b" {
		t.Errorf("after a change: %+v, %v", p, err)
	}

	write(t, path, "kind: Pod")
	if p, err := file.Policy(t.Context(), "jhub"); err != nil || p.Mutate[0].Name != "http://b" {
		t.Errorf("after a bad change: %+v, %v", p, err)
	}
	if !strings.Contains(log.String(), path) {
		t.Errorf("the log says nothing of it: %s", log.String())
	}
}

func TestFileThatHoldsSomethingElse(t *testing.T) {
	for name, test := range map[string]struct{ content, want string }{
		"another kind": {twoNamespaces + "---\nkind: Pod\napiVersion: v1\nmetadata: {name: x}", `document 3: expected apiVersion v1, kind Namespace and a metadata.name, or a List of such; this is apiVersion "v1", kind "Pod", name "x"`},
		"no name":      {"apiVersion: v1\nkind: Namespace", `document 1: expected apiVersion v1, kind Namespace and a metadata.name, or a List of such; this is apiVersion "v1", kind "Namespace", name ""`},
		"twice":        {twoNamespaces + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: jhub}", "document 3: namespace jhub is there twice"},
		"no YAML":      {"a: [", "document 1: "},
		"a Pod in a list": {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n- {apiVersion: v1, kind: Pod, metadata: {name: x}}",
			`document 1, item 2: expected apiVersion v1, kind Namespace and a metadata.name, or a List of such; this is apiVersion "v1", kind "Pod", name "x"`},
		"no kind in a list":       {"apiVersion: v1\nkind: List\nitems: [{metadata: {name: a}}]", `document 1, item 1: expected apiVersion v1`},
		"no object in a list":     {"apiVersion: v1\nkind: List\nitems: [a]", `document 1, item 1: `},
		"items that are no list":  {"apiVersion: v1\nkind: List\nitems: {a: b}", `document 1: `},
		"twice, once in a list":   {twoNamespaces + "---\napiVersion: v1\nkind: NamespaceList\nitems: [{metadata: {name: jhub}}]", "document 3, item 1: namespace jhub is there twice"},
		"a list of another group": {"apiVersion: v2\nkind: List\nitems: []", `document 1: expected apiVersion v1`},
		"lists in lists without end": {strings.Repeat(`{"apiVersion":"v1","kind":"List","items":[`, 12) + strings.Repeat("]}", 12),
			"document 1" + strings.Repeat(", item 1", 10) + ": more than 10 lists stand in lists"},
		"the second JSON value": {`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}} {"kind":"Pod"}`, `document 2: expected apiVersion v1`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "namespaces.yaml")
			write(t, path, test.content)
			_, err := namespaces.OpenFile(path, slog.New(slog.DiscardHandler))
			if want := "reading namespaces from " + path + ": " + test.want; err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error %v, want %s", err, want)
			}
		})
	}
	if _, err := namespaces.OpenFile(filepath.Join(t.TempDir(), "none"), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file that is not there opens")
	}
}

// What kubectl prints is read as well as what people write.
func TestFileOfLists(t *testing.T) {
	item := func(name string) string {
		return `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "` + name + `", "labels": {"amp.txn2.com/enabled": "true"}, "annotations": {"amp.txn2.com/ep": "http://` + name + `/m"}}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}`
	}
	untyped := func(name string) string {
		return strings.Replace(item(name), `"apiVersion": "v1", "kind": "Namespace", `, "", 1)
	}
	list := func(kind string, items ...string) string {
		return `{"apiVersion": "v1", "kind": "` + kind + `", "metadata": {"resourceVersion": ""}, "items": [` + strings.Join(items, ", ") + "]}"
	}
	for sentence, test := range map[string]struct{ content, names string }{
		"kubectl get ns -o yaml":               {"apiVersion: v1\nitems:\n- " + item("a") + "\n- " + item("b") + "\nkind: List\nmetadata:\n  resourceVersion: \"\"\n", "a b"},
		"kubectl get ns -o json":               {list("List", item("a"), item("b")) + "\n", "a b"},
		"as the API server answers":            {list("NamespaceList", untyped("a"), untyped("b")), "a b"},
		"an empty list":                        {list("List"), ""},
		"a list in a list":                     {list("List", list("List", item("a")), list("NamespaceList", untyped("b")), item("c")), "a b c"},
		"several documents":                    {list("List", item("a")) + "\n---\n# a comment\n---\n" + item("b") + "\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: c, labels: {amp.txn2.com/enabled: \"true\"}, annotations: {amp.txn2.com/ep: \"http://c/m\"}}\n", "a b c"},
		"JSON values one after the other":      {item("a") + "\n" + item("b") + list("List", item("c")), "a b c"},
		"YAML in braces":                       {"{apiVersion: v1, kind: List, items: [" + item("a") + "]}", "a"},
		"nothing":                              {"", ""},
		"with the line ends of another system": {strings.ReplaceAll("apiVersion: v1\nkind: List\nitems:\n- "+item("a")+"\n---\n"+item("b"), "\n", "\r\n"), "a b"},
	} {
		t.Run(sentence, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "namespaces.yaml")
			write(t, path, test.content)
			file, err := namespaces.OpenFile(path, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			for name := range strings.FieldsSeq(test.names) {
				if p, err := file.Policy(t.Context(), name); err != nil || len(p.Mutate) != 1 || p.Mutate[0].Name != "http://"+name+"/m" {
					t.Errorf("%s: %+v, %v", name, p, err)
				}
			}
		})
	}
}

// The file of Namespaces in docs/config.md parses.
func TestNamespacesOfThePage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "config.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "cat > namespaces.yaml <<'EOF'\n")
	text, _, ended := strings.Cut(text, "\nEOF\n")
	if !found || !ended {
		t.Fatal("docs/config.md has no namespaces.yaml")
	}
	path := filepath.Join(t.TempDir(), "namespaces.yaml")
	write(t, path, text)
	file, err := namespaces.OpenFile(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := file.Policy(t.Context(), "team-a"); err != nil || p.Err != nil || !p.Enabled || len(p.Mutate) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}
