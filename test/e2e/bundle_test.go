package e2e

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/txn2/amp/test/e2e/harness"
)

// TestBundleOverwritten measures how long creations fail when amp cannot prevent it: from the moment when another
// program removes the CA from the webhooks until it is back.
func TestBundleOverwritten(t *testing.T) {
	w := world(t)
	second := start(t, w, 1)
	defer func() {
		if err := second[0].Stop(); err != nil {
			t.Error(err)
		}
	}()
	endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
	ns := w.Namespace(t, harness.Enabled(endpoint.URL))
	for what, bundle := range map[string][]byte{
		"another CA": harness.NewAuthority("another").PEM,
		"nothing":    nil,
		"garbage":    []byte("garbage"),
	} {
		t.Run("with "+what, func(t *testing.T) {
			before, err := w.Bundle(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			type outcome struct {
				began, ended time.Time
				err          error
			}
			var outcomes []outcome
			client := kubernetes.NewForConfigOrDie(w.API.Config()).CoreV1().Pods(ns.Name)
			stream := harness.NewStream(func(int) error {
				began := time.Now()
				pod, err := client.Create(t.Context(), harness.Pod("web-"), metav1.CreateOptions{})
				if err == nil {
					err = changed(harness.Created{Pod: pod})
				}
				mu.Lock()
				defer mu.Unlock()
				outcomes = append(outcomes, outcome{began, time.Now(), err})
				return nil
			})
			if err := stream.Beyond(25); err != nil {
				t.Fatal(err)
			}
			overwritten := time.Now()
			if err := w.SetBundle(t.Context(), bundle); err != nil {
				t.Fatal(err)
			}
			harness.Eventually(t, "the bundle is as before", func(ctx context.Context) error {
				if now, err := w.Bundle(ctx); err != nil || !bytes.Equal(now, before) {
					return fmt.Errorf("it is %q: %v", now, err)
				}
				return nil
			})
			repaired := time.Now()
			if err := stream.Beyond(50); err != nil {
				t.Fatal(err)
			}
			stream.Stop()
			failed := 0
			for _, o := range outcomes {
				// The API server needs a moment to see each of the two changes.
				if o.err == nil {
					continue
				}
				if failed++; o.ended.Before(overwritten) || o.began.After(repaired.Add(time.Second)) {
					t.Errorf("created %v after the bundle was overwritten, %v after it was repaired: %v", o.began.Sub(overwritten), o.began.Sub(repaired), o.err)
				}
			}
			if took := repaired.Sub(overwritten); took > 5*time.Second {
				t.Errorf("the bundle was repaired after %v", took)
			}
			t.Logf("repaired after %v; %d of %d creates failed", repaired.Sub(overwritten), failed, len(outcomes))
		})
	}
}
