package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestOnKnative tests amp and the functions as Knative Services, as in knative/. Knative Eventing is not installed:
// the test sets on amp what a SinkBinding would set.
func TestOnKnative(t *testing.T) {
	c := up(t, "knative")
	defer c.diagnose(t)
	// An idle function ends after seconds, and not after a minute and a half.
	c.patch(t, "/api/v1/namespaces/knative-serving/configmaps/config-autoscaler", merge, `{"data":{"stable-window":"6s","scale-to-zero-grace-period":"6s"}}`)
	c.image(t, "amp", root(t), "./cmd/amp")
	c.image(t, "endpoints", root(t), "./cmd/endpoints")
	c.image(t, "probe", ".", "./testdata/probe")
	readme := c.asWritten(t, "knative/README.md")

	t.Run("one command installs amp, and another the functions", func(t *testing.T) {
		start := time.Now()
		readme.do(t, "kubectl apply -k knative", "kubectl -n amp-system wait ksvc amp --for=condition=Ready --timeout=120s")
		t.Logf("amp is ready after %v", time.Since(start).Round(100*time.Millisecond))
		readme.do(t, "kubectl apply -k knative/functions", "kubectl -n amp-functions wait ksvc --all --for=condition=Ready --timeout=120s")
		c.apply(t, onKnative("first", "jupyterhub", "Fail", ""))
		eventually(t, func() error { _, _, err := c.create("first", "web", "--dry-run=server"); return err })
		if pod := readme.do(t, "kubectl -n amp-functions-example run jupyter-alice --image=docker.io/library/busybox:1.37 "+
			"--labels=component=singleuser-server --annotations=hub.jupyter.org/username=alice --dry-run=server -o yaml"); !strings.Contains(pod, "S3_PREFIX") {
			t.Errorf("the example is %s", pod)
		}
	})
	if t.Failed() {
		return
	}

	plugin(t)
	t.Run("the doctor knows it for a Knative Service, and finds nothing wrong, be an endpoint at zero", func(t *testing.T) {
		c.isAtZero(t, "jupyterhub")
		checks := c.expect(t, []finding{{"warning", "events-source", "", "AMP_EVENTS_SOURCE is still the default"}})
		if remedy := checks[0].Remedy; !strings.HasPrefix(remedy, "in your overlay of knative, which installed amp, set AMP_EVENTS_SOURCE=") {
			t.Errorf("the remedy is %q", remedy)
		}
		text, err := c.run("kubectl", "amp", "doctor")
		if err != nil {
			t.Error(err)
		}
		t.Logf("\n%s", text)
	})

	t.Run("amp answers a review through the ingress, reachable only in the cluster, unless the operator opens it", func(t *testing.T) {
		c.apply(t, onKnative("ingress", "jupyterhub", "Fail", ""))
		mutates := func(ingress, host string) func() error {
			return func() error { return c.mutatesAlices(t, ingress, host) }
		}
		eventually(t, mutates(c.ingress(t), "amp.amp-system.svc.cluster.local"))
		const public, outside = "traefik.traefik", "amp.amp-system.example.com"
		if err := mutates(public, outside)(); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("the outside is answered: %v", err)
		}
		c.kubectl(t, "label", "ksvc", "amp", "--namespace", "amp-system", "networking.knative.dev/visibility-")
		eventually(t, mutates(public, outside))
		c.kubectl(t, "label", "ksvc", "amp", "--namespace", "amp-system", "networking.knative.dev/visibility=cluster-local")
	})

	t.Run("the API server calls amp's Pods over TLS, and a user's Pod starts with what the endpoint added", func(t *testing.T) {
		c.post(t, "/api/v1/namespaces", `{"metadata": {"name": "team-a"}}`)
		readme.do(t, "kubectl annotate namespace team-a amp.txn2.com/ep=http://jupyterhub.amp-functions.svc.cluster.local",
			"kubectl label namespace team-a amp.txn2.com/failure-policy=Ignore", "kubectl label namespace team-a amp.txn2.com/enabled=true")
		// Under Fail, so that no Pod passes for another reason.
		c.kubectl(t, "label", "namespace", "team-a", "amp.txn2.com/failure-policy=Fail", "--overwrite")
		eventually(t, func() error { _, _, err := c.create("team-a", "jupyter-alice"); return err })
		c.isMutated(t, "team-a", "jupyter-alice")
	})

	t.Run("an endpoint at zero wakes for a Pod", func(t *testing.T) {
		c.apply(t, onKnative("cold", "jupyterhub", "Fail", ""))
		c.isAtZero(t, "jupyterhub")
		start := time.Now()
		_, _, err := c.create("cold", "jupyter-alice")
		took := time.Since(start).Round(10 * time.Millisecond)
		if err == nil {
			t.Logf("within the budget: the Pod was created after %v", took)
		} else {
			// If the machine is too slow for that, the policy decides.
			t.Logf("not within the budget, refused after %v: %v", took, err)
			if said := err.Error(); !strings.Contains(said, "no answer within") && !strings.Contains(said, "context deadline exceeded") {
				t.Fatal("another refusal than that of a late endpoint")
			}
			eventually(t, func() error { _, _, err := c.create("cold", "jupyter-alice"); return err })
		}
		c.isMutated(t, "cold", "jupyter-alice")
	})

	// A tenth of a second is always too short to start a Pod.
	t.Run("one that wakes too late: under Ignore the Pod is created as it is, with a warning, under Fail refused", func(t *testing.T) {
		c.apply(t, onKnative("late-ignore", "jupyterhub", "Ignore", "100ms")+"---\n"+onKnative("late-fail", "jupyterhub", "Fail", "100ms"))
		c.isAtZero(t, "jupyterhub")
		pod, warnings, err := c.create("late-ignore", "jupyter-alice")
		if err != nil || strings.Contains(pod, "S3_PREFIX") {
			t.Errorf("under Ignore: %v, mutated: %v", err, strings.Contains(pod, "S3_PREFIX"))
		}
		// Behind the endpoint the event does not always fit.
		if !late.MatchString(warnings) || !strings.Contains(warnings, " (endpoint http://jupyterh") {
			t.Errorf("the warning is %q", warnings)
		}
		// It has started nevertheless: a later request, for example of a controller that tries again, finds it
		// running.
		eventually(t, func() error {
			pod, _, err := c.create("late-ignore", "jupyter-alice-again", "--dry-run=server")
			if err == nil && !strings.Contains(pod, "S3_PREFIX") {
				err = errors.New("the endpoint is still late")
			}
			return err
		})

		c.isAtZero(t, "jupyterhub")
		_, _, err = c.create("late-fail", "jupyter-alice")
		if want := "amp: endpoint http://jupyterhub.amp-functions.svc.cluster.local: no answer within "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("under Fail: %v", err)
		}
		eventually(t, func() error { _, _, err := c.create("late-fail", "jupyter-alice"); return err })
		c.isMutated(t, "late-fail", "jupyter-alice")
	})

	t.Run("a new revision, such as a SinkBinding makes, fails no create", func(t *testing.T) {
		c.applyOverlay(t, "resources: [REPO/deploy/samples]\nimages:\n- {name: ghcr.io/txn2/amp-endpoints, newName: dev.local/endpoints, newTag: e2e}\n")
		c.rolledOut(t, "amp-samples", "endpoints")
		s := c.startStream(t) // with an endpoint outside of Knative: this tests only amp
		s.beyond(t, 40)
		start, old := time.Now(), c.pods(t, "amp-system", "serving.knative.dev/service=amp")
		c.patch(t, "/apis/serving.knative.dev/v1/namespaces/amp-system/services/amp", operation,
			`[{"op":"add","path":"/spec/template/spec/containers/0/env/-","value":{"name":"K_SINK","value":"http://audit.amp-functions.svc.cluster.local"}},
			  {"op":"add","path":"/spec/template/spec/containers/0/env/-","value":{"name":"K_CE_OVERRIDES","value":"{\"extensions\":{\"cluster\":\"blue\"}}"}}]`)
		c.kubectl(t, "wait", "ksvc", "amp", "--namespace", "amp-system", "--for=jsonpath={.status.latestReadyRevisionName}=amp-00002", "--timeout=90s")
		t.Logf("the new revision is ready after %v", time.Since(start).Round(100*time.Millisecond))
		for end := time.Now().Add(3 * time.Minute); ; {
			s.beyond(t, 5)
			if pods := c.pods(t, "amp-system", "serving.knative.dev/service=amp"); len(pods) == 2 && !strings.Contains(strings.Join(pods, " "), old[0]) {
				break
			} else if time.Now().After(end) {
				t.Fatalf("the old revision's Pods are still there: %q", pods)
			}
		}
		t.Logf("the old one's Pods are gone after %v", time.Since(start).Round(100*time.Millisecond))
		s.beyond(t, 20)
		r := s.ask(t, "stop")
		t.Logf("%d Pods were created", r.Done)
		for _, f := range r.Failed {
			t.Error(f)
		}
	})

	t.Run("the audit function receives the events", func(t *testing.T) {
		c.apply(t, onKnative("audited", "jupyterhub", "Fail", ""))
		eventually(t, func() error { _, _, err := c.create("audited", "jupyter-alice"); return err })
		id := c.stamp(t, "audited", "jupyter-alice")
		eventually(t, func() error {
			event, err := c.ask(t, c.ingress(t), "audit.amp-functions.svc.cluster.local", "/api/events/"+id, "")
			if err == nil && !(strings.Contains(event, `"com.txn2.amp.pod.mutated.v1"`) && strings.Contains(event, `"cluster":"blue"`)) {
				err = fmt.Errorf("the event is %s", event)
			}
			return err
		})
	})

	t.Run("with PostgreSQL it scales to zero, an event wakes it, and it has lost nothing", func(t *testing.T) { c.wakesForEvents(t, readme) })

	t.Run("two Pods serve, though Knative does not see the calls", func(t *testing.T) {
		if n := len(c.pods(t, "amp-system", "serving.knative.dev/service=amp")); n != 2 {
			t.Errorf("there are %d", n)
		}
		if expected, allowed := c.budget(t, "amp-system", "amp"); expected != 2 || allowed != 1 {
			t.Errorf("the PodDisruptionBudget expects %d Pods, and allows %d disruptions", expected, allowed)
		}
	})

	t.Run("what is to be scraped is taken by prometheus-operator's API", func(t *testing.T) {
		c.prometheusOperator(t)
		readme.do(t, "kubectl apply -k knative/alerts")
	})

	t.Run("once uninstalled, amp is gone and does not block Pods", func(t *testing.T) {
		readme.do(t, "kubectl delete --ignore-not-found mutatingwebhookconfigurations,validatingwebhookconfigurations amp")
		readme.doTogether(t, "kubectl delete --ignore-not-found -k knative", "kubectl delete --ignore-not-found -k knative/functions")
		if pod, _, err := c.create("team-a", "jupyter-alice-again"); err != nil || strings.Contains(pod, "S3_PREFIX") {
			t.Errorf("%v, mutated: %v", err, strings.Contains(pod, "S3_PREFIX"))
		}
		const kinds = "namespaces,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations"
		if left := c.kubectl(t, "get", kinds, "--selector", "app.kubernetes.io/name=amp", "-o", "name"); left != "" {
			t.Errorf("left behind: %s", left)
		}
	})

	// Eventing is not installed here, and a port-forward does not end by itself.
	if left := readme.left("kubectl apply -k knative/eventing", "kubectl -n amp-functions port-forward "+
		"$(kubectl -n amp-functions get pods -l serving.knative.dev/service=audit -o name) 8081:8080"); len(left) > 0 {
		t.Errorf("knative/README.md has commands that no test ran: %q", left)
	}
}

// onKnative returns the manifest of a namespace whose endpoint is a Knative Service.
func onKnative(name, function, policy, timeout string) string {
	if timeout != "" {
		timeout = "\n    amp.txn2.com/timeout: " + timeout
	}
	return `apiVersion: v1
kind: Namespace
metadata:
  name: ` + name + `
  labels:
    amp.txn2.com/enabled: "true"
    amp.txn2.com/failure-policy: ` + policy + `
  annotations:
    amp.txn2.com/ep: http://` + function + `.amp-functions.svc.cluster.local` + timeout + "\n"
}

// late is the warning of a review that failed open. It names the time that was left when the call began.
var late = regexp.MustCompile(`Warning: amp: not mutated: no answer within [0-9]+ms`)

// isAtZero waits until no Pod of a function runs, and until Knative's activator, which would send it a request, knows of none.
func (c *cluster) isAtZero(t *testing.T, function string) {
	t.Helper()
	start := time.Now()
	eventually(t, func() error {
		var revisions struct {
			Items []struct{ Spec struct{ Replicas int } }
		}
		err := c.read("/apis/apps/v1/namespaces/amp-functions/deployments?labelSelector=serving.knative.dev/service="+function, &revisions)
		if err != nil {
			t.Fatal(err)
		}
		if len(revisions.Items) == 0 {
			return fmt.Errorf("%s has no Deployment", function)
		}
		for _, revision := range revisions.Items {
			if n := revision.Spec.Replicas; n > 0 {
				return fmt.Errorf("%s is at %d", function, n)
			}
		}
		var known struct {
			Items []struct {
				Subsets []struct{ Addresses []struct{ IP string } }
			}
		}
		err = c.read("/api/v1/namespaces/amp-functions/endpoints?labelSelector=networking.internal.knative.dev/serviceType=Private,serving.knative.dev/service="+function, &known)
		if err != nil {
			t.Fatal(err)
		}
		if len(known.Items) == 0 {
			return fmt.Errorf("%s has no Endpoints", function)
		}
		for _, of := range known.Items {
			for _, subset := range of.Subsets {
				if len(subset.Addresses) > 0 {
					return fmt.Errorf("%s is still known at %v", function, subset.Addresses)
				}
			}
		}
		return nil
	})
	t.Logf("%s is at zero after %v", function, time.Since(start).Round(100*time.Millisecond))
}

// create creates a user's Pod and returns what was stored and the API server's warnings.
func (c *cluster) create(namespace, name string, more ...string) (pod, warnings string, err error) {
	args := []string{"kubectl", "run", name, "--namespace", namespace, "--image", "dev.local/probe:e2e", "--restart", "Never",
		"--annotations", "hub.jupyter.org/username=alice", "-o", "json"}
	cmd := exec.Command(c.adapter, append(append(args, more...), "show")...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err = cmd.Run(); err != nil {
		err = fmt.Errorf("creating %s: %w: %s", name, err, &said)
	}
	return out.String(), said.String(), err
}

// isMutated waits until alice's Pod has run and checks what its process saw.
func (c *cluster) isMutated(t *testing.T, namespace, pod string) {
	t.Helper()
	c.untilSucceeded(t, namespace, pod)
	isAlices(t, c.seen(t, namespace, pod))
}

// ingress is the Service, as name.namespace, through which Knative Services are reached from within the cluster.
// Knative names it in the Service of type ExternalName that it creates for each.
func (c *cluster) ingress(t *testing.T) string {
	t.Helper()
	var is struct{ Spec struct{ ExternalName string } }
	if err := c.read("/api/v1/namespaces/amp-system/services/amp", &is); err != nil {
		t.Fatal(err)
	}
	service, _, found := strings.Cut(is.Spec.ExternalName, ".svc.")
	if !found {
		t.Fatalf("Knative leads amp to %q", is.Spec.ExternalName)
	}
	return service
}

// ask sends a request to an ingress for a host's name. With a body it is a POST.
func (c *cluster) ask(t *testing.T, ingress, host, path, body string) (string, error) {
	t.Helper()
	name, namespace, _ := strings.Cut(ingress, ".")
	args := []string{"in", "curl", "--silent", "--show-error", "--fail", "--max-time", "10", "--header", "Host: " + host, "http://" + c.address(t, namespace, name) + path}
	if body != "" {
		args = append(args, "--header", "Content-Type: application/json", "--data-binary", "@-")
	}
	return c.runWith(body, args...)
}

// mutatesAlices posts a review of alice's Pod to amp through an ingress and returns what is wrong with the answer.
func (c *cluster) mutatesAlices(t *testing.T, ingress, host string) error {
	t.Helper()
	answer, err := c.ask(t, ingress, host, "/mutate/fail", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{
		"uid":"1","kind":{"version":"v1","kind":"Pod"},"resource":{"version":"v1","resource":"pods"},"operation":"CREATE",
		"namespace":"ingress","name":"jupyter-alice","userInfo":{"username":"admin"},"object":{"apiVersion":"v1","kind":"Pod",
		"metadata":{"namespace":"ingress","name":"jupyter-alice","annotations":{"hub.jupyter.org/username":"alice"}},
		"spec":{"containers":[{"name":"notebook","image":"dev.local/probe:e2e"}]}}}}`)
	if err != nil {
		return err
	}
	var review struct {
		Response struct {
			Allowed bool
			Patch   []byte
		}
	}
	if err := json.Unmarshal([]byte(answer), &review); err != nil {
		return fmt.Errorf("%w: %s", err, answer)
	}
	if !review.Response.Allowed || !bytes.Contains(review.Response.Patch, []byte("home/alice")) {
		return fmt.Errorf("the answer is %s", answer)
	}
	return nil
}
