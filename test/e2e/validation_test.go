package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/test/e2e/harness"
)

// validating is what a namespace says whose Pods are also reviewed in the validate phase.
func validating(endpoint string) harness.On {
	return harness.On{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "true", "validation.amp.txn2.com/ep": endpoint}
}

func TestPodsAreValidated(t *testing.T) {
	w := world(t)
	image := func(ref string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Containers[0].Image = ref }
	}

	t.Run("by a sample, which refuses images from elsewhere and says what to do", func(t *testing.T) {
		ns := w.Namespace(t, validating(w.Samples+"/require"))
		ns.MustCreate(harness.Pod("good", image("quay.io/jupyter/base-notebook:latest")))
		c := ns.Create(harness.Pod("bad", image("registry.example/miner:1")))
		if c.Err == nil || !strings.Contains(c.Err.Error(), "registry.example/miner:1") || !strings.Contains(c.Err.Error(), "validate.fail.amp.txn2.com") {
			t.Errorf("the user read: %v", c.Err)
		}
		if ns.Stored("bad") != nil {
			t.Error("the Pod is stored")
		}
	})

	t.Run("after their mutation, with the name that they are stored under", func(t *testing.T) {
		mutate, validate := harness.Serve(t, harness.Labels("changed", "yes")), harness.Serve(t, harness.Answers(`{"allowed":true}`))
		on := validating(validate.URL)
		on["amp.txn2.com/ep"] = mutate.URL
		ns := w.Namespace(t, on)
		pod := ns.MustCreate(harness.Pod("worker-"))
		asked := validate.Asked()
		if len(asked) != 1 || !strings.Contains(asked[0].Pod, `"changed":"yes"`) {
			t.Fatalf("the validating endpoint was asked %+v", asked)
		}
		if got := asked[0].Header.Get("ce-subject"); got != ns.Name+"/"+pod.Name {
			t.Errorf("ce-subject is %q, the Pod is %s", got, pod.Name)
		}
		if got := asked[0].Header.Get("ce-operation"); got != "validate" {
			t.Errorf("ce-operation is %q", got)
		}
	})

	t.Run("only where the namespace's label says so", func(t *testing.T) {
		endpoint := harness.Serve(t, harness.Answers(`{"allowed":false}`))
		on := validating(endpoint.URL)
		delete(on, "amp.txn2.com/validate")
		w.Namespace(t, on).Create(harness.Pod("web"))
		if len(endpoint.Asked()) > 0 {
			t.Error("the endpoint was asked")
		}
	})

	t.Run("an answer that only a mutation may give is a failure, which the policy decides on", func(t *testing.T) {
		endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
		if c := w.Namespace(t, validating(endpoint.URL)).Create(harness.Pod("web")); c.Err == nil {
			t.Error("under Fail the Pod was created")
		}
		on := validating(endpoint.URL)
		on["amp.txn2.com/failure-policy"] = "Ignore"
		ns := w.Namespace(t, on)
		c := ns.MustCreate(harness.Pod("web", harness.Labelled("app", "web")))
		asGiven(t, ns, "web")
		if len(c.Warnings) == 0 {
			t.Error("under Ignore the user was not warned")
		}
	})
}

// JupyterHub's spawner waits three seconds for a Pod, and does not tell the API server so. A Pod that is stored later
// is unknown to it and gets deleted.
func TestCallerThatWaitsThreeSeconds(t *testing.T) {
	w := world(t)
	hanging := harness.Serve(t, harness.Hangs).URL
	on := validating(hanging)
	on["amp.txn2.com/ep"] = hanging

	t.Run("under Ignore: stored in time, though both endpoints hang", func(t *testing.T) {
		on["amp.txn2.com/failure-policy"] = "Ignore"
		onceInTime(t, func(pod string) error {
			ns := w.Namespace(t, on)
			c := ns.CreateWithin(3*time.Second, harness.Pod(pod, harness.Labelled("app", "jupyterhub")))
			if c.Err != nil {
				return fmt.Errorf("after %v: %w", c.Took, c.Err)
			}
			asGiven(t, ns, pod)
			if len(c.Warnings) != 2 {
				err := fmt.Errorf("stored after %v: one warning of each review was expected: %q", c.Took, c.Warnings)
				if len(c.Warnings) > 2 {
					t.Error(err) // that is not lateness
				}
				return err
			}
			t.Logf("stored after %v", c.Took)
			return nil
		})
	})

	t.Run("under Fail: refused in time, and the caller reads why", func(t *testing.T) {
		delete(on, "amp.txn2.com/failure-policy")
		onceInTime(t, func(pod string) error {
			c := w.Namespace(t, on).CreateWithin(3*time.Second, harness.Pod(pod))
			if c.Err == nil {
				t.Fatalf("stored after %v", c.Took) // that is not lateness
			}
			if !strings.Contains(c.Err.Error(), hanging) {
				return fmt.Errorf("after %v the caller read: %w", c.Took, c.Err)
			}
			return nil
		})
	})
}

// onceInTime lets a test that the clock decides try three Pods. On a busy machine a tenth of a second too much between amp and the
// API server is common. If amp itself took too long, all three would be late.
func onceInTime(t *testing.T, try func(pod string) error) {
	t.Helper()
	var late error
	for _, pod := range []string{"jupyter-alice", "jupyter-bob", "jupyter-carol"} {
		err := try(pod)
		if err == nil {
			return
		}
		late = errors.Join(late, err)
	}
	t.Error(late)
}
