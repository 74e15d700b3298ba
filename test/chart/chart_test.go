// Package chart tests the Helm chart of deploy/chart and the dashboard of deploy/dashboards: with both majors of Helm, and
// with a real Prometheus that scrapes a real amp.
package chart

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
	yamlv3 "sigs.k8s.io/yaml/goyaml.v3"
)

const root = "../.."

// helms are the programs that go.mod pins, by major.
var helms = map[string]func() (string, error){
	"Helm 3": sync.OnceValues(func() (string, error) { return tool("helm.sh/helm/v3/cmd/helm") }),
	"Helm 4": sync.OnceValues(func() (string, error) { return tool("helm.sh/helm/v4/cmd/helm") }),
}

// tool returns the path of a program that go.mod pins.
func tool(pkg string) (string, error) {
	cmd := exec.Command(filepath.Join(root, ".ci/tool"), "test/chart", pkg)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// withBoth runs a test with each major of Helm.
func withBoth(t *testing.T, test func(t *testing.T, helm string)) {
	t.Helper()
	for major, program := range helms {
		t.Run(major, func(t *testing.T) {
			helm, err := program()
			if err != nil {
				t.Fatal(err)
			}
			test(t, helm)
		})
	}
}

// run returns what a program printed, and an error with what it said on stderr.
func run(program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, said.String())
	}
	return out.String(), nil
}

// objects are objects by "Kind namespace/name".
type objects map[string]map[string]any

// rendered is what `helm template` renders, without the hooks: those are no part of an installation.
func rendered(t *testing.T, helm string, args ...string) objects {
	t.Helper()
	key := helm + "\x00" + strings.Join(args, "\x00")
	if all, ok := templates[key]; ok {
		return all
	}
	text, err := run(helm, append([]string{"template", "amp", filepath.Join(root, "deploy/chart")}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	all := parse(t, text)
	for name, object := range all {
		if at(object, "metadata.annotations.helm\\.sh/hook") != nil {
			delete(all, name)
		}
	}
	templates[key] = all
	return all
}

// templates are what was rendered, by Helm's path and arguments.
var templates = map[string]objects{}

// kustomize is what a kustomization in the text renders. REPO in it is the path of the repository.
func kustomize(t *testing.T, kustomization string) objects {
	t.Helper()
	dir := t.TempDir()
	repo, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if repo, err = filepath.Rel(dir, repo); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(kustomization, "REPO", repo)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	built, err := build(dir)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(built))
}

// build is what `kubectl kustomize` prints for a folder.
func build(dir string) ([]byte, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("rendering %s: %w", dir, err)
	}
	return resources.AsYaml()
}

func parse(t *testing.T, text string) objects {
	t.Helper()
	all := objects{}
	for decoder := yamlv3.NewDecoder(strings.NewReader(text)); ; {
		var node yamlv3.Node
		if err := decoder.Decode(&node); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		document, err := yamlv3.Marshal(&node)
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any // as JSON, so that both ways have the same types
		if err := yaml.Unmarshal(document, &object); err != nil {
			t.Fatal(err)
		}
		if len(object) == 0 {
			continue
		}
		name := fmt.Sprintf("%v %v/%v", object["kind"], at(object, "metadata.namespace"), at(object, "metadata.name"))
		name = strings.ReplaceAll(name, "<nil>/", "")
		if all[name] != nil {
			t.Errorf("%s is there twice", name)
		}
		all[name] = object
	}
}

// at returns what is at a path of an object: keys, and the names of a list's elements, with dots between. `\.` is a dot in
// a key. nil: there is nothing.
func at(value any, path string) any {
	const dot = "\x00"
	for _, key := range strings.Split(strings.ReplaceAll(path, `\.`, dot), ".") {
		key = strings.ReplaceAll(key, dot, ".")
		switch in := value.(type) {
		case map[string]any:
			value = in[key]
		case []any:
			value = nil
			for _, element := range in {
				if e, ok := element.(map[string]any); ok && e["name"] == key {
					value = e
				}
			}
		default:
			return nil
		}
	}
	return value
}
