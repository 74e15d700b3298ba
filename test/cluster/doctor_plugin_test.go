package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// finding is a check that failed or warns, with a part of its message.
type finding struct{ status, id, namespace, text string }

type check struct{ ID, Namespace, Subject, Status, Message, Remedy string }

type doctorReport struct {
	Checks  []check
	Summary struct{ OK, Warning, Failed, Skipped int }
}

// faults are the checks that failed or warn, in the order of namespaces and ids.
func (r doctorReport) faults() []check {
	some := slices.DeleteFunc(slices.Clone(r.Checks), func(c check) bool { return c.Status != "failed" && c.Status != "warning" })
	slices.SortFunc(some, func(a, b check) int { return strings.Compare(a.Namespace+" "+a.ID, b.Namespace+" "+b.ID) })
	return some
}

// doctor runs the plugin, and returns what scripts read. The exit code must be 1 if a check failed, and else 0; it is 2 if
// there is no report. It is asked often, so it does without the kubectl that would start it.
func (c *cluster) doctor(t *testing.T, args ...string) (r doctorReport, code int) {
	t.Helper()
	out, err := c.run(append([]string{"in", "env", "KUBECONFIG=" + c.kubeconfig, "kubectl-amp", "doctor", "-o", "json"}, args...)...)
	if code = exitCode(t, err); code == 2 {
		return r, code
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("the doctor says %q: %v", out, err)
	}
	if (r.Summary.Failed > 0) != (code == 1) {
		t.Fatalf("exit code %d with %+v", code, r.Summary)
	}
	return r, code
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return 0
}

// expect waits until the doctor finds exactly what is wanted, and returns those checks in the same order.
func (c *cluster) expect(t *testing.T, want []finding) []check {
	t.Helper()
	return c.finds(t, want).faults()
}

// finds waits until the doctor finds exactly what is wanted, and returns its report. A change of a cluster takes a moment
// until it is seen everywhere.
func (c *cluster) finds(t *testing.T, want []finding) doctorReport {
	t.Helper()
	slices.SortFunc(want, func(a, b finding) int { return strings.Compare(a.namespace+" "+a.id, b.namespace+" "+b.id) })
	for end, wait := time.Now().Add(patience), pause; ; wait = min(2*wait, time.Second) { // each try takes a plugin of its own
		report, code := c.doctor(t)
		faults := report.faults()
		if code != 2 && slices.EqualFunc(faults, want, func(c check, f finding) bool {
			return c.Status == f.status && c.ID == f.id && c.Namespace == f.namespace && strings.Contains(c.Message, f.text)
		}) {
			return report
		}
		if time.Now().After(end) {
			t.Fatalf("the doctor ends with %d and finds\n%+v\nand not\n%+v", code, faults, want)
		}
		time.Sleep(wait)
	}
}

// healthy waits until the doctor finds nothing wrong, with a Pod tried.
func (c *cluster) healthy(t *testing.T) {
	t.Helper()
	report := c.finds(t, nil)
	if report.Summary.Skipped > 0 || !slices.ContainsFunc(report.Checks, func(c check) bool { return c.ID == "dry-run" }) {
		t.Fatalf("the doctor has not tried everything: %+v", report)
	}
}

// plugin builds the plugin and puts it where kubectl looks for it.
func plugin(t *testing.T) {
	t.Helper()
	dir := filepath.Dir(program(t, "kubectl-amp", root(t), "./cmd/kubectl-amp"))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// pair makes a certificate as amp does, good from so long ago until so long from now: its CA, base64, and what the
// Secret holds of it.
func pair(t *testing.T, ago, until time.Duration) (ca, secret string) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatalf("making a certificate: %v", err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	now := time.Now()
	// It is its own CA: nothing here depends on who signed.
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-ago), NotAfter: now.Add(until), DNSNames: []string{"amp.amp-system.svc"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	text := func(kind string, der []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	ca = text("CERTIFICATE", der)
	return ca, fmt.Sprintf(`{"data": {"tls.crt": %q, "tls.key": %q, "ca.crt": %q}}`, ca, text("PRIVATE KEY", private), ca)
}

func (c *cluster) secret(t *testing.T, patch string) {
	t.Helper()
	c.patch(t, "/api/v1/namespaces/amp-system/secrets/amp-tls", merge, patch)
}

const admission = "/apis/admissionregistration.k8s.io/v1/"

// hooks changes the mutating or the validating webhooks by a JSON patch.
func (c *cluster) hooks(t *testing.T, kind, patch string) {
	t.Helper()
	c.patch(t, admission+kind+"webhookconfigurations/amp", operation, patch)
}

// bundle overwrites the CA in all webhooks.
func (c *cluster) bundle(t *testing.T, ca string) {
	t.Helper()
	for _, kind := range []string{"mutating", "validating"} {
		c.hooks(t, kind, fmt.Sprintf(
			`[{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": %[1]q}, {"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": %[1]q}]`, ca))
	}
}
