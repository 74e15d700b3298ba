package chart

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"sigs.k8s.io/yaml"
	yamlv3 "sigs.k8s.io/yaml/goyaml.v3"
)

// parts are the folders of deploy that are only parts of others.
var parts = []string{"base", "self", "cert-manager/renamed"}

// TestGenerated checks that the files of the chart that are made from others are up to date: its objects, which kustomize
// renders from the folders of deploy, and its README. With AMP_UPDATE=1 it writes them (make chart).
func TestGenerated(t *testing.T) {
	want := map[string][]byte{"README.md": readme(t)}
	err := filepath.WalkDir(filepath.Join(root, "deploy"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "kustomization.yaml" {
			return err
		}
		folder, err := filepath.Rel(filepath.Join(root, "deploy"), filepath.Dir(path))
		if err != nil || slices.Contains(parts, folder) {
			return err
		}
		built, err := build(filepath.Dir(path))
		name := strings.ReplaceAll(strings.TrimPrefix(folder, "."), "/", "-")
		if name == "" {
			name = "deploy"
		}
		want["files/"+name+".yaml"] = built
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	chart := filepath.Join(root, "deploy/chart")
	for name, content := range want {
		file := filepath.Join(chart, name)
		if os.Getenv("AMP_UPDATE") == "1" {
			if err := os.WriteFile(file, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, content) {
			t.Errorf("deploy/chart/%s is not up to date: make chart (%v)", name, err)
		}
	}
	there, err := filepath.Glob(filepath.Join(chart, "files/*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(there) != len(want)-1 {
		t.Errorf("deploy/chart/files has %d files, and the folders of deploy are %d", len(there), len(want)-1)
	}
}

// TestEveryFolderIsUsed: each folder of deploy can be had by the chart.
func TestEveryFolderIsUsed(t *testing.T) {
	templates := ""
	files, err := filepath.Glob(filepath.Join(root, "deploy/chart/templates/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		templates += read(t, strings.TrimPrefix(file, root+"/"))
	}
	there, err := filepath.Glob(filepath.Join(root, "deploy/chart/files/*"))
	if err != nil || len(there) < 12 {
		t.Fatalf("there are only %q: %v", there, err)
	}
	for _, file := range there {
		if name := strings.TrimSuffix(filepath.Base(file), ".yaml"); !strings.Contains(templates, `"`+name+`"`) {
			t.Errorf("no template has %s", name)
		}
	}
}

// readme is the chart's README: testdata/README.md.tmpl with a table of the values.
func readme(t *testing.T) []byte {
	t.Helper()
	var document yamlv3.Node
	if err := yamlv3.Unmarshal([]byte(read(t, "deploy/chart/values.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	text, err := template.ParseFiles("testdata/README.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := text.Execute(&out, map[string]string{"Values": strings.Join(rows(t, "", document.Content[0]), "\n")}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// rows are the rows of the table for a mapping of values.yaml: each value with its default and the comment above it.
func rows(t *testing.T, prefix string, mapping *yamlv3.Node) (all []string) {
	t.Helper()
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		// The head of the file is a comment of its first key.
		comments := strings.Split(key.HeadComment, "\n\n")
		comment := strings.ReplaceAll(strings.ReplaceAll(comments[len(comments)-1], "\n# ", " "), "# ", "")
		path := prefix + key.Value
		if value.Kind == yamlv3.MappingNode && len(value.Content) > 0 {
			if comment != "" {
				all = append(all, fmt.Sprintf("| **`%s`** | | %s |", path, comment))
			}
			all = append(all, rows(t, path+".", value)...)
			continue
		}
		var plain any
		if err := value.Decode(&plain); err != nil {
			t.Fatal(err)
		}
		is, err := json.Marshal(plain)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("| `%s` | `%s` | %s |", path, is, comment))
	}
	return all
}

// TestSchema: the schema knows the values that there are, and no others.
func TestSchema(t *testing.T) {
	var values, schema map[string]any
	if err := yaml.Unmarshal([]byte(read(t, "deploy/chart/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(read(t, "deploy/chart/values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	var check func(path string, values, node map[string]any)
	check = func(path string, values, node map[string]any) {
		if ref, ok := node["$ref"].(string); ok {
			node = at(schema, strings.ReplaceAll(strings.TrimPrefix(ref, "#/"), "/", ".")).(map[string]any)
		}
		properties, ok := node["properties"].(map[string]any)
		if !ok {
			return // a map of the operator's own keys
		}
		if node["additionalProperties"] != false && path != ".resources.limits" && path != ".audit.resources.limits" {
			t.Errorf("%s takes unknown keys", path)
		}
		for key, value := range values {
			if properties[key] == nil {
				if node["additionalProperties"] == false {
					t.Errorf("the schema has no %s.%s", path, key)
				}
				continue
			}
			if inner, ok := value.(map[string]any); ok {
				check(path+"."+key, inner, properties[key].(map[string]any))
			}
		}
		for key := range properties {
			if _, ok := values[key]; !ok && path+"."+key != ".global" { // Helm's own
				t.Errorf("values.yaml has no %s.%s", path, key)
			}
		}
	}
	check("", values, schema)
}

// read returns a file of the repository.
func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
