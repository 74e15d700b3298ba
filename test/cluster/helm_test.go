package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// byHelm installs amp by its chart, upgrades it, goes back, gives it cert-manager's certificate and removes it, as
// deploy/README.md says. While Pods are created, no create fails. Helm 3 installs, and Helm 4 goes on from there, as it does for a
// user who changes to it.
func (c *cluster) byHelm(t *testing.T, readme *written) {
	readme.helm = helm(t, "v3")
	readme.do(t, "helm install amp deploy/chart --namespace amp-system --create-namespace",
		"kubectl -n amp-system rollout status deployment/amp")
	c.untilReached(t)
	readme.do(t, "helm test amp --namespace amp-system")
	c.kubectl(t, "delete", "pod", "--namespace", "creators", "--ignore-not-found", "creator", "--timeout=60s")
	s := c.startStream(t)
	s.beyond(t, 20)

	readme.helm = helm(t, "v4")
	readme.do(t, "helm upgrade amp deploy/chart --namespace amp-system --reset-then-reuse-values --set events.source=https://blue.example.com/amp")
	c.ampIsUp(t)
	if is := c.variable(t, "AMP_EVENTS_SOURCE"); is != "https://blue.example.com/amp" {
		t.Errorf("after the upgrade, AMP_EVENTS_SOURCE is %q", is)
	}
	readme.do(t, "helm rollback amp --namespace amp-system")
	c.ampIsUp(t)
	if is := c.variable(t, "AMP_EVENTS_SOURCE"); is != "" {
		t.Errorf("after the rollback, AMP_EVENTS_SOURCE is %q", is)
	}
	s.untilDrained(t)
	readme.do(t, "kubectl -n amp-system apply -f deploy/cert-manager/certificate.yaml",
		"kubectl -n amp-system wait --for=condition=Ready certificate/amp --timeout=60s",
		"helm upgrade amp deploy/chart --namespace amp-system --reset-then-reuse-values --set certificates=cert-manager --take-ownership",
		"kubectl -n amp-system rollout status deployment/amp")
	if is := c.variable(t, "AMP_TLS"); is != "files" {
		t.Errorf("with cert-manager's certificate, AMP_TLS is %q", is)
	}
	s.untilDrained(t)
	s.unharmed(t)
	if said := readme.do(t, "kubectl amp doctor"); !strings.Contains(said, " 0 failed") {
		t.Errorf("in the end, the doctor says %s", said)
	}

	readme.do(t, "kubectl delete --ignore-not-found mutatingwebhookconfigurations,validatingwebhookconfigurations amp",
		"helm uninstall amp --namespace amp-system")
	s.beyond(t, 10)
	for _, f := range s.ask(t, "stop").Failed {
		if !strings.Contains(f, "HTTP 201") { // created, and no longer mutated
			t.Error(f)
		}
	}
	readme.do(t, "kubectl delete namespace amp-system")
	c.noneIsLeft(t, "")
}

// byHelmWithAll installs the chart with all that it can install besides, in one command of Helm 4, without --namespace: then
// the chart makes the namespace.
func (c *cluster) byHelmWithAll(t *testing.T, readme *written) {
	readme.helm = helm(t, "v4")
	readme.sh(t, "helm install amp deploy/chart --set audit.enabled=true,audit.store=postgres,alerts.enabled=true,dashboards.enabled=true,"+
		"networkPolicies.enabled=true,noWayOut.enabled=true,samples.enabled=true,autoscaling.enabled=true,"+
		"podDisruptionBudget.maxUnavailable=50%,'webhooks.excludedNamespaces={default}'")
	c.ampIsUp(t)
	c.untilReached(t)
	readme.sh(t, "helm test amp")
	c.onPostgres(t, readme)
	// Such a release is applied on the side of the server, where another owner of a field would be a conflict.
	readme.sh(t, "kubectl -n amp-system apply -f deploy/cert-manager/certificate.yaml && kubectl -n amp-system wait --for=condition=Ready certificate/amp --timeout=60s && "+
		"helm upgrade amp deploy/chart --reset-then-reuse-values --set certificates=cert-manager --take-ownership")
	c.ampIsUp(t)
	if is := c.variable(t, "AMP_TLS"); is != "files" {
		t.Errorf("with cert-manager's certificate, AMP_TLS is %q", is)
	}
	readme.sh(t, "helm uninstall amp")
	c.noneIsLeft(t, ",validatingadmissionpolicies,validatingadmissionpolicybindings")
	// Helm is told to keep it, and what an operator created in it.
	var audit struct{ Status struct{ Phase string } }
	if err := c.read("/api/v1/namespaces/amp-audit", &audit); err != nil || audit.Status.Phase != "Active" {
		t.Errorf("after the uninstallation, the namespace with the events is %q: %v", audit.Status.Phase, err)
	}
	if _, err := c.get("/api/v1/namespaces/amp-audit/secrets/audit-postgres"); err != nil {
		t.Error(err)
	}
}

// noneIsLeft checks that no object of amp's is left outside of its namespaces, also of more kinds.
func (c *cluster) noneIsLeft(t *testing.T, more string) {
	t.Helper()
	left := c.kubectl(t, "get", "clusterroles,clusterrolebindings,priorityclasses,mutatingwebhookconfigurations,validatingwebhookconfigurations"+more, "-o", "name")
	if left := regexp.MustCompile(`.*/amp\b.*`).FindAllString(left, -1); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// helms are the paths of the majors that were built.
var helms = map[string]string{}

// helm builds a major of Helm, of the version that test/chart pins, and returns its path.
func helm(t *testing.T, major string) string {
	t.Helper()
	if helms[major] == "" {
		cmd := exec.Command(filepath.Join(root(t), ".ci/tool"), "test/chart", "helm.sh/helm/"+major+"/cmd/helm")
		cmd.Stderr = os.Stderr
		path, err := cmd.Output()
		if err != nil {
			t.Fatalf("building Helm %s: %v", major, err)
		}
		helms[major] = strings.TrimSpace(string(path))
	}
	return helms[major]
}
