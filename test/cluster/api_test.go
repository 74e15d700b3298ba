package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
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

// get asks the API server. What a test asks again and again, and what only the test itself needs, goes this way: one kubectl runs
// for all. To start a kubectl takes a processor for a quarter of a second.
func (c *cluster) get(path string) ([]byte, error) {
	return c.send(http.MethodGet, path, "", "")
}

// send sends a request to the API server and returns the answer.
func (c *cluster) send(method, path, contentType, body string) ([]byte, error) {
	req, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body)) // the only name that kubectl proxy takes
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.api.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	return answer, err
}

// What a PATCH holds.
const (
	merge     = "application/merge-patch+json"
	strategic = "application/strategic-merge-patch+json"
	operation = "application/json-patch+json"
)

// patch changes an object.
func (c *cluster) patch(t *testing.T, path, kind, patch string) {
	t.Helper()
	if _, err := c.send(http.MethodPatch, path, kind, patch); err != nil {
		t.Fatal(err)
	}
}

// post creates an object.
func (c *cluster) post(t *testing.T, path, object string) {
	t.Helper()
	if _, err := c.send(http.MethodPost, path, "application/json", object); err != nil {
		t.Fatal(err)
	}
}

// remove deletes an object, or all of a collection, and does not wait until it is gone.
func (c *cluster) remove(t *testing.T, path string) {
	t.Helper()
	if _, err := c.send(http.MethodDelete, path, "", ""); err != nil {
		t.Fatal(err)
	}
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

// eventually asks until there is no error, for a minute: kube-proxy and the ingress learn only a moment after the Pods are ready.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	end := time.Now().Add(patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(pause)
	}
}

// patience is how long a test waits where it does not say otherwise.
const patience = 60 * time.Second

// pause is the time between two questions. Some take a kubectl of their own.
const pause = 250 * time.Millisecond
