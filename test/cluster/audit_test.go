package cluster

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
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

// onThePage waits until a browser shows a Pod's name on the audit page. The browser calls the audit function through the API
// server, as get does.
func (c *cluster) onThePage(t *testing.T, pod string) {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		if os.Getenv("AMP_REQUIRE_BROWSER") != "" {
			t.Fatal(err)
		}
		t.Log("NOT CHECKED: the audit page. There is no chromium on PATH.")
		return
	}
	server := httptest.NewServer(&httputil.ReverseProxy{Transport: c.api.Transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: "localhost"}) // the only name that kubectl proxy takes
	}})
	defer server.Close()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("disable-quic", true))
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience) // a browser may hang
	defer cancel()
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	defer stop() // before the server closes: the page keeps a stream open
	ctx, done := chromedp.NewContext(ctx)
	defer done()
	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+audit+"/")); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		page, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
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
	node := c.node(t)
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
	c.untilSucceeded(t, "default", "folder")
}
