package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/txn2/amp/"

// TestTroubleshooting reads the sources of amp and compares every text of theirs that is a message with the symptoms of
// troubleshooting.md. A new message without an entry fails it, and so does an entry whose message is gone.
//
// What is a message is decided by a rule, not by a list: a string on one line with two words beside each other, in any package
// that cmd/amp links. Strings joined by + count as one. Not messages are
//   - what is only compared, matched or parsed (see unseen),
//   - what the log says at the levels debug and info, and what panics say: something went right, or a bug in amp,
//   - the files in elsewhere, whose texts other pages show.
//
// A shorter text, such as "connecting: " before the words of the system, needs no entry but may have one.
func TestTroubleshooting(t *testing.T) {
	symptoms := symptomsOf(t, "troubleshooting.md")
	found, short := messages(t)
	if len(found) < 300 || len(symptoms) < 300 {
		t.Fatalf("found %d messages and %d symptoms: that are too few, this test reads them wrongly", len(found), len(symptoms))
	}
	used := map[string]bool{}
	for _, text := range slices.Sorted(maps.Keys(found)) {
		pattern := patternOf(text)
		listed := false
		for _, symptom := range symptoms {
			if pattern.MatchString(symptom.text) {
				listed, used[symptom.text] = true, true
			}
		}
		if !listed {
			t.Errorf("docs/troubleshooting.md has no entry for the message %q of %s", text, found[text])
		}
	}
	for _, symptom := range symptoms {
		if !used[symptom.text] && !symptom.foreign && !slices.ContainsFunc(short, func(text string) bool { return patternOf(text).MatchString(symptom.text) }) {
			t.Errorf("docs/troubleshooting.md: line %d: amp has no message %q", symptom.line, symptom.text)
		}
	}
}

// elsewhere are files whose texts another page shows.
var elsewhere = map[string]string{
	"internal/serve/variables.go":  "docs/config.md shows the variables",
	"internal/serve/help.go":       "amp --help, which prints the variables",
	"internal/emit/metrics.go":     "the help of the metrics, which is no message",
	"internal/compare/compare.go":  "the events and docs/endpoints/candidate.md have words of their own for what is compared",
	"internal/callout/metadata.go": "the names of clouds; amp says only \"cloud metadata\"",
}

// unseen are functions and fields whose strings are not shown as messages: they look for a text of a library, parse, log what
// went right, or set a header or a part of a certificate.
var unseen = []string{"Contains", "HasPrefix", "HasSuffix", "TrimPrefix", "TrimSuffix", "Cut", "CutPrefix", "MustCompile", "EqualFold",
	"NewReplacer", "says", "holds", "panic", "Info", "InfoContext", "Debug", "DebugContext", "Set", "CommonName", "Type"}

// messages returns the messages of amp, each with a place where it stands, and the texts that are too short to be one.
func messages(t *testing.T) (all map[string]string, short []string) {
	t.Helper()
	all = map[string]string{}
	read := map[string]bool{}
	packages := []string{"cmd/amp"}
	for len(packages) > 0 {
		folder := packages[0]
		packages = packages[1:]
		if read[folder] {
			continue
		}
		read[folder] = true
		files, err := filepath.Glob(filepath.Join("..", folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("reading the sources of %s: %v, %d files", folder, err, len(files))
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range file.Imports {
				name, _ := strconv.Unquote(spec.Path.Value)
				if name+"/" == module {
					packages = append(packages, ".")
				} else if own, ok := strings.CutPrefix(name, module); ok {
					packages = append(packages, own)
				}
			}
			if elsewhere[filepath.ToSlash(filepath.Join(folder, filepath.Base(path)))] != "" {
				continue
			}
			textsIn(file, func(text string, at token.Pos) {
				switch text = strings.TrimSpace(text); {
				case isMessage(text):
					all[text] = strings.TrimPrefix(set.Position(at).String(), "../")
				case len(verb.ReplaceAllString(text, "")) >= 8 && strings.Contains(text, " "):
					short = append(short, text)
				}
			})
		}
	}
	return all, short
}

// textsIn calls found for each string in the file that may be shown.
func textsIn(in ast.Node, found func(string, token.Pos)) {
	ast.Inspect(in, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field: // its tag
			return n.Tag == nil
		case *ast.CallExpr:
			return !slices.Contains(unseen, called(n))
		case *ast.KeyValueExpr:
			key, ok := n.Key.(*ast.Ident)
			return !ok || !slices.Contains(unseen, key.Name)
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				return false
			}
			if text, ok := joined(n); ok {
				found(text, n.Pos())
				for _, other := range operands(n) { // a call in the middle may hold a message of its own
					textsIn(other, found)
				}
				return false
			}
		case *ast.BasicLit:
			if text, ok := joined(n); ok {
				found(text, n.Pos())
			}
		}
		return true
	})
}

// called is the last part of the name of what a call calls.
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// joined returns the text of strings joined by +, with %v for what is not a string in the source. It reports false if
// nothing in it is one.
func joined(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.ParenExpr:
		return joined(e.X)
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		left, isLeft := joined(e.X)
		right, isRight := joined(e.Y)
		if !isLeft && !isRight {
			return "", false
		}
		if !isLeft {
			left = "%v"
		}
		if !isRight {
			right = "%v"
		}
		return left + right, true
	}
	return "", false
}

// operands are the parts of a sum that are not strings in the source.
func operands(e ast.Expr) []ast.Expr {
	switch e := e.(type) {
	case *ast.BasicLit:
		return nil
	case *ast.ParenExpr:
		return operands(e.X)
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return append(operands(e.X), operands(e.Y)...)
		}
	}
	return []ast.Expr{e}
}

var (
	verb  = regexp.MustCompile(`%[-+#0]*[0-9]*(?:\.[0-9]+)?[a-zA-Z]`)
	words = regexp.MustCompile(`\pL[,:;]? \pL`)
	word  = regexp.MustCompile(`\pL{3}`)
)

// isMessage reports whether a text is one line and has two words beside each other. "Gi G" are none.
func isMessage(text string) bool {
	fixed := verb.ReplaceAllString(text, "…")
	return !strings.Contains(text, "\n") && words.MatchString(fixed) && word.MatchString(fixed)
}

// patternOf matches the symptoms that hold a text, with anything in the place of its verbs.
func patternOf(text string) *regexp.Regexp {
	parts := verb.Split(text, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(strings.Join(parts, ".*"))
}

type symptom struct {
	text    string
	line    int
	foreign bool // not amp's own
}

// foreignSection is the heading of the section with texts of the API server.
const foreignSection = "### What kubectl says"

// symptomsOf returns the code spans in the first column of each table.
func symptomsOf(t *testing.T, page string) []symptom {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	span := regexp.MustCompile("`([^`]+)`")
	var all []symptom
	foreign, number := false, 0
	for line := range strings.Lines(string(text)) {
		number++
		if strings.HasPrefix(line, "##") {
			foreign = strings.TrimSpace(line) == foreignSection
		}
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 3 || strings.Trim(cells[1], " |") == "" || strings.Trim(cells[2], " |") == "" {
			t.Errorf("%s: line %d: a row needs a message, a cause and what to do", page, number)
			continue
		}
		for _, m := range span.FindAllStringSubmatch(cells[0], -1) {
			all = append(all, symptom{m[1], number, foreign})
		}
	}
	return all
}
