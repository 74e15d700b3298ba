package cluster

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// haveMetrics checks that each metric that the alerts and the dashboard ask for is one of amp or, as far as it is there
// without a failure, of the API server.
func (c *cluster) haveMetrics(t *testing.T) {
	t.Helper()
	var asking, metrics string
	for _, file := range []string{"deploy/alerts/prometheusrule.yaml", "deploy/dashboards/amp.json"} {
		text, err := os.ReadFile(filepath.Join(root(t), file))
		if err != nil {
			t.Fatal(err)
		}
		asking += string(text)
	}
	for _, pod := range c.pods(t, "amp-system", "app.kubernetes.io/name=amp") {
		its, err := c.get("/api/v1/namespaces/amp-system/pods/" + pod + ":2112/proxy/metrics")
		if err != nil {
			t.Fatal(err)
		}
		metrics += string(its)
	}
	asked := regexp.MustCompile(`\b(amp_[a-z_]+)(?:\{([a-z]+="[a-z]+")\})?`).FindAllStringSubmatch(asking, -1)
	if len(asked) < 20 {
		t.Fatalf("they ask for %q only", asked)
	}
	for _, a := range asked {
		if !regexp.MustCompile(`(?m)^` + a[1] + `(\{.*\b` + a[2] + `.*\})? `).MatchString(metrics) {
			t.Errorf("amp has no %s", a[0])
		}
	}
	duration := "apiserver_admission_webhook_admission_duration_seconds_bucket"
	its, err := c.get("/metrics")
	if err != nil || !strings.Contains(asking, duration) || !regexp.MustCompile(duration+`\{name="fail.amp.txn2.com"`).Match(its) {
		t.Errorf("the API server has no %s: %v", duration, err)
	}
}
