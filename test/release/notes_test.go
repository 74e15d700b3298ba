package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNotes checks that a release takes its notes from the changelog.
func TestNotes(t *testing.T) {
	changelog, err := os.ReadFile(filepath.Join(it.dir, "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(changelog), "\n## ["+strings.TrimPrefix(it.version, "v")+"] - ")
	if !found {
		t.Fatalf("CHANGELOG.md has no section of %s", it.version)
	}
	_, section, _ = strings.Cut(section, "\n")
	section, _, _ = strings.Cut(section, "\n## ")

	t.Run("they are the section of the version, and lie where goreleaser looks", func(t *testing.T) {
		notes, err := os.ReadFile(filepath.Join(it.dir, "bin/notes.md"))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(notes), strings.TrimSpace(section)+"\n"; got != want {
			t.Errorf("the notes are\n%s\nwant\n%s", got, want)
		}
		config, err := os.ReadFile(filepath.Join(it.dir, ".goreleaser.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(config), "\n  header: |\n    {{ mustReadFile \"bin/notes.md\" }}\n") {
			t.Error("a release does not begin with them")
		}
	})

	t.Run("a release without a section fails before anything is made, and says what to do", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "tree")
		if _, err := commitTree(dir); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "CHANGELOG.md"), "# Changelog\n\n## [Unreleased]\n\nSomething.\n\n## [9.9.9] - 2026-01-31\n\nAnother.\n", 0o644)
		for _, args := range [][]string{
			{"-c", "user.name=amp", "-c", "user.email=amp@example.com", "commit", "--quiet", "--all", "--amend", "--message=all"},
			{"tag", "--force", it.version},
		} {
			if _, err := command(dir, "git", args...); err != nil {
				t.Fatal(err)
			}
		}
		_, err := goreleaser(dir, "release", "--clean", "--skip=publish,announce,sbom")
		if want := `CHANGELOG.md has no section "## [` + strings.TrimPrefix(it.version, "v") + `] - YYYY-MM-DD" with a text: rename "## [Unreleased]" to that`; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("goreleaser said %v, want %q", err, want)
		}
		if _, err := os.Stat(filepath.Join(dir, "bin/release")); err == nil {
			t.Error("the images were made")
		}
	})

	t.Run("a section ends at the next one, and links are no part of it", func(t *testing.T) {
		dir := t.TempDir()
		script, err := os.ReadFile("../../.ci/notes")
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, ".ci/notes"), string(script), 0o755)
		write(t, filepath.Join(dir, "CHANGELOG.md"), "## [Unreleased]\n\nx\n\n## [1.2.0] - 2026-01-31\n\n### Added\n\n- a\n\n## [1.2.0-rc.1] - 2026-01-01\n\n- b\n\n## [1.1.0] - 2025-01-01\n\n[1.1.0]: https://example.com\n", 0o644)
		for version, want := range map[string]string{"v1.2.0": "### Added\n\n- a\n", "v1.2.0-rc.1": "- b\n", "v1.1.0": "", "v1.2": "", "vUnreleased": ""} {
			out, err := exec.Command(filepath.Join(dir, ".ci/notes"), version).Output()
			if string(out) != want || (err == nil) != (want != "") {
				t.Errorf("%s: %q (%v), want %q", version, out, err, want)
			}
		}
	})
}
