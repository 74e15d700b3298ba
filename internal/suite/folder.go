package suite

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/txn2/amp/internal/manifest"
)

// Files returns the suites at a path: the file itself, or those of a folder, in the order of their names. A suite in a folder
// is a file whose name ends in .yaml or .yml and that has the field cases. skipped are such files without that field: for
// example the Pods of the cases. Folders in the folder do not count.
func Files(path string) (suites, skipped []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range entries {
		if ext := filepath.Ext(entry.Name()); entry.IsDir() || ext != ".yaml" && ext != ".yml" {
			continue
		}
		file := filepath.Join(path, entry.Name())
		content, err := manifest.Load(file, nil)
		if err != nil {
			return nil, nil, err
		}
		if isSuite(content) {
			suites = append(suites, file)
		} else {
			skipped = append(skipped, file)
		}
	}
	if len(suites) == 0 {
		return nil, nil, fmt.Errorf("%s: the folder has no suite: expected a file *.yaml with the field cases", path)
	}
	return suites, skipped, nil
}

// isSuite reports whether a file is a suite. One that cannot be read is: Load says what is wrong with it.
func isSuite(content []byte) bool {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return true
	}
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return false
	}
	return slices.ContainsFunc(document.Content[0].Content, func(n *yaml.Node) bool { return n.Value == "cases" })
}
