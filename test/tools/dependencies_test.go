package tools

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

var (
	heading = regexp.MustCompile("^## .*`([^`]*go\\.mod|[^`]*package\\.json)`")
	row     = regexp.MustCompile("^\\| `([^`]+)` \\|")
)

// listed are the dependencies that docs/dependencies.md lists for each go.mod.
func listed(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	lists, current := map[string][]string{}, ""
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "## ") {
			current = ""
		}
		if found := heading.FindStringSubmatch(line); found != nil {
			current = found[1]
			lists[current] = nil
		} else if found := row.FindStringSubmatch(line); found != nil && current != "" {
			lists[current] = append(lists[current], found[1])
		}
	}
	return lists
}

// required are the modules and the tools that each go.mod of the repository names itself.
func required(t *testing.T) map[string][]string {
	t.Helper()
	lists := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "bin") {
			return fs.SkipDir
		}
		if entry.Name() != "go.mod" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := modfile.Parse(path, text, nil)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		lists[rel] = nil
		for _, r := range file.Require {
			if !r.Indirect && !strings.HasPrefix(r.Mod.Path, "github.com/txn2/amp") { // the repository's own modules
				lists[rel] = append(lists[rel], r.Mod.Path)
			}
		}
		for _, tool := range file.Tool {
			lists[rel] = append(lists[rel], tool.Path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lists
}

// TestDependenciesAreListed compares docs/dependencies.md with each go.mod, in both directions.
func TestDependenciesAreListed(t *testing.T) {
	docs, modules := listed(t), required(t)
	for file := range docs {
		if _, ok := modules[file]; !ok && strings.HasSuffix(file, "go.mod") {
			t.Errorf("docs/dependencies.md lists %s, which does not exist", file)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		if _, ok := docs[file]; !ok && len(modules[file]) > 0 {
			t.Errorf("docs/dependencies.md has no heading with `%s`", file)
			continue
		}
		for _, module := range modules[file] {
			if !slices.Contains(docs[file], module) {
				t.Errorf("%s requires %s: say in docs/dependencies.md why", file, module)
			}
		}
		for _, module := range docs[file] {
			if !slices.Contains(modules[file], module) {
				t.Errorf("docs/dependencies.md lists %s, which %s does not require", module, file)
			}
		}
	}
}
