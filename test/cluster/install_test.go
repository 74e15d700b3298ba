package cluster

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// untilReached waits until amp reviews the Pods of a new namespace. kube-proxy learns only a moment after the Pods
// are ready, and until then it refuses connections to their Service.
func (c *cluster) untilReached(t *testing.T) {
	t.Helper()
	c.optIn(t, "first", namespace("first"))
	c.untilMutated(t, "first")
}

// untilMutated waits until the Pods of a namespace reach amp: the API server sees a new label a moment later.
func (c *cluster) untilMutated(t *testing.T, namespace string) {
	t.Helper()
	eventually(t, func() error {
		out, err := c.createPod(namespace, "?dryRun=All", alices)
		if err == nil && !strings.Contains(out, "S3_PREFIX") {
			err = errors.New("a Pod was not mutated")
		}
		return err
	})
}

// alices are the metadata of a user's Pod.
const alices = `{"name": "jupyter-alice", "labels": {"component": "singleuser-server"}, "annotations": {"hub.jupyter.org/username": "alice"}}`

// prometheusOperator defines the kinds of prometheus-operator that deploy/alerts uses.
func (c *cluster) prometheusOperator(t *testing.T) {
	t.Helper()
	c.fromModule(t, "prometheus-operator", "github.com/prometheus-operator/prometheus-operator",
		"example/prometheus-operator-crd/*_podmonitors.yaml", "example/prometheus-operator-crd/*_prometheusrules.yaml")
}

// certManager installs the parts of cert-manager that testdata/cert-manager has.
func (c *cluster) certManager(t *testing.T) {
	t.Helper()
	c.fromModule(t, "cert-manager", "github.com/cert-manager/cert-manager", "deploy/crds/cert-manager.io_*.yaml")
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
	c.rolledOut(t, "cert-manager", "cert-manager")
}

// certificate is the one that amp keeps in its Secret, PEM.
func (c *cluster) certificate() (string, error) {
	var secret struct{ Data map[string][]byte }
	err := c.read("/api/v1/namespaces/amp-system/secrets/amp-tls", &secret)
	return string(secret.Data["tls.crt"]), err
}

// longCertificate returns an error unless amp's certificate is good for a day.
func (c *cluster) longCertificate() error {
	text, err := c.certificate()
	if err != nil {
		return err
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return fmt.Errorf("no certificate: %s", text)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err == nil && time.Until(certificate.NotAfter) < 24*time.Hour {
		err = fmt.Errorf("it ends at %v", certificate.NotAfter)
	}
	return err
}

// kinds are the kinds of amp's objects outside of its namespaces.
const kinds = "namespaces,clusterroles,clusterrolebindings,priorityclasses,mutatingwebhookconfigurations,validatingwebhookconfigurations"

// withCertManager installs amp with cert-manager's certificate, deletes its namespace alone, and removes the rest.
func (c *cluster) withCertManager(t *testing.T, readme *written) {
	c.database(t) // for byHelmWithAll: it takes a while to start
	readme.do(t, "kubectl apply -k deploy/cert-manager", "kubectl -n amp-system rollout status deployment/amp")
	c.untilReached(t)
	for _, namespace := range []string{"amp-samples", "amp-example", "amp-audit"} { // nothing needs them from here on
		c.remove(t, "/api/v1/namespaces/"+namespace)
	}
	c.kubectl(t, "delete", "namespace", "amp-system", "--timeout=90s") // half a minute, and they end meanwhile
	create := func() error {
		_, err := c.createPod("first", "", `{"name": "web", "labels": {"component": "singleuser-server"}}`)
		return err
	}
	if err := create(); err == nil || !strings.Contains(err.Error(), "fail.amp.txn2.com") {
		t.Errorf("without amp: %v", err)
	}
	readme.do(t, "kubectl delete --ignore-not-found mutatingwebhookconfigurations,validatingwebhookconfigurations amp")
	eventually(t, create)
	readme.do(t, "kubectl delete --ignore-not-found -k deploy")
	c.kubectl(t, "delete", "-k", filepath.Join(root(t), "deploy/no-way-out"), "--timeout=90s")
	eventually(t, func() error {
		left := c.kubectl(t, "get", kinds+",validatingadmissionpolicies,validatingadmissionpolicybindings", "-o", "name")
		if left := regexp.MustCompile(`.*/amp\b.*`).FindAllString(left, -1); len(left) > 0 {
			return fmt.Errorf("left behind: %q", left)
		}
		return nil
	})
}
