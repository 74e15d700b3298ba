package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestAxeFindsNothing has axe-core look at the page: at the list, the panel, the filters, the tables, in light and dark, on a
// desktop and on a phone.
func TestAxeFindsNothing(t *testing.T) {
	t.Parallel()
	axe := axeCore(t)
	now := time.Now().UTC()
	s := newServerAt(t, Config{}, func() time.Time { return now })
	fillForShow(t, s, now)
	base := serve(t, s)
	for _, v := range []struct {
		name          string
		width, height int
	}{{"desktop", 1280, 900}, {"phone", 360, 740}} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			b := newBrowser(t, v.width, v.height)
			look := func(what string) {
				t.Helper()
				for _, scheme := range []string{"light", "dark"} {
					b.scheme(scheme)
					b.eval(axe)
					found := b.eval(`axe.run(document, { resultTypes: ["violations"] }).then((r) => JSON.stringify(r.violations.map((v) => v.id + ": " + v.help + "\n" + v.nodes.slice(0, 4).map((n) => "\t" + n.target + " " + n.failureSummary.split("\n").pop()).join("\n"))))`)
					var all []string
					if err := json.Unmarshal([]byte(fmt.Sprint(found)), &all); err != nil {
						t.Fatal(err)
					}
					for _, violation := range all {
						t.Errorf("%s, %s: %s", what, scheme, violation)
					}
				}
			}
			b.open(base + "/")
			b.wait(`document.querySelectorAll("#rows tr").length >= 40 && document.querySelectorAll("#outcomechart rect.stack").length > 5 && document.querySelector("#state").textContent === "Live"`)
			look("the list")
			b.eval(`document.querySelectorAll("details").forEach((d) => (d.open = true))`)
			b.wait(`document.querySelector("#failures li")`)
			look("everything unfolded")
			b.open(address(base, "event", "show-notebook", "source", source))
			b.wait(`document.querySelector("#detail").open && document.querySelectorAll(".diff .plus").length > 5`)
			b.eval(`document.querySelectorAll("#detail details").forEach((d) => (d.open = true))`)
			look("an event in full")
			b.open(address(base, "event", "show-denied", "source", source, "pod", "nowhere"))
			b.wait(`document.querySelector("#detail").open && document.querySelector(".steps .denied")`)
			look("a denial, and an empty list")
		})
	}
}

// axeCore is the script of axe-core. npm installs it once, into the user's cache folder, as the lock file pins it.
func axeCore(t *testing.T) string {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil && os.Getenv("AMP_REQUIRE_BROWSER") == "1" {
		t.Fatalf("AMP_REQUIRE_BROWSER=1, but there is no npm to install axe-core with: %v", err)
	} else if err != nil {
		t.Skipf("there is no npm here (Debian: apt-get install npm), so axe-core did not look at the page: %v", err)
	}
	var files [][]byte
	names := []string{"package.json", "package-lock.json"}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join("testdata", "axe", name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256(slices.Concat(files...))
	dir := filepath.Join(cache, "amp-audit-axe-"+hex.EncodeToString(key[:8]))
	script := filepath.Join(dir, "node_modules", "axe-core", "axe.min.js")
	if _, err := os.Stat(script); err != nil {
		install(t, npm, dir, names, files)
	}
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// install installs packages into another folder first, so that no test sees half of them.
func install(t *testing.T, npm, dir string, names []string, files [][]byte) {
	t.Helper()
	half := fmt.Sprintf("%s.%d", dir, os.Getpid())
	defer os.RemoveAll(half)
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if err := os.WriteFile(filepath.Join(half, name), files[i], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = half
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, said)
	}
	if err := os.Rename(half, dir); err != nil {
		t.Fatal(err)
	}
}
