package cluster

import (
	"regexp"
	"strings"
	"testing"
)

// jupyterHub runs the commands of docs/jupyterhub.md for a hub that is only a service account with a hub's rights, and
// creates Pods with it as KubeSpawner does.
func (c *cluster) jupyterHub(t *testing.T, readme *written) {
	c.apply(t, `apiVersion: v1
kind: Namespace
metadata: {name: jhub}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: hub, namespace: jhub}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: hub, namespace: jhub}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, watch, list, create, delete]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: hub, namespace: jhub}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: hub}
subjects: [{kind: ServiceAccount, name: hub, namespace: jhub}]
`)
	c.workspaces(t, "jhub")
	profiles := regexp.MustCompile(`(?s)cat > profiles\.yaml <<'EOF'\n(.*?\n)EOF\n`).FindStringSubmatch(readme.text)
	if profiles == nil {
		t.Fatal("docs/jupyterhub.md writes no profiles.yaml")
	}
	readme.write(t, "profiles.yaml", profiles[1])
	readme.do(t, "kubectl -n amp-samples create configmap profiles --from-file=profiles.yaml --dry-run=client -o yaml | kubectl apply -f -",
		"kubectl -n amp-samples patch deployment endpoints --patch-file deploy/samples/jupyterhub-profiles.yaml")
	// A user who installs a newer version does not repeat the patch.
	readme.do(t, "kubectl apply -k deploy/samples", "kubectl -n amp-samples rollout status deployment/endpoints")
	// Until then amp may reach an old Pod, over a connection that is still open.
	c.untilAtMost(t, 2, "amp-samples", "app.kubernetes.io/name=endpoints")
	if log := readme.do(t, `kubectl -n amp-samples logs -l app.kubernetes.io/name=endpoints --prefix --tail=-1 | grep '"msg":"profiles'`); !strings.Contains(log, `"file":"/etc/jupyterhub/profiles.yaml"`) {
		t.Errorf("the endpoint's log is %q", log)
	}
	readme.do(t, "kubectl annotate namespace jhub amp.txn2.com/ep=http://endpoints.amp-samples.svc/jupyterhub",
		"kubectl annotate namespace jhub amp.txn2.com/pods=component=singleuser-server",
		"kubectl annotate namespace jhub amp.txn2.com/creators=system:serviceaccount:jhub:hub",
		"kubectl label namespace jhub amp.txn2.com/failure-policy=Fail",
		"kubectl label namespace jhub amp.txn2.com/enabled=true")

	ask := "kubectl -n jhub run jupyter-alice --image=quay.io/jupyter/base-notebook --labels=component=singleuser-server --annotations=hub.jupyter.org/username=alice " +
		"--annotations=amp.txn2.com/explain=true --as=system:serviceaccount:jhub:hub --dry-run=server -o yaml"
	dryRun := readme.do(t, ask)
	for _, part := range []string{"Warning: amp: dry run, mutate: mutated", "name: WORKSPACE", "claimName: workspaces", "subPath: users/alice"} {
		if !strings.Contains(dryRun, part) {
			t.Errorf("the dry run does not have %q:\n%s", part, dryRun)
		}
	}
	// What the page says that a user reads. There it stands in JSON.
	refused, err := readme.run(strings.ReplaceAll(ask, "alice", "mallory"))
	_, message, found := strings.Cut(refused, "Error from server (Forbidden): ")
	message = strings.ReplaceAll(strings.TrimSpace(message), `"`, `\"`)
	if err == nil || !found || !strings.Contains(readme.text, `"message":"`+message+`"`) {
		t.Errorf("mallory's Pod: %v, %q. The page does not show that", err, refused)
	}
	if said, err := readme.run(strings.Replace(ask, "--as=system:serviceaccount:jhub:hub ", "", 1)); err == nil || !strings.Contains(said, "may not create the Pods that amp forwards here") {
		t.Errorf("a user's Pod of another creator: %v\n%s", err, said)
	}

	c.asHub(t, "jupyter-alice", "alice")
	c.asHub(t, "hub", "")
	for _, pod := range []string{"jupyter-alice", "hub"} {
		c.untilSucceeded(t, "jhub", pod)
	}
	isAlices(t, c.seen(t, "jhub", "jupyter-alice"))
	if hub := c.seen(t, "jhub", "hub"); hub.Env["WORKSPACE"] != "" || len(hub.Mounts) > 0 {
		t.Errorf("the hub, which the selector leaves out, was changed: it sees %+v", hub)
	}
	events := readme.do(t, `kubectl -n amp-system logs -l app.kubernetes.io/name=amp --prefix --tail=-1 | grep '"namespace":"jhub"'`)
	for _, part := range []string{`"outcome":"mutated"`, `"outcome":"denied"`, "system:serviceaccount:jhub:hub"} {
		if !strings.Contains(events, part) {
			t.Errorf("the log of amp has no %s:\n%s", part, events)
		}
	}
}

// asHub creates a Pod as the hub does: a user's, or without a user one of the hub itself.
func (c *cluster) asHub(t *testing.T, name, user string) {
	t.Helper()
	component, annotations := "hub", "{}"
	if user != "" {
		component, annotations = "singleuser-server", "{hub.jupyter.org/username: "+user+"}"
	}
	if _, err := c.runWith(`apiVersion: v1
kind: Pod
metadata:
  name: `+name+`
  namespace: jhub
  labels: {app: jupyterhub, component: `+component+`}
  annotations: `+annotations+`
spec:
  restartPolicy: Never
  securityContext: {fsGroup: 100} # as z2jh sets it: it makes the volume writable for the user
  containers: [{name: notebook, image: "dev.local/probe:e2e", args: [show], securityContext: {runAsUser: 1000}}]
`, "kubectl", "create", "--as=system:serviceaccount:jhub:hub", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// workspaces makes the claim that the page's profiles name, and a volume for it that has a folder of the node.
func (c *cluster) workspaces(t *testing.T, namespace string) {
	t.Helper()
	path := "/var/lib/kubelet/workspaces-" + namespace
	node := c.node(t)
	c.apply(t, `apiVersion: v1
kind: Pod
metadata: {name: folder-`+namespace+`, namespace: default}
spec:
  restartPolicy: Never
  nodeName: `+node+`
  containers: [{name: probe, image: "dev.local/probe:e2e", args: [show], volumeMounts: [{name: v, mountPath: /v}]}]
  volumes: [{name: v, hostPath: {path: `+path+`, type: DirectoryOrCreate}}]
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: workspaces-`+namespace+`}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteMany]
  local: {path: `+path+`}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [`+node+`]}]}]}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: workspaces, namespace: `+namespace+`}
spec:
  accessModes: [ReadWriteMany]
  resources: {requests: {storage: 1Gi}}
  storageClassName: ""
  volumeName: workspaces-`+namespace+`
`)
	c.untilSucceeded(t, "default", "folder-"+namespace)
}
