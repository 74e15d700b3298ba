package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cluster is a real Kubernetes cluster, reached through the executable that AMP_CLUSTER names:
//
//	up [knative]        starts a new cluster with DNS, and with Knative Serving and an ingress; down ends it
//	kubectl ARGS...     runs kubectl as cluster admin, with standard input and files (also `proxy --unix-socket`), until its
//	                    process group ends
//	image NAME BINARY   makes an image of a static binary (entry point /BINARY's name) and loads it on the nodes
//	in CMD...           runs a command where Pods, Services and the API server can be reached, in the current folder
//	kubeconfig          prints the path of the cluster admin's kubeconfig, for commands that run there
type cluster struct {
	adapter    string
	kubeconfig string       // its path
	api        *http.Client // see get
}

// up starts a cluster that ends with the test. with may be "knative".
func up(t *testing.T, with ...string) *cluster {
	t.Helper()
	adapter := os.Getenv("AMP_CLUSTER")
	if adapter == "" {
		t.Skip("SKIPPED: these tests need a real cluster. AMP_CLUSTER must name an adapter to one, " +
			"an executable with the verbs up, down, kubectl, image, in and kubeconfig: AMP_CLUSTER=path make e2e-cluster")
	}
	path, err := exec.LookPath(adapter)
	if err != nil {
		t.Fatalf("AMP_CLUSTER: %v", err)
	}
	if path, err = filepath.Abs(path); err != nil {
		t.Fatal(err)
	}
	c := &cluster{adapter: path}
	t.Cleanup(func() {
		if _, err := c.run("down"); err != nil {
			t.Errorf("ending the cluster: %v", err)
		}
	})
	start := time.Now()
	if err := c.start(with...); err != nil {
		t.Fatalf("making the cluster: %v", err)
	}
	t.Logf("the cluster is up after %v", time.Since(start).Round(time.Second))
	kubeconfig, err := c.run("kubeconfig")
	if err != nil {
		t.Fatal(err)
	}
	c.kubeconfig = strings.TrimSpace(kubeconfig)
	c.connect(t)
	return c
}

// start starts the cluster. An adapter that compiles Kubernetes does it with the flags of this test: .ci/run says which.
func (c *cluster) start(with ...string) error {
	cmd := exec.Command(c.adapter, append([]string{"up"}, with...)...)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("up: %w\n%s", err, bytes.TrimSpace(said))
	}
	return nil
}

// run calls the adapter and returns its standard output.
func (c *cluster) run(args ...string) (string, error) {
	return c.runWith("", args...)
}

func (c *cluster) runWith(input string, args ...string) (string, error) {
	cmd := exec.Command(c.adapter, args...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &said
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}

// kubectl runs a command that must succeed.
func (c *cluster) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.run(append([]string{"kubectl"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// apply applies manifests as text.
func (c *cluster) apply(t *testing.T, manifests string) {
	t.Helper()
	if _, err := c.runWith(manifests, "kubectl", "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// image builds a program of the repository and loads it as dev.local/NAME:e2e. The program is static, because the
// image holds nothing else.
func (c *cluster) image(t *testing.T, name, dir, pkg string, flags ...string) {
	t.Helper()
	if _, err := c.run("image", "dev.local/"+name+":e2e", program(t, name, dir, pkg, flags...)); err != nil {
		t.Fatal(err)
	}
}

// program builds a program of the repository and returns its path. Go does not keep what it has linked, but it does not link again
// what lies where it is to be, if that is up to date. So the last one is kept, and copied there first. It is compiled as go build does,
// whatever flags GOFLAGS has for what only serves the tests, unless flags has others.
func program(t *testing.T, name, dir, pkg string, flags ...string) (path string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(cache, "amp-e2e", "programs")
	path, last := filepath.Join(t.TempDir(), name), filepath.Join(kept, name)
	_ = copyFile(last, path) // there may be none: then Go links
	cmd := exec.Command("go", append(append([]string{"build", "-ldflags", "-s -w", "-gcflags="}, flags...), "-o", path, pkg)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, said)
	}
	// First under another name: another run may do the same at the same time.
	half := fmt.Sprintf("%s.%d", last, os.Getpid())
	defer os.Remove(half)
	if err := errors.Join(os.MkdirAll(kept, 0o755), copyFile(path, half)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(half, last); err != nil {
		t.Fatal(err)
	}
	return path
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

// applyOverlay applies a kustomization as a user would write it. In its text, REPO is the path of the repository. It
// returns the overlay's folder.
func (c *cluster) applyOverlay(t *testing.T, kustomization string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	repo, err := filepath.Rel(dir, root(t))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(kustomization, "REPO", repo)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.kubectl(t, "apply", "--server-side", "-k", dir)
	return dir
}

// root is the folder of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// diagnose prints, if a test failed, what a person would look at first.
func (c *cluster) diagnose(t *testing.T) {
	if !t.Failed() {
		return
	}
	for _, args := range [][]string{
		{"get", "pods", "--all-namespaces", "--field-selector", "metadata.namespace!=stream", "-o", "wide"},
		{"get", "events", "--all-namespaces", "--field-selector", "type=Warning"},
		{"logs", "--namespace", "amp-system", "--selector", "app.kubernetes.io/name=amp", "--tail", "20"},
	} {
		out, err := c.run(append([]string{"kubectl"}, args...)...)
		t.Logf("kubectl %s:\n%s%v", strings.Join(args, " "), out, errors.Join(err))
	}
}
