package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// written runs commands of READMEs exactly as they are written, in a clone of the repository. Only the images are the
// test's.
type written struct {
	c        *cluster
	dir      string
	helm     string   // the program, if commands need it
	home     string   // where it keeps what it caches
	text     string   // of the READMEs
	commands []string // the commands that they have, in order
	done     map[string]bool
}

// asWritten makes the clone.
func (c *cluster) asWritten(t *testing.T, readmes ...string) *written {
	t.Helper()
	w := &written{c: c, dir: t.TempDir(), home: t.TempDir(), done: map[string]bool{}}
	for _, folder := range []string{"deploy", "knative"} {
		if err := os.CopyFS(filepath.Join(w.dir, folder), os.DirFS(filepath.Join(root(t), folder))); err != nil {
			t.Fatal(err)
		}
	}
	for folder, image := range map[string]string{
		"deploy/base": "amp", "deploy/samples": "endpoints", "deploy/audit": "endpoints", "knative": "amp", "knative/functions": "endpoints",
	} {
		file := filepath.Join(w.dir, folder, "kustomization.yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		released := regexp.MustCompile(`(?m)^(- name: ghcr\.io/txn2/amp\S*\n)  newTag: \S+$`)
		if !released.Match(text) {
			t.Fatalf("%s names no image", folder)
		}
		text = released.ReplaceAll(text, []byte("${1}  newName: dev.local/"+image+"\n  newTag: e2e"))
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(w.dir, "deploy/chart/files/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the chart has the files %q: %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		released := regexp.MustCompile(`image: ghcr\.io/txn2/(?:amp-)?([a-z]+):\S+`)
		if err := os.WriteFile(file, released.ReplaceAll(text, []byte("image: dev.local/$1:e2e")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, readme := range readmes {
		text, err := os.ReadFile(filepath.Join(root(t), readme))
		if err != nil {
			t.Fatal(err)
		}
		w.text += string(text)
		for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
			for line := range strings.Lines(block[1]) {
				if strings.HasPrefix(line, "kubectl ") || strings.HasPrefix(line, "helm ") {
					w.commands = append(w.commands, strings.TrimSpace(line))
				}
			}
		}
	}
	return w
}

// do runs commands that must be in the README and must succeed. It returns the output of the last one.
func (w *written) do(t *testing.T, commands ...string) (out string) {
	t.Helper()
	for _, command := range commands {
		if !slices.Contains(w.commands, command) {
			t.Fatalf("no README has %q", command)
		}
		w.done[command] = true
		out = w.sh(t, command)
	}
	return out
}

// doTogether is do for commands that wait long, at the same time.
func (w *written) doTogether(t *testing.T, commands ...string) {
	t.Helper()
	for _, command := range commands {
		if !slices.Contains(w.commands, command) {
			t.Fatalf("no README has %q", command)
		}
		w.done[command] = true
	}
	var all sync.WaitGroup
	for _, command := range commands {
		all.Go(func() {
			if out, err := w.run(command); err != nil {
				t.Errorf("%s: %v\n%s", command, err, out)
			}
		})
	}
	all.Wait()
}

// write makes a file in the folder in which the commands run.
func (w *written) write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// set replaces a text in a file of the clone.
func (w *written) set(t *testing.T, file, old, text string) {
	t.Helper()
	path := filepath.Join(w.dir, file)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), old) {
		t.Fatalf("%s does not have %q", file, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(content), old, text, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// overlay writes a kustomization that must be in the README, into a folder of the clone.
func (w *written) overlay(t *testing.T, folder, kustomization string) {
	t.Helper()
	if !strings.Contains(w.text, "```yaml\n"+kustomization+"```") {
		t.Fatalf("no README has %q", kustomization)
	}
	dir := filepath.Join(w.dir, folder)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(kustomization), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sh runs a command in the clone, as a reader of the README would, and returns its output.
func (w *written) sh(t *testing.T, command string) string {
	t.Helper()
	out, err := w.run(command)
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return out
}

func (w *written) run(command string) (string, error) {
	cmd := exec.Command("sh", "-c", `kubectl() { "`+w.c.adapter+`" kubectl "$@"; }
helm() { "`+w.c.adapter+`" in env KUBECONFIG="`+w.c.kubeconfig+`" HOME="`+w.home+`" "`+w.helm+`" "$@"; }
`+command)
	cmd.Dir = w.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// left are the commands that were not run, with exceptions.
func (w *written) left(but ...string) (commands []string) {
	for _, command := range w.commands {
		if !w.done[command] && !slices.Contains(but, command) {
			commands = append(commands, command)
		}
	}
	return commands
}

// modules are the folders of the Go modules that were asked for.
var modules = map[string]string{}

// fromModule creates kinds from files of a Go module that testdata/NAME requires.
func (c *cluster) fromModule(t *testing.T, name, module string, patterns ...string) {
	t.Helper()
	if modules[module] == "" {
		cmd := exec.Command("go", "mod", "download", "-json", module)
		cmd.Dir = filepath.Join("testdata", name)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("downloading %s: %v\n%s", module, err, out)
		}
		var is struct{ Dir string }
		if err := json.Unmarshal(out, &is); err != nil {
			t.Fatal(err)
		}
		modules[module] = is.Dir
	}
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(modules[module], pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("there is no %s in %s: %v", pattern, module, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c.define(t, string(text))
		}
	}
}

// define creates a kind, and waits until the API server serves it.
func (c *cluster) define(t *testing.T, crd string) {
	t.Helper()
	const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	created, err := c.send(http.MethodPost, crds, "application/yaml", crd)
	if err != nil {
		t.Fatal(err)
	}
	var is struct {
		Spec struct {
			Group    string
			Names    struct{ Plural string }
			Versions []struct{ Name string }
		}
	}
	if err := json.Unmarshal(created, &is); err != nil {
		t.Fatal(err)
	}
	// That it is established is not enough: kubectl looks kinds up, where they come a moment later.
	eventually(t, func() error {
		var served struct{ Resources []struct{ Name string } }
		err := c.read("/apis/"+is.Spec.Group+"/"+is.Spec.Versions[0].Name, &served)
		if err == nil && !slices.Contains(served.Resources, struct{ Name string }{is.Spec.Names.Plural}) {
			err = fmt.Errorf("%s.%s is not served", is.Spec.Names.Plural, is.Spec.Group)
		}
		return err
	})
}
