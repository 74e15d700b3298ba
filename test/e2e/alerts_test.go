package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/txn2/amp/test/e2e/harness"
)

// TestAlerts checks when the alerts of deploy/alerts fire, with Prometheus' own promtool.
func TestAlerts(t *testing.T) {
	readme, err := harness.Document("deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}

	t.Run("each has a summary, a description, a remedy and a runbook", func(t *testing.T) {
		for _, u := range rendered(t, "deploy/alerts").Kind("PrometheusRule") {
			groups, _, err := unstructured.NestedSlice(u.Object, "spec", "groups")
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range groups {
				for _, r := range g.(map[string]any)["rules"].([]any) {
					name := r.(map[string]any)["alert"].(string)
					says, _, _ := unstructured.NestedStringMap(r.(map[string]any), "annotations")
					for _, key := range []string{"summary", "description", "remedy"} {
						if says[key] == "" {
							t.Errorf("%s has no %s", name, key)
						}
					}
					if want := "https://github.com/txn2/amp/blob/main/deploy/README.md#" + strings.ToLower(name); says["runbook_url"] != want {
						t.Errorf("%s has its runbook at %s, not %s", name, says["runbook_url"], want)
					}
					if !strings.Contains(readme, "\n### "+name+"\n") {
						t.Errorf("deploy/README.md has no section %s", name)
					}
				}
			}
		}
	})

	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("AMP_REQUIRE_PROMTOOL") == "1" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: this test needs promtool, which Debian has in its package prometheus")
	}
	dir := t.TempDir()
	run := func(t *testing.T, args ...string) {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	// The README's command turns the operator's object into a rules file.
	sed := regexp.MustCompile(`(?m)^(sed .*) deploy/alerts/prometheusrule.yaml > amp.rules.yaml$`).FindStringSubmatch(readme)
	if sed == nil {
		t.Fatal("deploy/README.md does not say how to make a rules file")
	}
	source, err := filepath.Abs("../../deploy/alerts/prometheusrule.yaml")
	if err != nil {
		t.Fatal(err)
	}
	run(t, "sh", "-c", sed[1]+" "+source+" > rules.yaml")

	t.Run("they are rules", func(t *testing.T) {
		run(t, promtool, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
	})

	t.Run("they fire when they should, and only then", func(t *testing.T) {
		stories, err := os.ReadFile("testdata/alerts.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "alerts.yaml"), stories, 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, promtool, "test", "rules", "alerts.yaml")
	})
}
