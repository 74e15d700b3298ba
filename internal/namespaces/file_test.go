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
		"another kind": {twoNamespaces + "---\nkind: Pod\napiVersion: v1\nmetadata: {name: x}", `document 3: expected apiVersion v1, kind Namespace and a metadata.name; this is apiVersion "v1", kind "Pod", name "x"`},
		"no name":      {"apiVersion: v1\nkind: Namespace", `document 1: expected apiVersion v1, kind Namespace and a metadata.name; this is apiVersion "v1", kind "Namespace", name ""`},
		"twice":        {twoNamespaces + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: jhub}", "document 3: namespace jhub is there twice"},
		"no YAML":      {"a: [", "document 1: "},
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

// The file of Namespaces in the README parses.
func TestReadmeNamespaces(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(readme), "cat > namespaces.yaml <<'EOF'\n")
	text, _, ended := strings.Cut(text, "\nEOF\n")
	if !found || !ended {
		t.Fatal("README.md has no namespaces.yaml")
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
