package proxy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/txn2/amp"

// source is one Go file of the module that is no test.
type source struct {
	pkg, file string
	syntax    *ast.File
}

func (s source) imports() []string {
	var all []string
	for _, spec := range s.syntax.Imports {
		all = append(all, strings.Trim(spec.Path.Value, `"`))
	}
	return all
}

// sources parses the module instead of asking `go list`, whose answer a cached test would not ask again.
func sources(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var all []source
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() && (rel == "test" || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") && rel != ".") {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg := module
		if dir := filepath.ToSlash(filepath.Dir(rel)); dir != "." {
			pkg += "/" + dir
		}
		all = append(all, source{pkg, filepath.ToSlash(rel), syntax})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDataFlowsOneWay keeps the arrows of docs/architecture.md.
func TestDataFlowsOneWay(t *testing.T) {
	clusters := []string{module + "/internal/namespaces/cluster", module + "/internal/certificates/cluster"}
	within := func(pkg string, parents ...string) bool {
		return slices.ContainsFunc(parents, func(p string) bool {
			return pkg == module+"/"+p || strings.HasPrefix(pkg, module+"/"+p+"/")
		})
	}
	for _, s := range sources(t) {
		for _, imported := range s.imports() {
			fail := func(why string) { t.Errorf("%s imports %s: %s", s.file, imported, why) }
			// Where a JSON pointer is read or written, it is by this package, wherever that is.
			ours := strings.HasPrefix(imported, module) && imported != module+"/endpoints/jsonpointer"

			if within(s.pkg, "endpoints") && (imported == module || within(imported, "internal", "cmd")) {
				fail("the endpoints are a leaf, for authors who know nothing of the proxy")
			}
			if (s.pkg == module+"/endpoints" || s.pkg == module+"/endpoints/events") && ours {
				fail("the contracts are leaves: the endpoints' with the proxy, the events' with auditors")
			}
			if s.pkg == module+"/endpoints/jsonpointer" && strings.HasPrefix(imported, module) {
				fail("what everything may import imports nothing of ours")
			}
			if s.pkg == module+"/internal/review" && ours {
				fail("the nouns depend on no step")
			}
			if within(s.pkg, "internal/namespaces", "internal/callout", "internal/patch", "internal/emit", "internal/certificates") && ours &&
				!within(imported, "internal/review", "internal/reload") &&
				!(slices.Contains(clusters, s.pkg) && imported == strings.TrimSuffix(s.pkg, "/cluster")) &&
				!(s.pkg == module+"/internal/emit" && within(imported, "endpoints/events")) {
				fail("a step shares nouns with the others and knows none of them")
			}
			if s.pkg == module+"/internal/proxy" && ours && imported != module+"/internal/review" {
				fail("the proxy declares what it needs of the steps")
			}
			if within(s.pkg, "internal", "cmd/amp") && within(imported, "endpoints/audit", "endpoints/example", "endpoints/jupyterhub", "endpoints/require") {
				fail("no sample is linked into the proxy")
			}
			if why := auditArrow(s.pkg, imported, ours); why != "" {
				fail(why)
			}
			if imported == module && s.pkg != module+"/cmd/amp" {
				fail("importing the root registers the function")
			}
			// kubectl's plugin is a program of its own, whose size no cold start waits for.
			plugin := within(s.pkg, "cmd/kubectl-amp", "internal/doctor")
			if !plugin && within(imported, "internal/doctor", "deploy") {
				fail("only kubectl's plugin looks at an installation from outside")
			}
			if !plugin && (strings.HasPrefix(imported, "k8s.io/client-go/kubernetes") || strings.HasPrefix(imported, "k8s.io/client-go/informers")) {
				fail("the clientset and informers weigh 12 MB")
			}
			if !plugin && strings.HasPrefix(imported, "k8s.io/client-go") && !slices.Contains(clusters, s.pkg) {
				fail("only the packages for the cluster link client-go")
			}
		}
	}
}

// auditArrow says why a package may not have an import, for the rules about the audit function: HTTP and the page in
// endpoints/audit, below it what is pure, and SQL in one place. It is empty if the import is allowed.
func auditArrow(pkg, imported string, ours bool) string {
	const audit = module + "/endpoints/audit"
	const (
		outcome  = audit + "/internal/outcome"
		describe = audit + "/internal/describe"
		store    = audit + "/internal/store"
		sqlite   = store + "/sqlite"
		events   = module + "/endpoints/events"
	)
	allowed := map[string][]string{ // of this module
		outcome:  {events},
		describe: {events, outcome},
		store:    {outcome},
		sqlite:   {outcome, store},
	}
	if these, ok := allowed[pkg]; ok && ours && !slices.Contains(these, imported) {
		return "of the audit function, only its HTTP part puts the others together"
	}
	if pkg != sqlite && (imported == "database/sql" || strings.HasPrefix(imported, "modernc.org/sqlite")) {
		return "all SQL is in one package"
	}
	return ""
}

// TestPureStepsDoNoIO keeps what decides free of what happens around it.
func TestPureStepsDoNoIO(t *testing.T) {
	pure := func(s source) bool {
		return slices.Contains([]string{
			"/internal/review", "/internal/patch",
			"/endpoints/audit/internal/outcome", "/endpoints/audit/internal/describe", "/endpoints/audit/internal/store",
		}, strings.TrimPrefix(s.pkg, module)) || slices.Contains([]string{
			"internal/namespaces/parse.go", "internal/emit/event.go", "internal/emit/redact.go", "internal/emit/places.go",
			"internal/certificates/pair.go", "internal/certificates/stored.go", "internal/certificates/observed.go",
			"internal/certificates/replica.go", "internal/certificates/decide.go",
		}, s.file)
	}
	for _, s := range sources(t) {
		if !pure(s) {
			continue
		}
		for _, imported := range s.imports() {
			if imported == "net/http" || imported == "os" || imported == "log/slog" || imported == "crypto/rand" || imported == "math/rand/v2" || strings.HasPrefix(imported, "k8s.io/client-go") {
				t.Errorf("%s is to be pure and imports %s", s.file, imported)
			}
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Now" {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
					t.Errorf("%s is to be pure and reads the clock", s.file)
				}
			}
			return true
		})
	}
}
