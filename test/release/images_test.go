package release

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// shipped are the images by name, with the one program that each holds.
var shipped = map[string]string{"amp": "amp", "amp-endpoints": "endpoints"}

func pull(t *testing.T, image string) (name.Digest, v1.ImageIndex) {
	t.Helper()
	tag, err := name.ParseReference(it.registry + "/txn2/" + image + ":" + it.version)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(tag)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return tag.Context().Digest(digest.String()), index
}

// platforms are the images in an index.
func platforms(t *testing.T, index v1.ImageIndex) map[string]v1.Image {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]v1.Image{}
	for _, d := range manifest.Manifests {
		if images[d.Platform.String()], err = index.Image(d.Digest); err != nil {
			t.Fatal(err)
		}
	}
	return images
}

func TestImages(t *testing.T) {
	commit, err := command(it.dir, "git", "log", "-1", "--format=%H %ct")
	if err != nil {
		t.Fatal(err)
	}
	var revision string
	var seconds int64
	if _, err := fmt.Sscan(commit, &revision, &seconds); err != nil {
		t.Fatal(err)
	}
	for image, program := range shipped {
		t.Run(image, func(t *testing.T) {
			digest, index := pull(t, image)
			images := platforms(t, index)
			if got := slices.Sorted(maps.Keys(images)); !slices.Equal(got, []string{"linux/amd64", "linux/arm64"}) {
				t.Fatalf("it is for %q", got)
			}
			for platform, img := range images {
				config, err := img.ConfigFile()
				if err != nil {
					t.Fatal(err)
				}
				c := config.Config
				// A number: for a name, runAsNonRoot cannot know whether it is root.
				if c.User != "65532:65532" {
					t.Errorf("%s runs as %q", platform, c.User)
				}
				if !slices.Equal(c.Entrypoint, []string{"/ko-app/" + program}) || len(c.Cmd) > 0 {
					t.Errorf("%s starts %q %q", platform, c.Entrypoint, c.Cmd)
				}
				if config.Created.Unix() != seconds {
					t.Errorf("%s is of %v, not of its commit's time", platform, config.Created)
				}
				for label, want := range map[string]string{
					"title": image, "version": it.version, "revision": revision,
					"source": "https://github.com/txn2/amp", "licenses": "Apache-2.0",
				} {
					if got := c.Labels["org.opencontainers.image."+label]; got != want {
						t.Errorf("%s has the label %s: %q, want %q", platform, label, got, want)
					}
				}
				files := content(t, img)
				want := slices.Concat(slices.Collect(maps.Keys(baseFiles)), []string{"ko-app/" + program})
				slices.Sort(want)
				if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
					t.Errorf("%s holds %q, want %q", platform, got, want)
				}
				checkProgram(t, platform, revision, files["ko-app/"+program])
				d, err := img.Digest()
				if err != nil {
					t.Fatal(err)
				}
				checkSBOM(t, digest.Context().Tag(strings.Replace(d.String(), ":", "-", 1)+".sbom"))
				size, _ := img.Size()
				layers, err := img.Layers()
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range layers {
					n, err := l.Size()
					if err != nil {
						t.Fatal(err)
					}
					size += n
				}
				t.Logf("%s: program %.1f MB, image %.1f MB compressed, without its base", platform,
					float64(len(files["ko-app/"+program]))/1e6, float64(size)/1e6)
			}
		})
	}
	t.Log("NOT CHECKED: the real base image. The stand-in has its shape, not its content.")
}

// checkProgram checks what a program says about itself.
func checkProgram(t *testing.T, platform, revision string, program []byte) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatalf("%s: %v", platform, err)
	}
	if want := map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}[platform]; f.Machine != want {
		t.Errorf("%s holds a program for %v", platform, f.Machine)
	}
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Errorf("%s holds a program that wants a dynamic linker", platform)
	}
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatalf("%s: %v", platform, err)
	}
	said := map[string]string{"version": info.Main.Version}
	for _, s := range info.Settings {
		said[s.Key] = s.Value
	}
	for key, want := range map[string]string{"version": it.version, "vcs.revision": revision, "vcs.modified": "false", "-trimpath": "true", "CGO_ENABLED": "0"} {
		if said[key] != want {
			t.Errorf("%s: go version -m says %s=%q, want %q", platform, key, said[key], want)
		}
	}
}

// checkSBOM checks the SBOM that is attached to an image.
func checkSBOM(t *testing.T, tag name.Tag) {
	t.Helper()
	attached, err := remote.Image(tag)
	if err != nil {
		t.Fatalf("no SBOM hangs on the image: %v", err)
	}
	layers, err := attached.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("the SBOM has %d layers: %v", len(layers), err)
	}
	r, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	sbom, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"spdxVersion": "SPDX-2.`, "pkg:golang/github.com/txn2/amp@" + it.version, "pkg:golang/k8s.io/apimachinery@v"} {
		if !bytes.Contains(sbom, []byte(want)) {
			t.Errorf("the SBOM has no %s", want)
		}
	}
}

// content are an image's files, as a container sees them.
func content(t *testing.T, img v1.Image) map[string][]byte {
	t.Helper()
	r := mutate.Extract(img)
	defer r.Close()
	files := map[string][]byte{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files
		} else if err != nil {
			t.Fatal(err)
		}
		switch {
		case h.Typeflag == tar.TypeDir:
		case h.Typeflag != tar.TypeReg:
			t.Errorf("%s is a file of type %q", h.Name, h.Typeflag)
		case h.Mode&0o6000 != 0:
			t.Errorf("%s changes its user (mode %o)", h.Name, h.Mode)
		default:
			if files[strings.TrimPrefix(h.Name, "/")], err = io.ReadAll(tr); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestImagesAreTheSameAgain(t *testing.T) {
	// As a person does who checks a release: another clone, in another place, of only the tag.
	again := filepath.Join(t.TempDir(), "elsewhere")
	if _, err := command(".", "git", "-c", "advice.detachedHead=false", "clone", "--quiet", "--depth=1", "--branch="+it.version, "file://"+it.dir, again); err != nil {
		t.Fatal(err)
	}
	// On the base that the image names, although its tag has moved since.
	_, index := pull(t, "amp")
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	base, moved := manifest.Annotations["org.opencontainers.image.base.name"], os.Getenv("KO_DEFAULTBASEIMAGE")
	if !strings.HasPrefix(base, it.registry+"/base@sha256:") {
		t.Errorf("the image says that its base is %q", base)
	}
	move(t, moved)
	t.Setenv("KO_DEFAULTBASEIMAGE", base)
	out, err := command(again, ".ci/images", it.version)
	if err != nil {
		t.Fatal(err)
	}
	for image := range shipped {
		digest, _ := pull(t, image)
		if want := it.registry + "/txn2/" + image + ":" + it.version + "@" + digest.DigestStr(); !strings.Contains(out, want+"\n") {
			t.Errorf("want %s again; got\n%s", want, out)
		}
	}
	first, second := released(t, it.dir), released(t, again)
	for name, text := range first {
		if second[name] != text {
			t.Errorf("%s is another", name)
		}
	}

	t.Run("and a tag whose manifests name another version's images is refused", func(t *testing.T) {
		if _, err := command(again, ".ci/images", "--push", "v99.0.0"); err == nil || !strings.Contains(err.Error(), "set newTag to v99.0.0") {
			t.Errorf("got %v", err)
		}
	})
}

// move makes a tag point to something else until the test ends.
func move(t *testing.T, ref string) {
	t.Helper()
	tag, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	was, err := remote.Index(tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, empty.Index); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := remote.WriteIndex(tag, was); err != nil {
			t.Error(err)
		}
	})
}

// released are the files beside the archives: manifests and SBOMs.
func released(t *testing.T, dir string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "bin/release/*"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = string(text)
	}
	return files
}

// TestKoAlone uses .ko.yaml as a developer does: without a tag and a script.
func TestKoAlone(t *testing.T) {
	clone := filepath.Join(t.TempDir(), "clone")
	if _, err := command(".", "git", "clone", "--quiet", "--depth=1", "--no-tags", "file://"+it.dir, clone); err != nil {
		t.Fatal(err)
	}
	ko, err := command(".", "go", "tool", "-n", "ko")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KO_DOCKER_REPO", it.registry+"/alone")
	for version, want := range map[string]string{"v1.2.3-mine": "amp v1.2.3-mine\n", "": "amp v0.0.0-"} {
		t.Setenv("VERSION", version)
		out, err := command(clone, strings.TrimSpace(ko), "build", "--bare", "--platform=linux/amd64", "--sbom=none", "./cmd/amp")
		if err != nil {
			t.Fatal(err)
		}
		ref, err := name.ParseReference(strings.TrimSpace(out))
		if err != nil {
			t.Fatal(err)
		}
		img, err := remote.Image(ref)
		if err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(t.TempDir(), "amp")
		write(t, program, string(content(t, img)["ko-app/amp"]), 0o755)
		if said, err := command(".", program, "--version"); err != nil || !strings.HasPrefix(said, want) {
			t.Errorf("with VERSION=%q it says %q (%v), want %q", version, said, err, want)
		}
	}
}

// container runs an image for this machine's platform as a cluster would: its content, entry point, user and
// environment, on a read-only root. It ends with the test.
func container(t *testing.T, image string, mounted map[string]string, env ...string) (stop func() error) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: to run an image's content takes root")
	}
	_, index := pull(t, image)
	img := platforms(t, index)["linux/amd64"]
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range content(t, img) {
		write(t, filepath.Join(root, path), string(text), 0o555)
	}
	for path, text := range mounted {
		write(t, filepath.Join(root, path), text, 0o444)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", slices.Concat([]string{"--mount", "--propagation=private", "sh", "-euc",
		`mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; user=$1; shift; exec chroot --userspec="$user" --groups= "$0" "$@"`,
		root, config.Config.User}, config.Config.Entrypoint)...)
	cmd.Env = append(slices.Clone(config.Config.Env), env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return <-ended
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // unless it was stopped
		if t.Failed() {
			t.Logf("it said:\n%s", said.String())
		}
	})
	return stop
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// freePort is a port on which no program listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// ask returns the answer to a request. It waits until a program listens.
func ask(t *testing.T, method, url, body string) string {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			answer, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%s %s: %s %s %v", method, url, resp.Status, answer, err)
			}
			return string(answer)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestImageOfAmpRuns(t *testing.T) {
	port, metrics := freePort(t), freePort(t)
	stop := container(t, "amp", map[string]string{"namespaces.yaml": `apiVersion: v1
kind: Namespace
metadata:
  name: team-a
  labels: {amp.txn2.com/enabled: "true"}
  annotations: {amp.txn2.com/ep: "` + it.endpoint.URL + `"}
`},
		"PORT="+port, "AMP_METRICS_ADDR=127.0.0.1:"+metrics, "AMP_NAMESPACES_FILE=/namespaces.yaml",
		"AMP_ENDPOINT_ALLOW=127.0.0.0/8", "AMP_TIMEOUT=10s")
	amp := "http://127.0.0.1:" + port

	var who struct{ Service, Version string }
	if err := json.Unmarshal([]byte(ask(t, "GET", amp+"/", "")), &who); err != nil || who.Service != "amp" || who.Version != it.version {
		t.Errorf("GET / says %+v (%v), want version %s", who, err, it.version)
	}
	// It trusts what the base image trusts.
	review := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE",
		"kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},"namespace":"team-a","name":"p",
		"userInfo":{"username":"jane"},"object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"team-a"},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`
	var answer struct {
		Response struct {
			Allowed bool
			Patch   []byte
		}
	}
	if said := ask(t, "POST", amp+"/mutate/fail", review); json.Unmarshal([]byte(said), &answer) != nil ||
		!answer.Response.Allowed || !bytes.Contains(answer.Response.Patch, []byte("over-tls")) {
		t.Errorf("a review is answered with %s", said)
	}
	if said := ask(t, "GET", "http://127.0.0.1:"+metrics+"/metrics", ""); !strings.Contains(said, `version="`+it.version+`"} 1`) || !strings.Contains(said, "amp_build_info{") {
		t.Errorf("amp_build_info does not say %s:\n%s", it.version, said)
	}
	if err := stop(); err != nil {
		t.Errorf("ending it: %v", err)
	}
}

func TestImageOfTheEndpointsRuns(t *testing.T) {
	port := freePort(t)
	stop := container(t, "amp-endpoints", nil, "PORT="+port)
	ask(t, "GET", "http://127.0.0.1:"+port+"/healthz", "")
	ask(t, "GET", "http://127.0.0.1:"+port+"/audit/", "") // with its database in memory
	if err := stop(); err != nil {
		t.Errorf("ending it: %v", err)
	}
}
