package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mostBytes is the most bytes of a picture: a page is to open quickly.
const mostBytes = 200_000

// TestPictures checks that each picture is small, that a page shows it, and that make pictures or make dashboard makes it, or, if it
// is a plot, make curves, make audit-scale or make soak.
func TestPictures(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var plots string
	for _, file := range []string{"bench/curves.go", "bench/auditscale.go", "e2e/soak/soak_test.go"} {
		text, err := os.ReadFile(filepath.Join(root, "test", filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		plots += string(text)
	}
	files, err := filepath.Glob("pictures/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %q: %v", files, err)
	}
	all := pages(t)
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > mostBytes {
			t.Errorf("%s has %d bytes, want at most %d", file, info.Size(), mostBytes)
		}
		if name, plot := strings.CutSuffix(filepath.Base(file), ".svg"); plot {
			if !strings.Contains(plots, "{file: \""+name+"\",") && !strings.Contains(plots, "\""+name+".svg\"") {
				t.Errorf("none of make curves, make audit-scale and make soak makes %s", file)
			}
		} else if !strings.Contains(string(makefile), " docs/"+file+"\n") {
			t.Errorf("neither make pictures nor make dashboard makes %s", file)
		}
		shown := false
		for _, text := range all {
			shown = shown || strings.Contains(text, "("+file+")") || strings.Contains(text, "docs/"+file)
		}
		if !shown {
			t.Errorf("no page shows %s", file)
		}
	}
}
