package harness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// released finds in go.mod which version of Kubernetes is built.
var released = regexp.MustCompile(`\sk8s\.io/kubernetes (v(\d+)\.(\d+)\S*)`)

// programs are the binaries of one test run, by path.
type programs struct{ etcd, apiserver, controllers, amp, endpoints string }

// folder is where the go.mod of the Kubernetes to be tested lies, below this module's own. AMP_E2E_KUBERNETES says which one:
// by default the newest that amp is tested on, and oldest for the oldest that it is for.
func folder() (string, error) {
	switch name := os.Getenv("AMP_E2E_KUBERNETES"); name {
	case "":
		return ".", nil
	case "oldest":
		return name, nil
	default:
		return "", fmt.Errorf("AMP_E2E_KUBERNETES=%s: want nothing, or oldest", name)
	}
}

// build compiles what the tests run. amp's programs go into dir.
func build(dir string) (programs, error) {
	p, err := buildKubernetes()
	if err != nil {
		return p, err
	}
	root, _, err := folders()
	if err != nil {
		return p, err
	}
	p.amp, p.endpoints = filepath.Join(dir, "amp"), filepath.Join(dir, "endpoints")
	return p, errors.Join(compileAgain(root, p.amp, "./cmd/amp"), compileAgain(root, p.endpoints, "./cmd/endpoints"))
}

// compileAgain is compile for a program whose code may change. It begins with what the last run has linked: Go sees whether that
// is up to date, and links only if it is not.
func compileAgain(dir, out, pkg string) error {
	cache, err := kept(nil)
	if err != nil {
		return err
	}
	last := filepath.Join(cache, filepath.Base(out))
	_ = copyFile(last, out) // there may be none, or half of one: then Go links
	// As go build makes it, whatever flags GOFLAGS has for the tests' own programs.
	if err := compile(dir, out, pkg, "-gcflags="); err != nil {
		return err
	}
	// First under another name: other packages' tests do the same at the same time.
	half := fmt.Sprintf("%s.%d", last, os.Getpid())
	defer os.Remove(half)
	if err := copyFile(out, half); err != nil {
		return err
	}
	return os.Rename(half, last)
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

// CompileKubernetes compiles what of Kubernetes the tests run, if this machine has not done that. It takes minutes.
func CompileKubernetes() error {
	_, err := buildKubernetes()
	return err
}

// buildKubernetes compiles Kubernetes' programs and etcd. It keeps them in the user's cache folder between runs: their code is in
// the module cache and cannot change, and linking them takes half a minute.
func buildKubernetes() (programs, error) {
	var p programs
	_, module, err := folders()
	if err != nil {
		return p, err
	}
	of, err := folder()
	if err != nil {
		return p, err
	}
	module = filepath.Join(module, of)
	mod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return p, fmt.Errorf("reading the versions to build: %w", err)
	}
	version := released.FindSubmatch(mod)
	if version == nil {
		return p, errors.New("go.mod does not require k8s.io/kubernetes")
	}
	cache, err := kept(mod)
	if err != nil {
		return p, err
	}
	p.etcd = filepath.Join(cache, "etcd")
	p.apiserver = filepath.Join(cache, "kube-apiserver")
	p.controllers = filepath.Join(cache, "kube-controller-manager")
	// A build from modules does not know its version, and clients refuse a server that says v0.0.0.
	stamp := "-s -w"
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		stamp += fmt.Sprintf(" -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s -X %[1]s.gitTreeState=clean", pkg, version[1], version[2], version[3])
	}
	return p, errors.Join(
		compileOnce(module, p.apiserver, "k8s.io/kubernetes/cmd/kube-apiserver", stamp),
		compileOnce(module, p.controllers, "k8s.io/kubernetes/cmd/kube-controller-manager", stamp),
		compileOnce(module, p.etcd, "go.etcd.io/etcd/server/v3", "-s -w"),
	)
}

// folders are the root of the repository and the folder of this module.
func folders() (root, module string, err error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		return "", "", errors.New("the harness does not know where it lies: build the tests without -trimpath")
	}
	module = filepath.Dir(filepath.Dir(file))
	return filepath.Dir(filepath.Dir(module)), module, nil
}

// compiler is the variable with flags for the compiler of what only serves the tests, as AMP_TEST_GCFLAGS="all=-l -dwarf=false".
// With these, where nothing was ever compiled, it takes two thirds of the time. The API server then is somewhat slower: not for
// measurements.
const compiler = "AMP_TEST_GCFLAGS"

// kept is the folder for the programs that this go.mod and this compiler make. amp's own programs have no go.mod here.
func kept(mod []byte) (string, error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	key := sha256.Sum256([]byte(runtime.Version() + runtime.GOARCH + os.Getenv(compiler) + string(mod)))
	dir := filepath.Join(user, "amp-e2e", hex.EncodeToString(key[:8]))
	return dir, os.MkdirAll(dir, 0o755)
}

func compileOnce(dir, out, pkg, ldflags string) error {
	if _, err := os.Stat(out); err == nil {
		return nil
	}
	fmt.Fprintf(os.Stderr, "building %s: a minute, or several where none of it was ever compiled here\n", filepath.Base(out))
	// First under another name: a build that is interrupted, or runs twice, must not leave half a program.
	half := fmt.Sprintf("%s.%d", out, os.Getpid())
	defer os.Remove(half)
	// providerless leaves out what Kubernetes 1.30 has for single clouds, and has switched off: it takes minutes to compile.
	// Later versions do not have it, nor the tag.
	if err := compile(dir, half, pkg, "-tags=providerless", "-gcflags="+os.Getenv(compiler), "-ldflags="+ldflags); err != nil {
		return err
	}
	return os.Rename(half, out)
}

func compile(dir, out, pkg string, flags ...string) error {
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", out, pkg)...)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, strings.TrimSpace(string(said)))
	}
	return nil
}
