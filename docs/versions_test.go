package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestVersions checks that docs/upgrading.md names as tested the versions that the suites build.
func TestVersions(t *testing.T) {
	page := pages(t)["docs/upgrading.md"]
	for file, modules := range map[string][]string{
		"test/e2e/go.mod":        {"k8s.io/kubernetes"},
		"test/e2e/oldest/go.mod": {"k8s.io/kubernetes"},
		"test/chart/go.mod":      {"helm.sh/helm/v3", "helm.sh/helm/v4"},
	} {
		for _, module := range modules {
			if version := required(t, file, module); !strings.Contains(page, version) {
				t.Errorf("docs/upgrading.md does not say that %s %s is tested", module, version)
			}
		}
	}
}

// TestTheOldestKubernetes checks that all pages, and the chart, name as the oldest version of Kubernetes the one on which
// the suites run.
func TestTheOldestKubernetes(t *testing.T) {
	oldest := required(t, "test/e2e/oldest/go.mod", "k8s.io/kubernetes")
	oldest = oldest[:strings.LastIndex(oldest, ".")]
	texts := pages(t)
	claim := regexp.MustCompile(`Kubernetes (?:\| )?(\d+\.\d+) or later`)
	// Releases of the past had claims of their own, and one that changes nothing of it makes none.
	for section := range strings.SplitSeq(texts["CHANGELOG.md"], "\n## ") {
		if claim.MatchString(section) {
			texts["CHANGELOG.md"] = section
			break
		}
	}
	const template = "deploy/chart/templates/amp.yaml"
	texts[template] = read(t, template)
	named := map[string]bool{}
	for file, text := range texts {
		for _, m := range claim.FindAllStringSubmatch(text, -1) {
			named[file] = true
			if m[1] != oldest {
				t.Errorf("%s says %q, and the oldest that is tested is %s", file, m[0], oldest)
			}
		}
	}
	for _, file := range []string{"CHANGELOG.md", "README.md", "deploy/README.md", "deploy/chart/README.md", template,
		"docs/installing.md", "docs/upgrading.md", "knative/README.md"} {
		if !named[file] {
			t.Errorf("%s does not say which Kubernetes is needed", file)
		}
	}
	if !strings.Contains(texts[template], `"<`+oldest+`.0-0"`) {
		t.Errorf("%s does not compare with %s", template, oldest)
	}
}

// required is the version of a module in a go.mod, without v.
func required(t *testing.T, file, module string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(module) + ` v(\S+)`).FindStringSubmatch(read(t, file))
	if m == nil {
		t.Fatalf("%s requires no %s", file, module)
	}
	return m[1]
}

// read is the text of a file of the repository.
func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
