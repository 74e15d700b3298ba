package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// audit calls the audit function, through the API server.
const audit = "/api/v1/namespaces/amp-audit/services/audit:80/proxy"

// audited reports whether the audit function has the event of a Pod's mutation.
func (c *cluster) audited(namespace, pod, id string) error {
	var list struct{ Items []struct{ ID string } }
	err := c.read(audit+"/api/events?outcome=mutated&namespace="+namespace+"&pod="+pod, &list)
	if err == nil && (len(list.Items) != 1 || list.Items[0].ID != id) {
		err = fmt.Errorf("the audit function does not have %q, but %+v", id, list)
	}
	return err
}

// onThePage waits until a browser shows a Pod's name on the audit page.
func (c *cluster) onThePage(t *testing.T, pod string) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("AMP_REQUIRE_BROWSER") != "" {
			t.Fatal(err)
		}
		t.Log("NOT CHECKED: the audit page. There is no chromium on PATH.")
		return
	}
	address := c.kubectl(t, "get", "--namespace", "amp-audit", "service/audit", "-o", "jsonpath={.spec.clusterIP}")
	// The page keeps a stream open, so it never finishes loading. After the timeout, its state at that time is printed. On a
	// busy machine it may need longer.
	timeout := time.Second
	eventually(t, func() error {
		timeout *= 2
		page, err := c.run("in", browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
			"--user-data-dir="+t.TempDir(), fmt.Sprintf("--timeout=%d", timeout.Milliseconds()), "--dump-dom", "http://"+address+"/")
		if err == nil && !strings.Contains(page, pod) {
			err = fmt.Errorf("the page does not show %s: %s", pod, page)
		}
		return err
	})
}

// volume is a volume for the audit function, of a kind whose group the kubelet sets as the Pod asks. A Pod creates
// its folder.
func (c *cluster) volume(t *testing.T) {
	t.Helper()
	const path = "/var/lib/kubelet/amp-audit"
	node := c.kubectl(t, "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
	c.apply(t, `apiVersion: v1
kind: PersistentVolume
metadata: {name: audit}
spec:
  capacity: {storage: 5Gi}
  accessModes: [ReadWriteOnce]
  local: {path: `+path+`}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [`+node+`]}]}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: folder, namespace: default}
spec:
  restartPolicy: Never
  nodeName: `+node+`
  containers: [{name: probe, image: "dev.local/probe:e2e", args: [show], volumeMounts: [{name: v, mountPath: /v}]}]
  volumes: [{name: v, hostPath: {path: `+path+`, type: DirectoryOrCreate}}]
`)
	c.kubectl(t, "wait", "pod/folder", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
}
