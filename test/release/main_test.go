// Package release tests what a release ships. It makes a release of this working tree, up to the point where it would
// be published. The images go to a registry in this process, and a stand-in replaces the base image.
package release

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// made is a release that was made.
type made struct {
	registry string           // host:port
	endpoint *httptest.Server // speaks TLS; its certificate is the only one that the base image trusts
	dir      string           // a clone of the working tree; the results are in its bin
	version  string           // v1.2.3
	signed   string           // the file with cosign's command lines
	sbom     bool             // whether syft was available
}

// it is the release that TestMain made.
var it made

func TestMain(m *testing.M) {
	log.SetFlags(0)
	code, err := run(m)
	if err != nil {
		log.Fatal(err)
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	scratch, err := os.MkdirTemp("", "amp-release-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	images := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer images.Close()
	it.registry = strings.TrimPrefix(images.URL, "http://")
	it.endpoint = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `[{"op":"add","path":"/metadata/annotations/example.com~1asked","value":"over-tls"}]`)
	}))
	defer it.endpoint.Close()
	it.endpoint.Config.ErrorLog = log.New(io.Discard, "", 0)
	if err := pushBase(it.registry + "/base:nonroot"); err != nil {
		return 0, fmt.Errorf("making the base image: %w", err)
	}

	it.dir, it.signed = filepath.Join(scratch, "tree"), filepath.Join(scratch, "signed")
	if it.version, err = commitTree(it.dir); err != nil {
		return 0, fmt.Errorf("copying the working tree: %w", err)
	}
	if err := stubCosign(filepath.Join(scratch, "path"), it.signed); err != nil {
		return 0, err
	}
	for key, value := range map[string]string{
		"PATH":                filepath.Join(scratch, "path") + ":" + os.Getenv("PATH"),
		"AMP_REGISTRY":        it.registry + "/txn2",
		"KO_DEFAULTBASEIMAGE": it.registry + "/base:nonroot",
		"GOFLAGS":             os.Getenv("GOFLAGS") + " -buildvcs=false", // must not make a difference
		"SOURCE_DATE_EPOCH":   "1",                                       // must not make a difference
	} {
		if err := os.Setenv(key, value); err != nil {
			return 0, err
		}
	}
	skip := "publish,announce"
	if _, err := exec.LookPath("syft"); err == nil {
		it.sbom = true
	} else {
		skip += ",sbom"
	}
	start := time.Now()
	if out, err := goreleaser(it.dir, "release", "--clean", "--skip="+skip); err != nil {
		return 0, fmt.Errorf("making the release: %w\n%s", err, out)
	}
	log.Printf("the release was made in %v", time.Since(start).Round(time.Second))
	return m.Run(), nil
}

// goreleaser runs the version of goreleaser that go.mod pins, and returns its output.
func goreleaser(dir string, args ...string) (string, error) {
	program, err := tool("test/release", "github.com/goreleaser/goreleaser/v2")
	if err != nil {
		return "", err
	}
	return command(dir, program, args...)
}

// tool returns the path of a program that a module of this repository pins.
func tool(module, pkg string) (string, error) {
	path, err := command("../..", ".ci/tool", module, pkg)
	return strings.TrimSpace(path), err
}

// command returns the standard output of a program that must succeed. If it fails, the error holds its stderr.
func command(dir, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	var out, said bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &said
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, said.String())
	}
	return out.String(), nil
}

// commitTree makes dir a repository of one commit, under the tag whose images deploy names: what git would commit of
// the working tree. So nothing depends on the history, the tags or the untracked files of the clone under test.
func commitTree(dir string) (version string, err error) {
	const root = "../.."
	// The clone may belong to another user.
	files, err := command(root, "git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return "", err
	}
	for _, file := range strings.Split(strings.TrimSuffix(files, "\x00"), "\x00") {
		from, to := filepath.Join(root, file), filepath.Join(dir, file)
		info, err := os.Lstat(from)
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, and not committed yet
		} else if err != nil {
			return "", err
		}
		content, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(to, content, info.Mode().Perm()); err != nil {
			return "", err
		}
	}
	kustomization, err := os.ReadFile(filepath.Join(dir, "deploy/base/kustomization.yaml"))
	if err != nil {
		return "", err
	}
	tag := regexp.MustCompile(`(?m)^ +newTag: (v\S+)$`).FindSubmatch(kustomization)
	if tag == nil {
		return "", errors.New("deploy/base/kustomization.yaml names no image's tag")
	}
	if err := datedSection(filepath.Join(dir, "CHANGELOG.md"), strings.TrimPrefix(string(tag[1]), "v")); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "--all"},
		{"-c", "user.name=amp", "-c", "user.email=amp@example.com", "commit", "--quiet", "--message=all"},
		{"tag", string(tag[1])},
		{"remote", "add", "origin", "https://github.com/txn2/amp.git"}, // goreleaser needs it and does not connect to it
	} {
		if _, err := command(dir, "git", args...); err != nil {
			return "", err
		}
	}
	return string(tag[1]), nil
}

// datedSection does to the changelog what docs/releasing.md tells a releaser to do, unless it was done.
func datedSection(path, version string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if strings.Contains(string(text), "\n## ["+version+"] - ") {
		return nil
	}
	dated := strings.Replace(string(text), "\n## [Unreleased]\n", "\n## ["+version+"] - 2026-01-31\n", 1)
	return os.WriteFile(path, []byte(dated), 0o600)
}

// stubCosign puts a cosign into dir that signs nothing and records its arguments. Only the release itself has the
// identity that signing needs.
func stubCosign(dir, calls string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	script := `#!/bin/sh
echo "$*" >> '` + calls + `'
for a; do case $a in --bundle=*) echo unsigned > "${a#*=}" ;; esac; done
`
	return os.WriteFile(filepath.Join(dir, "cosign"), []byte(script), 0o755)
}

// baseFiles is the content of the stand-in for the base image. As in distroless' static, there is no shell and no
// library.
var baseFiles = map[string]string{
	"etc/passwd":                        "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
	"etc/ssl/certs/ca-certificates.crt": "", // set by pushBase
}

// pushBase makes the stand-in. Its user differs from the one that the images must have.
func pushBase(ref string) error {
	baseFiles["etc/ssl/certs/ca-certificates.crt"] = string(pem.EncodeToMemory(
		&pem.Block{Type: "CERTIFICATE", Bytes: it.endpoint.Certificate().Raw}))
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	for path, text := range baseFiles {
		if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(text))}); err != nil {
			return err
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range []string{"amd64", "arm64", "s390x"} {
		image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
		if err != nil {
			return err
		}
		image, err = mutate.ConfigFile(image, &v1.ConfigFile{OS: "linux", Architecture: arch,
			RootFS: v1.RootFS{Type: "layers", DiffIDs: diffIDs(layer)},
			Config: v1.Config{User: "0", Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, Cmd: []string{"/bin/sh"}}})
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	tag, err := name.ParseReference(ref)
	if err != nil {
		return err
	}
	return remote.WriteIndex(tag, index)
}

func diffIDs(layer v1.Layer) []v1.Hash {
	id, err := layer.DiffID()
	if err != nil {
		panic(err) // it is made of bytes in memory
	}
	return []v1.Hash{id}
}
