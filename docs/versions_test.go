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
		"test/e2e/go.mod":   {"k8s.io/kubernetes"},
		"test/chart/go.mod": {"helm.sh/helm/v3", "helm.sh/helm/v4"},
	} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, module := range modules {
			m := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(module) + ` v(\S+)`).FindSubmatch(text)
			if m == nil {
				t.Fatalf("%s requires no %s", file, module)
			}
			if !strings.Contains(page, string(m[1])) {
				t.Errorf("docs/upgrading.md does not say that %s %s is tested", module, m[1])
			}
		}
	}
}
