package doctor

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Checks judge what was gathered. They cannot talk to the cluster, or to anything else.
func TestChecksDoNoIO(t *testing.T) {
	files, err := filepath.Glob("check*.go")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if slices.Contains([]string{"context", "io", "net", "net/http", "os"}, path) || strings.HasPrefix(path, "k8s.io/client-go") {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
}

// docs/doctor.md describes each check, and no other.
func TestEveryCheckIsDescribed(t *testing.T) {
	page, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[a-z`, -]+`) \\|").FindAllStringSubmatch(string(page), -1) {
		for id := range strings.SplitSeq(row[1], ", ") {
			described = append(described, strings.Trim(id, "`"))
		}
	}
	all := []string{notAskedID}
	for _, c := range slices.Concat(checks, dryRunChecks) {
		all = append(all, c.id)
	}
	slices.Sort(described)
	if slices.Sort(all); !slices.Equal(all, described) {
		t.Errorf("the checks are %v, and docs/doctor.md describes %v", all, described)
	}
}
