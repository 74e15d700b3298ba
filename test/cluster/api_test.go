package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// connect starts the kubectl that get asks. It ends before the cluster does.
func (c *cluster) connect(t *testing.T) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "api")
	proxy := exec.Command(c.adapter, "kubectl", "proxy", "--unix-socket", socket)
	proxy.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the adapter may be a script, whose children end with it
	var said bytes.Buffer
	proxy.Stdout, proxy.Stderr = &said, &said
	if err := proxy.Start(); err != nil {
		t.Fatalf("starting kubectl proxy: %v", err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-proxy.Process.Pid, syscall.SIGKILL)
		_ = proxy.Wait() // it was killed
		if t.Failed() {
			t.Logf("kubectl proxy said: %s", said.String())
		}
	})
	c.api = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	eventually(t, func() error { _, err := c.get("/readyz"); return err })
}

// get asks the API server. What a test asks again and again goes this way: one kubectl runs for all. To start a kubectl takes a
// processor for a quarter of a second.
func (c *cluster) get(path string) ([]byte, error) {
	resp, err := c.api.Get("http://localhost" + path) // the only name that kubectl proxy takes
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", path, resp.Status, body)
	}
	return body, err
}

// read is get into a variable.
func (c *cluster) read(path string, into any) error {
	body, err := c.get(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("GET %s: %w: %s", path, err, body)
	}
	return nil
}

// pods are the names of the Pods, with those that are ending.
func (c *cluster) pods(t *testing.T, namespace, selector string) (names []string) {
	t.Helper()
	var list struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	if err := c.read("/api/v1/namespaces/"+namespace+"/pods?labelSelector="+url.QueryEscape(selector), &list); err != nil {
		t.Fatal(err)
	}
	for _, pod := range list.Items {
		names = append(names, pod.Metadata.Name)
	}
	return names
}
