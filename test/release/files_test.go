package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestConfiguration(t *testing.T) {
	if out, err := goreleaser(it.dir, "check"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// archives are the archives of a release, by name without version and platform, with the contents of each.
var archives = map[string][]string{
	"amp_%s_linux_amd64.tar.gz":          {"LICENSE", "amp", "amp-endpoints"},
	"amp_%s_linux_arm64.tar.gz":          {"LICENSE", "amp", "amp-endpoints"},
	"kubectl-amp_%s_linux_amd64.tar.gz":  {"LICENSE", "kubectl-amp"},
	"kubectl-amp_%s_linux_arm64.tar.gz":  {"LICENSE", "kubectl-amp"},
	"kubectl-amp_%s_darwin_amd64.tar.gz": {"LICENSE", "kubectl-amp"},
	"kubectl-amp_%s_darwin_arm64.tar.gz": {"LICENSE", "kubectl-amp"},
	"kubectl-amp_%s_windows_amd64.zip":   {"LICENSE", "kubectl-amp.exe"},
	"kubectl-amp_%s_windows_arm64.zip":   {"LICENSE", "kubectl-amp.exe"},
}

func TestArchives(t *testing.T) {
	for pattern, want := range archives {
		name := fmt.Sprintf(pattern, strings.TrimPrefix(it.version, "v"))
		content, err := os.ReadFile(filepath.Join(it.dir, "bin/dist", name))
		if err != nil {
			t.Error(err)
			continue
		}
		files := unpack(t, name, content)
		var got []string
		for file, program := range files {
			got = append(got, file)
			if file != "LICENSE" {
				t.Logf("%s: %s %.1f MB, archive %.1f MB", name, file, float64(len(program))/1e6, float64(len(content))/1e6)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
		for program, said := range map[string]string{"amp": "amp ", "kubectl-amp": "kubectl-amp "} {
			if files[program] == nil || !strings.HasSuffix(name, "linux_amd64.tar.gz") {
				continue
			}
			path := filepath.Join(t.TempDir(), program)
			if err := os.WriteFile(path, files[program], 0o755); err != nil {
				t.Fatal(err)
			}
			if got, err := command(".", path, "--version"); err != nil || got != said+it.version+"\n" {
				t.Errorf("%s --version says %q (%v), want %s", program, got, err, it.version)
			}
		}
	}
}

// unpack returns the files of an archive.
func unpack(t *testing.T, name string, content []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	if strings.HasSuffix(name, ".zip") {
		r, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.File {
			if files[f.Name], err = readAll(f.Open()); err != nil {
				t.Fatal(err)
			}
		}
		return files
	}
	gz, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		} else if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func readAll(r io.ReadCloser, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestManifestsNameImagesByDigest(t *testing.T) {
	kustomize, err := tool("test/release", "sigs.k8s.io/kustomize/kustomize/v5")
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, pattern := range []string{"deploy", "deploy/*", "deploy/network-policy/*", "knative", "knative/*"} {
		some, err := filepath.Glob(filepath.Join(it.dir, pattern, "kustomization.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		folders = append(folders, some...)
	}
	manifests, images := released(t, it.dir), 0
	for _, path := range folders {
		folder, err := filepath.Rel(it.dir, filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains([]string{"deploy/base", "deploy/self", "knative/renamed"}, folder) {
			continue
		}
		name := "amp-" + strings.ReplaceAll(folder, "/", "-") + ".yaml"
		name = strings.Replace(name, "amp-deploy", "amp", 1)
		want, err := command(it.dir, kustomize, "build", folder)
		if err != nil {
			t.Fatal(err)
		}
		for image := range shipped {
			digest, _ := pull(t, image)
			want = strings.ReplaceAll(want, "image: ghcr.io/txn2/"+image+":"+it.version+"\n",
				"image: "+it.registry+"/txn2/"+image+":"+it.version+"@"+digest.DigestStr()+"\n")
		}
		if got := manifests[name]; got != want {
			t.Errorf("%s is not what %s renders with the images pinned:\n%s", name, folder, got)
		}
		images += strings.Count(manifests[name], it.version+"@sha256:")
		if loose := regexp.MustCompile(`.*ghcr\.io/txn2/.*`).FindString(manifests[name]); loose != "" {
			t.Errorf("%s still has %q", name, loose)
		}
		delete(manifests, name)
	}
	if images < 9 { // amp three times; its endpoints in samples and audit, and as four functions

		t.Errorf("%d images are pinned in all manifests together", images)
	}
	for name := range manifests {
		if strings.HasSuffix(name, ".yaml") {
			t.Errorf("%s comes from no folder", name)
		}
	}
}

func TestChecksums(t *testing.T) {
	sums, err := os.ReadFile(filepath.Join(it.dir, "bin/dist/checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		listed[name] = true
		content, err := os.ReadFile(filepath.Join(it.dir, "bin/dist", name))
		if errors.Is(err, os.ErrNotExist) {
			content, err = os.ReadFile(filepath.Join(it.dir, "bin/release", name))
		}
		if err != nil {
			t.Error(err)
		} else if got := fmt.Sprintf("%x", sha256.Sum256(content)); got != sum {
			t.Errorf("%s has the sum %s, not %s", name, got, sum)
		}
	}
	for pattern := range archives {
		if name := fmt.Sprintf(pattern, strings.TrimPrefix(it.version, "v")); !listed[name] {
			t.Errorf("%s has no sum", name)
		}
	}
	for name := range released(t, it.dir) {
		if !listed[name] {
			t.Errorf("%s has no sum", name)
		}
	}
}

func TestSignatures(t *testing.T) {
	calls, err := os.ReadFile(it.signed)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(string(calls)), "\n")
	var want []string
	for image := range shipped {
		digest, _ := pull(t, image)
		want = append(want, "sign --yes --recursive "+it.registry+"/txn2/"+image+":"+it.version+"@"+digest.DigestStr())
	}
	want = append(want, "sign --yes "+chartRef(t), "sign-blob --yes --bundle=bin/dist/checksums.txt.sigstore.json bin/dist/checksums.txt")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("cosign was called for %q, want %q", got, want)
	}
	t.Log("NOT CHECKED: the signatures themselves. They take the identity that only the release's own run has.")
}

func TestSBOMsOfArchives(t *testing.T) {
	if !it.sbom {
		t.Skip("SKIPPED: the SBOMs of the archives are made by syft, which is not on PATH")
	}
	for pattern := range archives {
		name := fmt.Sprintf(pattern, strings.TrimPrefix(it.version, "v")) + ".sbom.json"
		text, err := os.ReadFile(filepath.Join(it.dir, "bin/dist", name))
		if err != nil || !bytes.Contains(text, []byte("k8s.io/apimachinery")) {
			t.Errorf("%s does not name k8s.io/apimachinery (%v)", name, err)
		}
	}
}

// TestSnapshotOfAnyClone makes a snapshot as a developer or a pipeline does: without a tag, a history or a signature.
func TestSnapshotOfAnyClone(t *testing.T) {
	clone := filepath.Join(t.TempDir(), "clone")
	if _, err := command(".", "git", "clone", "--quiet", "--depth=1", "--no-tags", "file://"+it.dir, clone); err != nil {
		t.Fatal(err)
	}
	// One of the eight targets. TestArchives checks that there are eight.
	if out, err := goreleaser(clone, "build", "--snapshot", "--clean", "--single-target", "--id=amp"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, text := range released(t, clone) {
		if filepath.Ext(name) == ".yaml" && strings.Contains(text, "image: ghcr.io/txn2/") {
			t.Errorf("%s names an image without its digest", name)
		}
	}
	programs, err := filepath.Glob(filepath.Join(clone, "bin/dist/amp_linux_*/amp"))
	if err != nil || len(programs) != 1 {
		t.Fatalf("there are %q (%v)", programs, err)
	}
	if said, err := exec.Command(programs[0], "--version").CombinedOutput(); err != nil || !strings.HasPrefix(string(said), "amp v0.0.0-SNAPSHOT-") {
		t.Errorf("amp --version says %q (%v)", said, err)
	}
}
