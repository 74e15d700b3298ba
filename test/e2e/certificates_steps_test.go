package e2e

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/txn2/amp/test/e2e/harness"
)

// brief is a lifetime of seconds. The certificate is renewed every eleven, and the API server has 0.8 s to learn of a
// new CA.
const brief = "AMP_TLS_LIFETIME=15s"

func secrets(w *harness.World) typedcore.SecretInterface {
	return kubernetes.NewForConfigOrDie(w.API.Config()).CoreV1().Secrets("amp-system")
}

// forget removes amp's Secret and CA, so that the state is as before the first start. No replica may run.
func forget(t *testing.T, w *harness.World) {
	t.Helper()
	if err := w.StopReplicas(); err != nil {
		t.Fatal(err)
	}
	if err := secrets(w).Delete(t.Context(), "amp-tls", metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	if err := w.SetBundle(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

// start starts the replicas at the same time and waits until they are ready.
func start(t *testing.T, w *harness.World, n int, environment ...string) []*harness.Replica {
	t.Helper()
	var all []*harness.Replica
	for range n {
		r, err := w.Launch(environment...)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	for _, r := range all {
		if err := r.UntilReady(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// kept is the certificate in the Secret.
func kept(t *testing.T, w *harness.World) *x509.Certificate {
	t.Helper()
	var c *x509.Certificate
	harness.Eventually(t, "there is a certificate in the Secret", func(ctx context.Context) error {
		s, err := secrets(w).Get(ctx, "amp-tls", metav1.GetOptions{})
		if err != nil {
			return err
		}
		block, _ := pem.Decode(s.Data["tls.crt"])
		if block == nil {
			return errors.New("tls.crt holds none")
		}
		c, err = x509.ParseCertificate(block.Bytes)
		return err
	})
	return c
}

// served waits until each of the replicas serves the certificate in the Secret, and returns the certificate.
func served(t *testing.T, w *harness.World, replicas ...*harness.Replica) *x509.Certificate {
	t.Helper()
	var c *x509.Certificate
	harness.Eventually(t, "all serve the certificate in the Secret", func(context.Context) error {
		c = kept(t, w)
		for _, r := range replicas {
			if serial := servedBy(w.Client(t), r.Address); serial == nil || serial.Cmp(c.SerialNumber) != 0 {
				return fmt.Errorf("%s serves %v, not %v", r.Address, serial, c.SerialNumber)
			}
		}
		return nil
	})
	return c
}

// renewed waits until the Secret holds a certificate other than c.
func renewed(t *testing.T, w *harness.World, c *x509.Certificate) *x509.Certificate {
	t.Helper()
	now := c
	harness.Eventually(t, "the certificate is renewed", func(context.Context) error {
		if now = kept(t, w); now.Equal(c) {
			return fmt.Errorf("it is still the one until %v", c.NotAfter)
		}
		return nil
	})
	return now
}

// calls makes one connection for each call, to any replica that is ready. It trusts what the configurations say, like
// an API server that learns of every change at once.
func calls(t *testing.T, w *harness.World, namespace string) *harness.Stream {
	return harness.NewStream(func(int) error {
		// The front may lead to a replica that is about to end. Such a replica answers for two seconds.
		ready := w.Front.Ready()
		if len(ready) == 0 {
			return errors.New("no replica is ready")
		}
		// The bundle is read before the certificate is shown: a bundle that is older than the certificate must be
		// enough.
		bundle, err := w.Bundle(t.Context())
		if err != nil {
			return err
		}
		return mutated(harness.Trusting(bundle), ready[rand.IntN(len(ready))], namespace)
	})
}
