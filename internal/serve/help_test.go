package serve

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestConfigDocIsTheTable compares docs/config.md with the code's own table; AMP_UPDATE=1 rewrites it.
func TestConfigDocIsTheTable(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "config.md")
	var table bytes.Buffer
	if err := writeMarkdown(&table); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(page), "| variable | default | |\n")
	if !found {
		t.Fatalf("%s has no table", path)
	}
	want := head + table.String()
	if os.Getenv("AMP_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s (-want +got), run the test with AMP_UPDATE=1:\n%s", path, diff)
	}
}

func TestHelpNamesEveryVariable(t *testing.T) {
	var help bytes.Buffer
	if err := WriteHelp(&help); err != nil {
		t.Fatal(err)
	}
	for _, v := range variables {
		if !strings.Contains(help.String(), "  "+v.name) {
			t.Errorf("the help does not name %s", v.name)
		}
	}
}

// Whatever variable a URL is pasted into, no part of it is shown.
func TestNoVariableShowsAURL(t *testing.T) {
	const mark = "s3cret"
	names := []string{"K_SERVICE"}
	for _, v := range variables {
		names = append(names, v.name)
	}
	for _, name := range names {
		for _, value := range []string{
			"http://u:" + mark, "http://u:" + mark + "@h:bad/", "htp://u:" + mark + "@h", "//u:" + mark + "@h", "u:" + mark + "@h/path", "http://h/%zz?" + mark, "http:///?" + mark,
			"h?" + mark + "=1", "http://h/?a=1," + mark + "=2,3", "http://u:first," + mark + "=@h/", "http://u:" + mark + " ^@h/", "http://h/#" + mark + "%", "ftp://h/a b?" + mark,
		} {
			_, err := Load(func(asked string) string {
				if asked == name {
					return value
				}
				return ""
			})
			if err != nil && strings.Contains(err.Error(), mark) {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
}
