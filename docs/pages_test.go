// Package docs tests the pages of the repository: their links, their commands, and that troubleshooting.md is complete.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root is the root of the repository.
const root = ".."

// pages returns the text of each Markdown file of the repository, by its path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "bin" || entry.Name() == "node_modules" || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		if entry.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		all[filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 30 {
		t.Fatalf("found %d pages only", len(all))
	}
	return all
}

// blocks returns the fenced blocks of a language in a text.
func blocks(text, language string) []string {
	var all []string
	var block *strings.Builder
	for line := range strings.Lines(text) {
		fence := strings.TrimSpace(line)
		switch {
		case block == nil && fence == "```"+language:
			block = &strings.Builder{}
		case block != nil && fence == "```":
			all, block = append(all, block.String()), nil
		case block != nil:
			block.WriteString(line)
		}
	}
	return all
}

// prose is a text without its fenced blocks.
func prose(text string) string {
	var b strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if !fenced {
			b.WriteString(line)
		}
	}
	return b.String()
}
