package e2e

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/txn2/amp/test/e2e/harness"
)

// TestTheSameRule holds the MutatingAdmissionPolicy of docs/coming-from against the endpoint there: both change a Pod in the
// same way, with and without the lists to which they add.
func TestTheSameRule(t *testing.T) {
	w := world(t)
	w.API.Needs(t, "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy")
	page, err := harness.Document("docs/coming-from/mutating-admission-policy.md")
	if err != nil {
		t.Fatal(err)
	}
	byPolicy := w.Namespace(t, harness.On{})
	var policy harness.Manifests
	for _, block := range blocks(page, "yaml") {
		policy = append(policy, object(t, strings.ReplaceAll(block, "jhub}", byPolicy.Name+"}")))
	}
	if err := harness.Apply(t.Context(), w.API.Config(), policy); err != nil {
		t.Fatal(err)
	}
	byAmp := w.Namespace(t, harness.Enabled(python(t, "../../docs/coming-from/workspace.py")))

	user := harness.Labelled("hub.jupyter.org/username", "alice")
	harness.Eventually(t, "the API server has the policy", func(context.Context) error {
		c := byPolicy.Create(harness.Pod("try", user), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if c.Err == nil && len(c.Spec.Containers[0].Env) == 0 {
			return errors.New("it does not")
		}
		return c.Err
	})
	for name, options := range map[string][]func(*corev1.Pod){
		"bare": {user},
		"full": {user, func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "scratch"}}
			p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "LANG", Value: "C.UTF-8"}}
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}}
		}},
		"other": nil,
	} {
		one, other := byPolicy.MustCreate(harness.Pod(name, options...)), byAmp.MustCreate(harness.Pod(name, options...))
		if env := other.Spec.Containers[0].Env; len(env) == 0 && name != "other" {
			t.Errorf("%s: amp did not change it", name)
		}
		if !equality.Semantic.DeepEqual(one.Spec, other.Spec) {
			t.Errorf("%s: the policy makes\n%v\namp makes\n%v", name, one.Spec, other.Spec)
		}
	}
}

// python runs an endpoint and returns its URL.
func python(t *testing.T, file string) string {
	t.Helper()
	port := strconv.Itoa(harness.FreePort())
	cmd := exec.CommandContext(t.Context(), "python3", file)
	cmd.Env = append(os.Environ(), "PORT="+port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	harness.Eventually(t, "the endpoint listens", func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	return "http://127.0.0.1:" + port + "/"
}
