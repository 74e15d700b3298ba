package release

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// chartName is the chart in the registry, without its digest. Helm's versions have no v.
func chartName() string {
	return it.registry + "/txn2/charts/amp:" + strings.TrimPrefix(it.version, "v")
}

// chartRef is the chart in the registry, with its digest.
func chartRef(t *testing.T) string {
	t.Helper()
	ref, err := name.ParseReference(chartName())
	if err != nil {
		t.Fatal(err)
	}
	d, err := remote.Get(ref)
	if err != nil {
		t.Fatal(err)
	}
	return chartName() + "@" + d.Digest.String()
}

// TestChart checks the chart that was pushed: it is the archive of the release, and its objects are those of the manifests,
// with the images by digest.
func TestChart(t *testing.T) {
	release := strings.TrimPrefix(it.version, "v")
	archive, err := os.ReadFile(filepath.Join(it.dir, "bin/release/amp-"+release+".tgz"))
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(chartName())
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := pushed.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("it has %d layers: %v", len(layers), err)
	}
	r, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if content, err := io.ReadAll(r); err != nil || !bytes.Equal(content, archive) {
		t.Errorf("the registry has another archive than the release (%v)", err)
	}

	files := unpack(t, "amp.tgz", archive)
	for _, want := range []string{"\nversion: " + release + "\n", "\nappVersion: " + it.version + "\n"} {
		if !bytes.Contains(files["amp/Chart.yaml"], []byte(want)) {
			t.Errorf("Chart.yaml does not say %q:\n%s", want, files["amp/Chart.yaml"])
		}
	}
	manifests, compared := released(t, it.dir), 0
	for path, content := range files {
		if !strings.HasPrefix(path, "amp/files/") {
			continue
		}
		manifest := strings.Replace("amp-"+filepath.Base(path), "amp-deploy.yaml", "amp.yaml", 1)
		if got, want := inOrder(string(content)), inOrder(manifests[manifest]); !slices.Equal(got, want) {
			t.Errorf("%s has other objects than %s:\n%s", path, manifest, content)
		}
		compared++
	}
	if compared < 12 || files["amp/values.schema.json"] == nil || files["amp/README.md"] == nil {
		t.Errorf("it has %d files with objects", compared)
	}
	if helm, err := tool("test/chart", "helm.sh/helm/v4/cmd/helm"); err != nil {
		t.Error(err)
	} else if out, err := command(t.TempDir(), helm, "template", "amp", "oci://"+strings.TrimSuffix(chartName(), ":"+release), "--version", release, "--plain-http"); err != nil {
		t.Error(err)
	} else if digest, _ := pull(t, "amp"); !strings.Contains(out, "image: "+it.registry+"/txn2/amp:"+it.version+"@"+digest.DigestStr()+"\n") {
		t.Errorf("from the registry, Helm renders no image by its digest:\n%s", out)
	}
}

// inOrder are the documents of a file, sorted: kustomize has its own order for its library and its program.
func inOrder(manifests string) []string {
	documents := strings.Split(strings.TrimSpace(manifests), "\n---\n")
	slices.Sort(documents)
	return documents
}

// TestKrew checks the manifest of the plugin against the archives: their sums, their platforms, and the program in each.
func TestKrew(t *testing.T) {
	krew, err := os.ReadFile(filepath.Join(it.dir, "bin/dist/krew/amp.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// One platform is a uri, a sha256, a program and a selector, in any order.
	_, platforms, _ := strings.Cut(string(krew), "platforms:")
	platforms, _, _ = strings.Cut(platforms, "shortDescription:")
	seen := map[string]bool{}
	for _, platform := range regexp.MustCompile(`(?m)^  ?  ?- `).Split(platforms, -1)[1:] {
		field := func(key string) string {
			found := regexp.MustCompile(`(?m)\b` + key + `: (\S+)`).FindStringSubmatch(platform)
			if found == nil {
				t.Fatalf("there is no %s in\n%s", key, platform)
			}
			return found[1]
		}
		uri := field("uri")
		archive := filepath.Base(uri)
		if want := "https://github.com/txn2/amp/releases/download/" + it.version + "/" + archive; uri != want {
			t.Errorf("it leads to %s, want %s", uri, want)
		}
		content, err := os.ReadFile(filepath.Join(it.dir, "bin/dist", archive))
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256(content)); sum != field("sha256") {
			t.Errorf("%s has the sum %s, not %s", archive, sum, field("sha256"))
		}
		if want := "_" + field("os") + "_" + field("arch") + "."; !strings.Contains(archive, want) {
			t.Errorf("for %s it has %s", want, archive)
		}
		if program := field("bin"); unpack(t, archive, content)[program] == nil {
			t.Errorf("%s has no %s", archive, program)
		}
		seen[archive] = true
	}
	if len(seen) != 6 {
		t.Errorf("it has the archives %v:\n%s", seen, krew)
	}
	for _, want := range []string{"name: amp\n", "version: " + it.version + "\n", "kubectl amp doctor"} {
		if !strings.Contains(string(krew), want) {
			t.Errorf("it does not say %q:\n%s", want, krew)
		}
	}
}
