package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// elsewhereRun are the commands of the pages that another test runs, and the name of that test. Of a long command the begin is
// enough, with … at the end. Commands that test/cluster runs as they are written need no line here: do, in its
// written_test.go, runs them, and that suite fails if it leaves one out.
var elsewhereRun = map[string]string{
	"make test": "TestGitHubRunsWhatCIRuns", // and so .ci/run itself
	"PORT=9000 node docs/endpoints/samples/javascript/main.mjs":                                         "TestLanguages",
	"PORT=9000 python3 docs/coming-from/workspace.py":                                                   "TestComingFrom",
	"cat > profiles.yaml <<'EOF'…":                                                                      "TestJupyterHub",
	"cat > profiles-test.yaml <<'EOF'…":                                                                 "TestJupyterHub",
	"go run ./cmd/endpoints jupyterhub check profiles.yaml":                                             "TestJupyterHub",
	"go run ./cmd/endpoints jupyterhub check profiles.yaml --user alice":                                "TestJupyterHub",
	"FUNCTION_TARGET=jupyterhub AMP_JUPYTERHUB_PROFILES=profiles.yaml PORT=9000 go run ./cmd/endpoints": "TestJupyterHub",
	"kubectl amp test profiles-test.yaml":                                                               "TestJupyterHub",
	"kubectl amp test docs/coming-from/tests.yaml":                                                      "TestComingFrom",
	"PORT=9000 python3 docs/endpoints/samples/python/main.py":                                           "TestLanguages",
	"PORT=9000 java docs/endpoints/samples/java/Main.java":                                              "TestLanguages", // where there is a JDK
	"rustc -O -o hook docs/endpoints/samples/rust/main.rs && PORT=9000 ./hook":                          "TestLanguages", // where there is a Rust compiler
	"socat TCP-LISTEN:9000,reuseaddr,fork EXEC:docs/endpoints/samples/shell/hook.sh":                    "TestLanguages",
	"kubectl amp test docs/endpoints/samples/tests.yaml …":                                              "TestLanguages",
	"kubectl -n amp-system logs --selector app.kubernetes.io/name=amp --tail=-1 | kubectl amp replay …": "TestReplay", // its events come by stdin there, too
	"kubectl amp replay --events 'http://127.0.0.1:8080/…":                                              "TestAudit",
	"kubectl annotate namespace team-data amp.txn2.com/candidate=…":                                     "TestCandidate", // with a Namespace in a file
	"endpoints audit export --token-file read-token …":                                                  "TestMoveByCommand",
	"kubectl amp try -f pod.yaml --cluster -n team-a":                                                   "TestTryReadsTheCluster",
	"sed '1,/^spec:/d; s/^  //' deploy/alerts/prometheusrule.yaml > amp.rules.yaml":                     "TestAlerts",
	"kubectl apply -k knative/eventing":                                                                 "TestEventing",            // against the definitions of Eventing
	`kubectl -n amp-system set env deployment/amp AMP_PATCH_DENY="…`:                                    "TestTheStricterDenyList", // it reads the list from the page
	"openssl req -x509 -newkey ec …":                                                                    "TestTheClientCertificateOfTheAPIServer",
	"openssl req -newkey ec …":                                                                          "TestTheClientCertificateOfTheAPIServer",
	"echo extendedKeyUsage=clientAuth > client.ext":                                                     "TestTheClientCertificateOfTheAPIServer",
	"openssl x509 -req -in client.csr …":                                                                "TestTheClientCertificateOfTheAPIServer",
	"GOTOOLCHAIN=go1.26.8 KO_DEFAULTBASEIMAGE=…":                                                        "TestImagesAreTheSameAgain",
}

// notRun are the commands that no test runs as they are, and why.
var notRun = map[string]string{
	"kind create cluster": "kind needs Docker, or the like. test/cluster runs the commands between these two in a real cluster",
	"kind delete cluster": "see kind create cluster",
	"make build":          "it writes into the clone. test/release builds the same programs with the same flags",
	"kubectl -n amp-audit port-forward service/audit 8080:80":                   "it does not end, and uses a fixed port. test/cluster opens the page through kubectl proxy",
	"kubectl -n amp-functions port-forward …":                                   "it does not end, and uses a fixed port",
	`token="$(openssl rand -hex 24)"`:                                           "it only sets a variable of the shell. test/cluster sets it, and runs the commands that use it",
	"kubectl -n amp-audit create secret generic oauth2-proxy …":                 "client-secret is the reader's own. TestReadersLogIn gives the proxy files of the same names",
	"kubectl apply -f oauth2-proxy.yaml":                                        "TestReadersLogIn runs oauth2-proxy with these manifests without a cluster, which would need its image",
	"kubectl -n amp-audit rollout status deployment/oauth2-proxy":               "see kubectl apply -f oauth2-proxy.yaml",
	"helm install amp oci://ghcr.io/txn2/charts/amp …":                          "the chart is published with the first release. test/cluster installs it from its folder, test/release pushes and pulls it",
	"kubectl -n amp-system create configmap amp-client-ca --from-file=ca.crt":   "TestTheClientCertificateOfTheAPIServer gives amp the same file without a Deployment",
	"kubectl -n amp-system patch deployment amp --patch '…":                     "TestTheClientCertificateOfTheAPIServer sets the same variable without a Deployment",
	"cosign verify-blob checksums.txt …":                                        "only a published release has signatures. TestSignatures checks what is signed",
	"cosign verify ghcr.io/txn2/amp:v1.2.3 …":                                   "only a published release has signatures",
	"cosign verify ghcr.io/txn2/charts/amp:1.2.3 …":                             "only a published release has signatures",
	"sha256sum --check --ignore-missing checksums.txt":                          "it needs the files of a published release. TestChecksums compares the sums",
	"git clone --depth 1 --branch v1.2.3 https://github.com/txn2/amp && cd amp": "v1.2.3 stands for a tag that does not exist",
}

// entry returns the entry of a list for a command; it reports false if there is none.
func entry(list map[string]string, command string) (key string, ok bool) {
	for key := range list {
		begin, cut := strings.CutSuffix(key, "…")
		if key == command || cut && strings.HasPrefix(command, begin) {
			return key, true
		}
	}
	return "", false
}

// TestEveryCommandIsRun fails if a page has a command that no test runs. A command is run
//   - by TestCommands, here, if it needs no cluster and is quick (see runs),
//   - by test/cluster, word by word,
//   - by the test that elsewhereRun names,
//   - or not at all, for the reason in notRun.
func TestEveryCommandIsRun(t *testing.T) {
	inCluster, tests := clusterCommands(t), testNames(t)
	seen := map[string]bool{}
	for _, page := range slices.Sorted(maps.Keys(pages(t))) {
		for _, command := range commandsOf(t, page) {
			seen[command] = true
			inList, listed := entry(elsewhereRun, command)
			excuse, excused := entry(notRun, command)
			seen[inList], seen[excuse] = true, true
			by := elsewhereRun[inList]
			ways := 0
			for _, way := range []bool{runs[command].needed(), inCluster[command], listed, excused} {
				if way {
					ways++
				}
			}
			switch {
			case ways == 0:
				t.Errorf("%s: no test runs the command\n%s\nRun it in docs/commands_test.go, or say there which test does, or why none can", page, command)
			case ways > 1:
				t.Errorf("%s: the command is listed more than once in docs/commands_test.go, or test/cluster runs it too:\n%s", page, command)
			case listed && !tests[by]:
				t.Errorf("%s: there is no test %s, which is to run\n%s", page, by, command)
			}
		}
	}
	for _, list := range []map[string]string{elsewhereRun, notRun} {
		for command := range list {
			if !seen[command] {
				t.Errorf("docs/commands_test.go lists a command that no page has:\n%s", command)
			}
		}
	}
	for command := range runs {
		if !seen[command] {
			t.Errorf("docs/run_test.go runs a command that no page has:\n%s", command)
		}
	}
}

// commandsOf returns the commands in the shell blocks of a page. A block that is a whole program is no command: it must be
// equal to a sample, which TestLanguages runs.
func commandsOf(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, language := range []string{"sh", "bash", "shell", "console"} {
		for _, block := range blocks(string(text), language) {
			if !strings.HasPrefix(block, "#!") {
				all = append(all, commandsIn(block)...)
				continue
			}
			sample, err := os.ReadFile(filepath.Join("endpoints", "samples", "shell", "hook.sh"))
			if err != nil || string(sample) != block {
				t.Errorf("%s has a program that is no sample (%v)", page, err)
			}
		}
	}
	return all
}

// clusterCommands are the commands that test/cluster runs: the texts that it gives to do and doTogether.
func clusterCommands(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(root, "test/cluster/*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]string{} // the constants and variables that hold a command
		ast.Inspect(file, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.ValueSpec:
				for i, value := range n.Values {
					if text, ok := constant(value); ok {
						named[n.Names[i].Name] = text
					}
				}
			case *ast.AssignStmt:
				for i, value := range n.Rhs {
					name, isName := n.Lhs[i].(*ast.Ident)
					if text, ok := constant(value); ok && isName {
						named[name.Name] = text
					}
				}
			}
			return true
		})
		ast.Inspect(file, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok || called(call) != "do" && called(call) != "doTogether" {
				return true
			}
			for _, arg := range call.Args {
				if text, ok := constant(arg); ok {
					all[text] = true
				} else if name, ok := arg.(*ast.Ident); ok && named[name.Name] != "" {
					all[named[name.Name]] = true
				}
			}
			return true
		})
	}
	if len(all) < 30 {
		t.Fatalf("test/cluster runs only %d commands: this test reads it wrongly", len(all))
	}
	return all
}

// constant returns the text of strings joined by +.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, isLeft := constant(e.X)
		right, isRight := constant(e.Y)
		return left + right, isLeft && isRight && e.Op == token.ADD
	}
	return "", false
}

// testNames are the names of all tests of the repository.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declared := range file.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil {
				all[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
