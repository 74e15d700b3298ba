// Package cluster shows amp in a real cluster, where Pods run: installed from deploy/, called through its
// Service, calling endpoints that are Pods, by the address rule that it has by default.
package cluster

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestInARealCluster(t *testing.T) {
	c := up(t)
	defer c.diagnose(t)
	c.image(t, "amp", root(t), "./cmd/amp")
	c.image(t, "endpoints", root(t), "./cmd/endpoints")
	c.image(t, "probe", ".", "./testdata/probe")
	deployed := c.install(t)

	t.Run("a JupyterHub user's Pod starts, and its process sees what the endpoint added", func(t *testing.T) {
		c.apply(t, namespace("jhub")+`---
apiVersion: v1
kind: Pod
metadata:
  name: jupyter-alice
  namespace: jhub
  labels: {app: jupyterhub, component: singleuser-server}
  annotations: {hub.jupyter.org/username: alice}
spec:
  restartPolicy: Never
  containers: [{name: notebook, image: "dev.local/probe:e2e", args: [show]}]
---
apiVersion: v1
kind: Pod
metadata:
  name: hub
  namespace: jhub
  labels: {app: jupyterhub, component: hub}
spec:
  restartPolicy: Never
  containers: [{name: hub, image: "dev.local/probe:e2e", args: [show]}]
`)
		for _, pod := range []string{"jupyter-alice", "hub"} {
			c.kubectl(t, "wait", "--namespace", "jhub", "pod/"+pod, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
		}
		isAlices(t, c.seen(t, "jhub", "jupyter-alice"))
		if hub := c.seen(t, "jhub", "hub"); hub.Env["WORKSPACE"] != "" || len(hub.Mounts) > 0 {
			t.Errorf("the hub, which the selector leaves out, was changed: it sees %+v", hub)
		}
	})

	t.Run("a Deployment's Pods do too", func(t *testing.T) {
		c.apply(t, namespace("jhub-deployment")+`---
apiVersion: apps/v1
kind: Deployment
metadata: {name: notebooks, namespace: jhub-deployment}
spec:
  replicas: 2
  selector: {matchLabels: {component: singleuser-server}}
  template:
    metadata:
      labels: {component: singleuser-server}
      annotations: {hub.jupyter.org/username: alice}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: notebook, image: "dev.local/probe:e2e", args: [serve]}]
`)
		c.kubectl(t, "rollout", "status", "--namespace", "jhub-deployment", "deployment/notebooks", "--timeout=60s")
		pods := c.pods(t, "jhub-deployment", "component=singleuser-server")
		if len(pods) != 2 {
			t.Fatalf("the Deployment of 2 has the Pods %q: does its ReplicaSet know its own?", pods)
		}
		for _, pod := range pods {
			isAlices(t, c.seen(t, "jhub-deployment", pod))
		}
	})

	t.Run("a Pod in the samples' own namespace comes out changed", func(t *testing.T) {
		// A dry run: the image of the sample's init containers cannot be had here.
		out := c.kubectl(t, "run", "web", "--namespace", "amp-example", "--image", "dev.local/probe:e2e", "--dry-run=server",
			"--annotations", "amp.txn2.com/example=mutate", "-o", "jsonpath={.spec.initContainers[*].name}")
		if !strings.Contains(out, "amp-example") {
			t.Errorf("its init containers are %q", out)
		}
	})

	t.Run("no create fails while amp's Pods are deleted one by one, nor in a rollout", func(t *testing.T) {
		s := c.startStream(t)
		s.beyond(t, 40)
		for _, pod := range c.pods(t, "amp-system", "app.kubernetes.io/name=amp") {
			c.kubectl(t, "delete", "pod", "--namespace", "amp-system", pod, "--timeout=60s")
			c.ampIsUp(t)
			s.beyond(t, 40)
		}
		c.kubectl(t, "rollout", "restart", "--namespace", "amp-system", "deployment/amp")
		c.ampIsUp(t)
		for len(c.pods(t, "amp-system", "app.kubernetes.io/name=amp")) > 2 {
			s.beyond(t, 5) // until the old ones have drained
		}
		r := s.ask(t, "stop")
		t.Logf("%d Pods were created", r.Done)
		for _, f := range r.Failed {
			t.Error(f)
		}
	})

	t.Run("once uninstalled, amp is gone and blocks nobody", func(t *testing.T) {
		c.kubectl(t, "delete", "mutatingwebhookconfigurations,validatingwebhookconfigurations", "amp")
		c.kubectl(t, "delete", "--ignore-not-found", "-k", deployed, "--timeout=90s")
		c.kubectl(t, "run", "web", "--namespace", "first", "--image", "dev.local/probe:e2e", "--labels", "component=singleuser-server")
		const kinds = "namespaces,clusterroles,clusterrolebindings,priorityclasses,mutatingwebhookconfigurations,validatingwebhookconfigurations"
		if left := c.kubectl(t, "get", kinds, "--selector", "app.kubernetes.io/name=amp", "-o", "name"); left != "" {
			t.Errorf("left behind: %s", left)
		}
	})
}

// install installs amp as deploy/ has it, but for the certificate: cert-manager is not here, so the Secret
// that it would have made is the test's, and so is the CA in the webhooks. It returns the overlay's folder.
func (c *cluster) install(t *testing.T) (deployed string) {
	t.Helper()
	ca, secret := certificates(t)
	deployed = c.applyOverlay(t, `resources: [REPO/deploy]
images:
- {name: ghcr.io/txn2/amp, newName: dev.local/amp, newTag: e2e}
patches:
- target: {kind: Issuer}
  patch: "{$patch: delete, kind: Issuer, metadata: {name: all}}"
- target: {kind: Certificate}
  patch: "{$patch: delete, kind: Certificate, metadata: {name: all}}"
- target: {group: admissionregistration.k8s.io}
  patch: |
    - {op: add, path: /webhooks/0/clientConfig/caBundle, value: `+ca+`}
    - {op: add, path: /webhooks/1/clientConfig/caBundle, value: `+ca+`}
`)
	c.apply(t, secret)
	c.applyOverlay(t, `resources: [REPO/deploy/samples]
images:
- {name: ghcr.io/txn2/amp-endpoints, newName: dev.local/endpoints, newTag: e2e}
`)
	c.ampIsUp(t)
	c.kubectl(t, "rollout", "status", "--namespace", "amp-samples", "deployment/endpoints", "--timeout=90s")

	// That Pods are ready, kube-proxy hears a moment later, and until then it refuses connections to their
	// Service. A namespace that opts in within that moment would see amp as down.
	c.apply(t, namespace("first"))
	patience := time.Now().Add(30 * time.Second)
	for {
		_, err := c.run("kubectl", "run", "jupyter-alice", "--namespace", "first", "--image", "dev.local/probe:e2e", "--dry-run=server",
			"--labels", "component=singleuser-server", "--annotations", "hub.jupyter.org/username=alice")
		if err == nil {
			return deployed
		}
		if time.Now().After(patience) {
			t.Fatalf("amp cannot be reached through its Service: %v", err)
		}
	}
}

func (c *cluster) ampIsUp(t *testing.T) {
	t.Helper()
	c.kubectl(t, "rollout", "status", "--namespace", "amp-system", "deployment/amp", "--timeout=90s")
}

// namespace is one whose users' Pods the sample for JupyterHub mutates.
func namespace(name string) string {
	return `apiVersion: v1
kind: Namespace
metadata:
  name: ` + name + `
  labels:
    amp.txn2.com/enabled: "true"
  annotations:
    amp.txn2.com/ep: http://endpoints.amp-samples.svc/jupyterhub
    amp.txn2.com/pods: component=singleuser-server
`
}

func (c *cluster) pods(t *testing.T, namespace, selector string) []string {
	t.Helper()
	return strings.Fields(c.kubectl(t, "get", "pods", "--namespace", namespace, "--selector", selector, "-o", "jsonpath={.items[*].metadata.name}"))
}

// seen is what a Pod's process says that it sees.
type seen struct {
	Env    map[string]string
	Mounts map[string]bool // by path, whether it can write there
}

func (c *cluster) seen(t *testing.T, namespace, pod string) (s seen) {
	t.Helper()
	log := c.kubectl(t, "logs", "--namespace", namespace, pod)
	if err := json.Unmarshal([]byte(log), &s); err != nil {
		t.Fatalf("%s logged %q: %v", pod, log, err)
	}
	return s
}

// isAlices checks that a process sees what the sample's profiles hold for alice.
func isAlices(t *testing.T, s seen) {
	t.Helper()
	for name, want := range map[string]string{
		"WORKSPACE": "/home/jovyan/workspace", // of everybody
		"CATALOGUE": "/data/astronomy",        // of her group
		"S3_PREFIX": "home/alice",             // her own
	} {
		if s.Env[name] != want {
			t.Errorf("the environment has %s=%q, not %q", name, s.Env[name], want)
		}
	}
	for path, writable := range map[string]bool{"/home/jovyan/workspace": true, "/data/astronomy": false} {
		if is, mounted := s.Mounts[path]; !mounted || is != writable {
			t.Errorf("%s is mounted: %v, writable: %v; expected true, %v", path, mounted, is, writable)
		}
	}
}

// stream is a Pod that creates Pods.
type stream struct{ c *cluster }

func (c *cluster) startStream(t *testing.T) stream {
	t.Helper()
	c.apply(t, strings.ReplaceAll(namespace("stream"), "    amp.txn2.com/pods: component=singleuser-server\n", "")+`---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: creator, namespace: stream}
rules: [{apiGroups: [""], resources: [pods], verbs: [create]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: creator, namespace: stream}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: creator}
subjects: [{kind: ServiceAccount, name: creator, namespace: creators}]
---
apiVersion: v1
kind: Namespace
metadata: {name: creators}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: creator, namespace: creators}
---
apiVersion: v1
kind: Pod
metadata: {name: creator, namespace: creators}
spec:
  serviceAccountName: creator
  containers:
  - name: probe
    image: dev.local/probe:e2e
    args: [stream]
    env: [{name: STREAM, value: stream}]
    readinessProbe: {httpGet: {path: /report, port: 8080}, periodSeconds: 1}
`)
	c.kubectl(t, "wait", "--namespace", "creators", "pod/creator", "--for=condition=Ready", "--timeout=60s")
	return stream{c}
}

type report struct {
	Done   int
	Failed []string
}

// ask asks the Pod for its report, or to stop and then report.
func (s stream) ask(t *testing.T, what string) (r report) {
	t.Helper()
	out := s.c.kubectl(t, "get", "--raw", "/api/v1/namespaces/creators/pods/creator:8080/proxy/"+what)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("the stream reports %q: %v", out, err)
	}
	return r
}

// beyond waits until another n Pods have been created, or not.
func (s stream) beyond(t *testing.T, n int) {
	t.Helper()
	goal, patience := s.ask(t, "report").Done+n, time.Now().Add(60*time.Second)
	for {
		is := s.ask(t, "report").Done // each question takes a tenth of a second, which is pause enough
		if is >= goal {
			return
		}
		if time.Now().After(patience) {
			t.Fatalf("the stream stands at %d of %d", is, goal)
		}
	}
}
