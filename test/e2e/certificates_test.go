package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes"

	"github.com/txn2/amp/test/e2e/harness"
)

// TestCertificatesOfItsOwn lets amp renew its certificate every few seconds while other programs interfere and Pods
// are created. No creation may fail.
func TestCertificatesOfItsOwn(t *testing.T) {
	w := anyWorld(t)
	w.With(t, brief)
	forget(t, w)
	defer forget(t, w) // a certificate that lives seconds must not stay for other tests
	replicas := start(t, w, 2, brief)
	if err := w.UntilCalled(); err != nil {
		t.Fatal(err)
	}
	endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
	strict, lenient := w.Namespace(t, harness.Enabled(endpoint.URL)), w.Namespace(t, harness.Enabled(endpoint.URL, harness.Ignore))
	streams := []*harness.Stream{strict.Stream(changed), lenient.Stream(changed), calls(t, w, strict.Name)}
	connections, began := w.Front.Connections(), time.Now()

	c := kept(t, w)
	renewals := 0
	through := func(n int) {
		t.Helper()
		for range n {
			c = renewed(t, w, c)
			renewals++
		}
		served(t, w, replicas...) // a replica that has not seen the last certificate restores the one before, which is as good
	}
	through(2)

	if err := secrets(w).Delete(t.Context(), "amp-tls", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if now := kept(t, w); !now.Equal(c) {
		t.Errorf("after the Secret was deleted amp made another certificate, although it had one")
	}
	through(1)

	garbage := []byte(`{"data":{"tls.crt":"Z2FyYmFnZQ==","tls.key":"","ca.crt":"Z2FyYmFnZQ==","next.crt":"AAAA","mine":"a2VlcA=="}}`)
	if _, err := secrets(w).Patch(t.Context(), "amp-tls", types.MergePatchType, garbage, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if now := kept(t, w); !now.Equal(c) {
		t.Errorf("after the Secret was overwritten amp made another certificate, although it had one")
	}
	through(1)

	for i, old := range replicas { // a rolling restart
		replicas[i] = start(t, w, 1, brief)[0]
		if err := old.Stop(); err != nil {
			t.Error(err)
		}
	}
	through(2)
	for _, s := range streams {
		none(t, s)
	}
	// After a change of its bundle, the API server makes a new connection to a webhook.
	t.Logf("%d renewals in %v; the API server and the calls made %d connections", renewals, time.Since(began).Round(time.Second), w.Front.Connections()-connections)
	if n := w.Front.Connections() - connections; n < renewals {
		t.Errorf("the API server made %d connections through %d renewals: it has not seen every certificate", n, renewals)
	}

	s, err := secrets(w).Get(t.Context(), "amp-tls", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Type != corev1.SecretTypeTLS || string(s.Data["mine"]) != "keep" {
		t.Errorf("the Secret is of type %s, and what another program wrote into it is %q", s.Type, s.Data["mine"])
	}
	if n := bytes.Count(s.Data["ca.crt"], []byte("BEGIN")); n > 3 {
		t.Errorf("%d CAs are trusted", n)
	}
	if bytes.Contains(s.Data["ca.crt"], []byte("KEY")) {
		t.Error("the CA's key is kept")
	}
	c = served(t, w, replicas...)
	for _, r := range replicas {
		end, err := r.Metric("amp_tls_certificate_expiration_timestamp_seconds")
		if err != nil || time.Until(time.Unix(int64(end), 0)) > 15*time.Second || int64(end) < c.NotAfter.Unix() {
			t.Errorf("the metric says that the certificate ends at %v, not %v: %v", int64(end), c.NotAfter.Unix(), err)
		}
	}
}

func TestReplicasThatStartTogetherAgree(t *testing.T) {
	w := anyWorld(t)
	w.With(t)
	forget(t, w)
	replicas := start(t, w, 3)
	c := served(t, w, replicas...)
	if err := w.UntilCalled(); err != nil {
		t.Error(err)
	}
	bundle, err := w.Bundle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(bundle, []byte("BEGIN")); n != 1 {
		t.Errorf("%d CAs are trusted, although one certificate is served", n)
	}
	if err := c.VerifyHostname("amp.amp-system.svc"); err != nil {
		t.Error(err)
	}
	made := 0
	for _, r := range replicas {
		lines, err := r.Logged("step", "made")
		if err != nil {
			t.Fatal(err)
		}
		made += len(lines)
	}
	if made != 1 {
		t.Errorf("%d replicas made a certificate", made)
	}
}

// TestTakingOverFromAnotherAuthority replaces amp with a certificate from files by amp that makes its own, as in a
// rollout from cert-manager's overlay to the default.
func TestTakingOverFromAnotherAuthority(t *testing.T) {
	w := anyWorld(t)
	files := w.WithFiles(t)
	defer forget(t, w)
	if err := secrets(w).Delete(t.Context(), "amp-tls", metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	theirs := w.FilesCA()
	endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
	ns := w.Namespace(t, harness.Enabled(endpoint.URL))
	streams := []*harness.Stream{ns.Stream(changed), calls(t, w, ns.Name)}

	self := start(t, w, 1, brief)[0]
	if bundle, err := w.Bundle(t.Context()); err != nil || !bytes.Contains(bundle, theirs) {
		t.Errorf("their CA is no longer trusted while they serve: %v", err)
	}
	if err := files.Stop(); err != nil {
		t.Error(err)
	}
	renewed(t, w, served(t, w, self))
	harness.Eventually(t, "their CA leaves with the first renewal", func(ctx context.Context) error {
		if bundle, err := w.Bundle(ctx); err != nil || bytes.Contains(bundle, theirs) {
			return fmt.Errorf("it is still trusted: %v", err)
		}
		return nil
	})
	for _, s := range streams {
		none(t, s)
	}
}

func TestManifestsAppliedAgain(t *testing.T) {
	w := world(t)
	before, err := w.Bundle(t.Context())
	if err != nil || len(before) == 0 {
		t.Fatalf("the bundle is %q: %v", before, err)
	}
	deployed, err := w.Deployed()
	if err != nil {
		t.Fatal(err)
	}
	client := kubernetes.NewForConfigOrDie(w.API.Config()).AdmissionregistrationV1().MutatingWebhookConfigurations()
	get := func() *admissionv1.MutatingWebhookConfiguration {
		c, err := client.Get(t.Context(), "amp", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}

	t.Run("by the server", func(t *testing.T) {
		version := get().ResourceVersion
		if err := harness.Apply(t.Context(), w.API.Config(), deployed); err != nil {
			t.Fatal(err)
		}
		if now := get(); now.ResourceVersion != version || !bytes.Equal(now.Webhooks[0].ClientConfig.CABundle, before) {
			t.Errorf("the configuration has changed:\n%s", now.Webhooks[0].ClientConfig.CABundle)
		}
	})

	t.Run("by the client", func(t *testing.T) {
		// The patch that kubectl sends without --server-side: from what it applied before, what it applies now, and
		// what is stored.
		applied, err := json.Marshal(deployed.Kind("MutatingWebhookConfiguration")[0])
		if err != nil {
			t.Fatal(err)
		}
		is := get()
		current, err := json.Marshal(is)
		if err != nil {
			t.Fatal(err)
		}
		meta, err := strategicpatch.NewPatchMetaFromStruct(is)
		if err != nil {
			t.Fatal(err)
		}
		patch, err := strategicpatch.CreateThreeWayMergePatch(applied, applied, current, meta, true)
		if err != nil {
			t.Fatal(err)
		}
		now, err := client.Patch(t.Context(), "amp", types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, hook := range now.Webhooks {
			if !bytes.Equal(hook.ClientConfig.CABundle, before) {
				t.Errorf("%s: the bundle has changed by %s", hook.Name, patch)
			}
		}
	})
}

func TestWithoutTheRightsForACertificate(t *testing.T) {
	w := world(t)
	ns := w.Namespace(t, nil)
	client := kubernetes.NewForConfigOrDie(w.API.Config())
	if _, err := client.CoreV1().ServiceAccounts(ns.Name).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "bare"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "bare.kubeconfig")
	if err := w.WriteKubeconfig(t.Context(), ns.Name, "bare", kubeconfig); err != nil {
		t.Fatal(err)
	}
	r, err := w.Launch("KUBECONFIG=" + kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	}()
	said := func() []string {
		var said []string
		lines, err := r.Logged("msg", "cannot keep the certificate up to date; retrying")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			said = append(said, fmt.Sprint(l["error"]))
		}
		return said
	}
	harness.Eventually(t, "it says what is missing", func(context.Context) error {
		for _, s := range said() {
			if strings.HasPrefix(s, "reading MutatingWebhookConfiguration amp: ") && strings.Contains(s, "forbidden") && strings.HasSuffix(s, "; deploy/self/rbac.yaml grants it for the names amp and amp-tls") {
				return nil
			}
		}
		return fmt.Errorf("it said %q", said())
	})
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		probe := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		harness.Eventually(t, path, func(context.Context) error {
			resp, err := probe.Get("https://" + r.Address + path)
			if err != nil {
				return err
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				return fmt.Errorf("it says %d, not %d", resp.StatusCode, want)
			}
			return nil
		})
	}
	if slices.Contains(w.Front.Ready(), r.Address) {
		t.Error("it is ready")
	}
	if s := said(); len(s) > 2 {
		t.Errorf("it says so again and again: %q", s)
	}
}
