package cluster

import (
	"errors"
	"strings"
	"testing"
)

// untilReached waits until amp reviews the Pods of a new namespace. kube-proxy learns only a moment after the Pods
// are ready, and until then it refuses connections to their Service.
func (c *cluster) untilReached(t *testing.T) {
	t.Helper()
	c.apply(t, namespace("first"))
	eventually(t, func() error {
		out, err := c.run("kubectl", "run", "jupyter-alice", "--namespace", "first", "--image", "dev.local/probe:e2e", "--dry-run=server",
			"--labels", "component=singleuser-server", "--annotations", "hub.jupyter.org/username=alice", "-o", "yaml")
		if err == nil && !strings.Contains(out, "S3_PREFIX") {
			err = errors.New("a Pod was not mutated")
		}
		return err
	})
}

// prometheusOperator defines the kinds of prometheus-operator that deploy/alerts uses.
func (c *cluster) prometheusOperator(t *testing.T) {
	t.Helper()
	c.fromModule(t, "prometheus-operator", "github.com/prometheus-operator/prometheus-operator",
		"example/prometheus-operator-crd/*_podmonitors.yaml", "example/prometheus-operator-crd/*_prometheusrules.yaml")
}

// certManager installs the parts of cert-manager that testdata/cert-manager has.
func (c *cluster) certManager(t *testing.T) {
	t.Helper()
	c.fromModule(t, "cert-manager", "github.com/cert-manager/cert-manager", "deploy/crds/*.yaml")
	c.apply(t, `apiVersion: v1
kind: Namespace
metadata: {name: cert-manager}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: cert-manager, namespace: cert-manager}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: cert-manager}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: cert-manager, namespace: cert-manager}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cert-manager, namespace: cert-manager}
spec:
  selector: {matchLabels: {app: cert-manager}}
  template:
    metadata: {labels: {app: cert-manager}}
    spec:
      serviceAccountName: cert-manager
      containers: [{name: cert-manager, image: "dev.local/cert-manager:e2e"}]
`)
	c.kubectl(t, "rollout", "status", "--namespace", "cert-manager", "deployment/cert-manager", "--timeout=90s")
}

func (c *cluster) ampIsUp(t *testing.T) {
	t.Helper()
	c.kubectl(t, "rollout", "status", "--namespace", "amp-system", "deployment/amp", "--timeout=90s")
}
