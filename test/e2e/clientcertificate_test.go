package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/txn2/amp/test/e2e/harness"
)

// TestTheClientCertificateOfTheAPIServer follows docs/security.md: its commands make the certificates, and its files give
// the API server one for amp. Only the paths are other ones, and the host, because this API server calls amp by its address.
func TestTheClientCertificateOfTheAPIServer(t *testing.T) {
	page, err := harness.Document("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	w, dir := anyWorld(t), t.TempDir()
	commands := block(t, page, "sh", "openssl req")
	openssl := exec.CommandContext(t.Context(), "bash", "-euc", commands)
	openssl.Dir = dir
	if out, err := openssl.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for file, holds := range map[string]string{"admission.yaml": "kind: AdmissionConfiguration", "webhooks.kubeconfig": "kind: Config"} {
		text := strings.ReplaceAll(block(t, page, "yaml", holds), "/etc/kubernetes/amp", dir)
		text = strings.ReplaceAll(text, "amp.amp-system.svc", w.Front.Address)
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := w.With(t, "AMP_TLS_CLIENT_CA="+filepath.Join(dir, "ca.crt"))
	endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
	closed := w.Namespace(t, harness.Enabled(endpoint.URL))
	open := w.Namespace(t, harness.Enabled(endpoint.URL, harness.On{"amp.txn2.com/failure-policy": "Ignore"}))
	const missing = "expected a client certificate signed by a CA in AMP_TLS_CLIENT_CA"

	t.Run("without one, creates fail closed under Fail, and say what is missing", func(t *testing.T) {
		if c := closed.Create(harness.Pod("web")); c.Err == nil || !strings.Contains(c.Err.Error(), `webhook "fail.amp.txn2.com"`) || !strings.Contains(c.Err.Error(), missing) {
			t.Errorf("the user read %v", c.Err)
		}
		if pod := open.MustCreate(harness.Pod("web")); pod.Labels["changed"] != "" {
			t.Error("the API server got an answer")
		}
	})
	t.Run("a stranger gets no answer", func(t *testing.T) {
		post := func(pair *harness.Pair) (*http.Response, error) {
			bundle, err := w.Bundle(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			client := harness.Trusting(bundle)
			if pair != nil {
				certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
				if err != nil {
					t.Fatal(err)
				}
				client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{certificate}
			}
			return client.Post("https://"+r.Address+"/mutate/fail", "application/json", strings.NewReader("{}"))
		}
		resp, err := post(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusForbidden || strings.TrimSpace(string(body)) != missing {
			t.Errorf("without a certificate: %d %s", resp.StatusCode, body)
		}
		other := harness.NewAuthority("another").Issue(pkix.Name{CommonName: "kube-apiserver"})
		if resp, err := post(&other); err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("with the certificate of another CA: %d", resp.StatusCode)
			}
		}
		if asked := len(endpoint.Asked()); asked > 0 {
			t.Errorf("the endpoint was asked %d times", asked)
		}
	})
	t.Run("with the AdmissionConfiguration, creates work", func(t *testing.T) {
		w.API.With(t, "--admission-control-config-file="+filepath.Join(dir, "admission.yaml"))
		validated := w.Namespace(t, harness.Enabled(endpoint.URL, harness.On{"amp.txn2.com/validate": "true", "validation.amp.txn2.com/ep": harness.Serve(t, harness.Answers(`{"allowed":true}`)).URL}))
		harness.Eventually(t, "Pods are created", func(context.Context) error {
			if c := validated.Create(harness.Pod("web-")); c.Err != nil || c.Labels["changed"] != "yes" {
				return fmt.Errorf("%v, labels %v", c.Err, c.Labels)
			}
			return nil
		})
		for _, ns := range []*harness.Namespace{closed, open} {
			if pod := ns.MustCreate(harness.Pod("web-")); pod.Labels["changed"] != "yes" {
				t.Errorf("in %s the Pod has labels %v", ns.Name, pod.Labels)
			}
		}
	})
}

// block is the one fenced block of a language that holds a text.
func block(t *testing.T, page, language, holds string) string {
	t.Helper()
	var found []string
	for _, b := range blocks(page, language) {
		if strings.Contains(b, holds+"\n") || strings.Contains(b, holds+" ") {
			found = append(found, b)
		}
	}
	if len(found) != 1 {
		t.Fatalf("there are %d blocks of %s with %q", len(found), language, holds)
	}
	return found[0]
}
