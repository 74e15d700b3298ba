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

// arrows holds for each package what it may import of this module, beside endpoints/jsonpointer, which every package
// may. The names are relative to the module; "." is its root.
var arrows = map[string][]string{
	// The contracts, for people who know nothing of the proxy: endpoint authors and auditors.
	"endpoints":             nil,
	"endpoints/events":      nil,
	"endpoints/jsonpointer": nil,

	// The test kit judges as the proxy does, because it is the proxy's own check that judges. Only tests import it.
	"endpoints/endpointtest": {"internal/conform", "internal/review", "internal/shapes"},

	"docs/endpoints/samples/go": {"endpoints"},

	// The samples use the contracts. Of the audit function, only its HTTP part puts the others together.
	"endpoints/example":                                    {"endpoints"},
	"endpoints/jupyterhub":                                 {"endpoints", "endpoints/events", "endpoints/events/describe"},
	"endpoints/require":                                    {"endpoints"},
	"endpoints/audit":                                      {"endpoints", "endpoints/events", "endpoints/audit/internal/outcome", "endpoints/events/describe", "endpoints/audit/internal/store", "endpoints/audit/internal/store/postgres", "endpoints/audit/internal/store/sqlite"},
	"endpoints/audit/move":                                 nil,
	"endpoints/audit/internal/outcome":                     {"endpoints/events"},
	"endpoints/events/describe":                            {"endpoints/events"},
	"endpoints/audit/internal/store":                       {"endpoints/audit/internal/outcome"},
	"endpoints/audit/internal/store/group":                 {"endpoints/audit/internal/store"},
	"endpoints/audit/internal/store/packed":                {"endpoints/audit/internal/store"},
	"endpoints/audit/internal/store/sqlite":                {"endpoints/audit/internal/outcome", "endpoints/audit/internal/store", "endpoints/audit/internal/store/group", "endpoints/audit/internal/store/packed"},
	"endpoints/audit/internal/store/postgres":              {"endpoints/audit/internal/outcome", "endpoints/audit/internal/store", "endpoints/audit/internal/store/group", "endpoints/audit/internal/store/packed"},
	"endpoints/audit/internal/store/postgres/postgrestest": {"test/freeport"}, // only tests import it
	"endpoints/audit/internal/store/storetest":             {"endpoints/audit/internal/outcome", "endpoints/audit/internal/store"},

	// The nouns that all steps share, and tools that know no step.
	"internal/share":      nil,
	"internal/connlimit":  nil,
	"internal/jsonscan":   nil,
	"internal/review":     {"endpoints/events", "internal/share", "internal/jsonscan"},
	"internal/redact":     {"endpoints/events", "internal/compare"},
	"internal/outbound":   {"internal/reload"},
	"internal/reload":     nil,
	"internal/spelling":   nil,
	"internal/eventstest": {"endpoints/events"},
	"internal/workload":   nil,
	"internal/fuzztest":   nil,

	// The steps. None knows another one.
	"internal/namespaces":                {"internal/review", "internal/reload", "internal/spelling"},
	"internal/namespaces/namespacestest": nil,
	"internal/apiserver":                 {},
	"internal/namespaces/cluster":        {"internal/review", "internal/namespaces"},
	"internal/callout":                   {"internal/review", "internal/jsonscan", "internal/reload", "internal/outbound", "internal/spelling", "internal/share", "endpoints"},
	"internal/circuit":                   {"internal/outbound", "internal/review"},
	"internal/patch":                     {"internal/review", "internal/jsonscan", "internal/share", "internal/patch/apply", "internal/patch/jsontree", "internal/patch/rules"},
	"internal/patch/jsontree":            nil,
	"internal/patch/listnames":           {"internal/patch/jsontree"},
	"internal/patch/apply":               {"internal/review", "internal/jsonscan", "internal/spelling", "internal/patch/jsontree", "internal/patch/listnames"},
	"internal/patch/rules":               {"internal/review", "internal/spelling", "internal/patch/apply", "internal/patch/jsontree"},
	"internal/patch/patchtest":           {"internal/review", "internal/patch"},
	"internal/compare":                   {"internal/review", "internal/jsonscan", "internal/patch/jsontree", "internal/patch/listnames"},
	"internal/emit":                      {"internal/compare", "internal/review", "internal/redact", "internal/outbound", "internal/share", "endpoints/events"},
	"internal/certificates":              {"internal/review", "internal/reload"},
	"internal/certificates/cluster":      {"internal/review", "internal/certificates"},

	// The order of the steps declares what it needs of them. A caller without a cluster, TLS or metrics puts a proxy
	// together with the engine, and must not link these.
	"internal/proxy":  {"internal/compare", "internal/review", "internal/share"},
	"internal/engine": {"internal/review", "internal/callout", "internal/circuit", "internal/compare", "internal/patch", "internal/proxy", "internal/share"},
	"internal/serve": {"internal/apiserver", "internal/review", "internal/spelling", "internal/callout", "internal/certificates", "internal/certificates/cluster", "internal/connlimit", "internal/emit", "internal/engine",
		"internal/namespaces", "internal/namespaces/cluster", "internal/outbound", "internal/patch", "internal/proxy", "internal/reload", "internal/share"},

	// The tools for authors of endpoints call and check as the proxy does, without its policies.
	"internal/shapes":  {"internal/review"},
	"internal/conform": {"internal/callout", "internal/outbound", "internal/patch", "internal/review", "internal/shapes"},
	"internal/load":    {"internal/callout", "internal/review", "internal/shapes"},

	// Importing the root registers the function, so only the program of the proxy does.
	".":             {"internal/serve"},
	"cmd/amp":       {".", "internal/serve"},
	"cmd/endpoints": {"endpoints/audit", "endpoints/audit/move", "endpoints/example", "endpoints/jupyterhub", "endpoints/require", "internal/connlimit", "internal/outbound"},
	"cmd/demo": {"endpoints/audit", "endpoints/jupyterhub", "endpoints/require", "internal/callout", "internal/emit", "internal/engine", "internal/namespaces",
		"internal/manifest", "internal/outbound", "internal/patch", "internal/proxy", "internal/review"},
	"cmd/kubectl-amp": {"internal/conform", "internal/doctor", "internal/load", "internal/manifest", "internal/outbound", "internal/review", "internal/serve", "internal/shapes", "internal/spelling",
		"internal/replay", "internal/suite", "internal/tryout"},
	"internal/manifest": nil,
	"internal/tryout":   {"endpoints/events", "endpoints/events/describe", "internal/callout", "internal/emit", "internal/engine", "internal/namespaces", "internal/outbound", "internal/patch", "internal/proxy", "internal/review", "internal/serve"},
	"internal/replay":   {"endpoints/events", "internal/compare", "internal/outbound", "internal/patch", "internal/redact", "internal/review", "internal/tryout"},
	"internal/suite":    {"internal/manifest", "internal/review", "internal/spelling", "internal/tryout"},
	"internal/doctor":   {"deploy", "internal/callout", "internal/namespaces", "internal/outbound", "internal/review", "internal/serve"},
	"deploy":            nil,
}

// heavy holds packages that weigh much in a program, or that one package alone is for, and who may import them.
var heavy = []struct {
	prefix  string
	allowed []string
	why     string
}{
	{"k8s.io/client-go/kubernetes", nil, "the clientset weighs 12 MB, and slows the start of a program"},
	{"k8s.io/client-go/informers", nil, "informers weigh 12 MB"},
	{"k8s.io/client-go", []string{"internal/apiserver", "internal/namespaces/cluster", "internal/certificates/cluster", "internal/doctor", "cmd/kubectl-amp"}, "only the packages for the cluster link client-go"},
	{"database/sql", []string{"endpoints/audit/internal/store/sqlite"}, "each store's SQL is in one package"},
	{"modernc.org/sqlite", []string{"endpoints/audit/internal/store/sqlite"}, "each store's SQL is in one package"},
	{"github.com/jackc", []string{"endpoints/audit/internal/store/postgres", "endpoints/audit/internal/store/postgres/postgrestest"}, "each store's SQL is in one package"},
}

// TestDataFlowsOneWay keeps the arrows of docs/architecture.md.
func TestDataFlowsOneWay(t *testing.T) {
	relative := func(pkg string) string {
		if pkg == module {
			return "."
		}
		return strings.TrimPrefix(pkg, module+"/")
	}
	for _, s := range sources(t) {
		pkg := relative(s.pkg)
		allowed, known := arrows[pkg]
		if !known {
			t.Errorf("%s: package %s has no row in arrows", s.file, pkg)
		}
		for _, imported := range s.imports() {
			if strings.HasPrefix(imported, module) && imported != module+"/endpoints/jsonpointer" && !slices.Contains(allowed, relative(imported)) {
				t.Errorf("%s imports %s, which no arrow allows", s.file, imported)
			}
			for _, h := range heavy {
				if (imported == h.prefix || strings.HasPrefix(imported, h.prefix+"/")) && !slices.Contains(h.allowed, pkg) {
					t.Errorf("%s imports %s: %s", s.file, imported, h.why)
				}
			}
		}
	}
}

// TestPureStepsDoNoIO keeps what decides free of what happens around it.
func TestPureStepsDoNoIO(t *testing.T) {
	packages := []string{
		"internal/review", "internal/redact", "internal/spelling", "internal/patch", "internal/patch/jsontree", "internal/patch/listnames", "internal/patch/apply", "internal/patch/rules",
		"internal/compare",
		"endpoints/jsonpointer", "endpoints/audit/internal/outcome", "endpoints/events/describe", "endpoints/audit/internal/store",
	}
	files := []string{
		"internal/namespaces/parse.go", "internal/emit/event.go",
		"internal/certificates/pair.go", "internal/certificates/stored.go", "internal/certificates/observed.go",
		"internal/certificates/replica.go", "internal/certificates/decide.go",
	}
	pure := func(s source) bool {
		return slices.Contains(packages, strings.TrimPrefix(s.pkg, module+"/")) || slices.Contains(files, s.file)
	}
	seen := map[string]bool{}
	for _, s := range sources(t) {
		if !pure(s) {
			continue
		}
		seen[strings.TrimPrefix(s.pkg, module+"/")], seen[s.file] = true, true
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
	for _, name := range slices.Concat(packages, files) {
		if !seen[name] {
			t.Errorf("%s is to be pure, and does not exist", name)
		}
	}
}
