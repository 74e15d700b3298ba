package release

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
	ko, err := tool("test/release", "github.com/google/ko")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KO_DOCKER_REPO", it.registry+"/alone")
	for version, want := range map[string]string{"v1.2.3-mine": "amp v1.2.3-mine\n", "": "amp v0.0.0-"} {
		t.Setenv("VERSION", version)
		out, err := command(clone, ko, "build", "--bare", "--platform=linux/amd64", "--sbom=none", "./cmd/amp")
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
