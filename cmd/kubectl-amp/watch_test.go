package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// trigger calls f once, when the text has been written.
type trigger struct {
	mu   sync.Mutex
	text strings.Builder
	want string
	f    func()
	done bool
}

func (s *trigger) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	if !s.done && strings.Contains(s.text.String(), s.want) {
		s.done = true
		s.f()
	}
	return len(p), nil
}

// TestTryWatches: when the file changes, the question is asked again; it ends when it is interrupted.
func TestTryWatches(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	file := write(t, t.TempDir(), "pod.yaml", aPod)
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			at := time.Now().Add(time.Hour)
			if err := os.Chtimes(file, at, at); err != nil {
				t.Error(err)
			}
		}
		_, _ = io.WriteString(w, "[]")
	}))
	t.Cleanup(server.Close)
	var out bytes.Buffer
	errs := &trigger{want: "a file changed", f: stop}
	run(ctx, []string{"try", "-f", file, "--endpoint", server.URL, "--watch", "-o", "json", "--timeout", patience}, &out, errs)
	if asked.Load() == 0 || !errs.done {
		t.Errorf("asked %d times: %s", asked.Load(), errs.text.String())
	}
	for values := json.NewDecoder(&out); ; {
		var value any
		if err := values.Decode(&value); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("stdout holds more than JSON: %v", err)
		}
	}
}

// TestTryWatchesBases: a kustomization is made of files elsewhere, too.
func TestTryWatchesBases(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	dir := t.TempDir()
	for _, folder := range []string{"base", "overlays/prod"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "base/kustomization.yaml", "resources: [pod.yaml]")
	base := write(t, dir, "base/pod.yaml", aPod)
	write(t, dir, "overlays/prod/kustomization.yaml", "resources: [../../base]")
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			at := time.Now().Add(time.Hour)
			if err := os.Chtimes(base, at, at); err != nil {
				t.Error(err)
			}
		}
		_, _ = io.WriteString(w, "[]")
	}))
	t.Cleanup(server.Close)
	errs := &trigger{want: "a file changed", f: stop}
	run(ctx, []string{"try", "-k", filepath.Join(dir, "overlays/prod"), "--endpoint", server.URL, "--watch", "--timeout", patience}, io.Discard, errs)
	if asked.Load() == 0 || !errs.done {
		t.Errorf("asked %d times: %s", asked.Load(), errs.text.String())
	}
}

// TestTryReadsTheCluster: the Namespace's own endpoint and mode hold. But if that endpoint is on loopback, it is not called: it
// could be a program that only the user may reach. An endpoint that the user names is called.
func TestTryReadsTheCluster(t *testing.T) {
	var asked atomic.Int32
	deny := answers(200, "application/json", `{"allowed":false,"status":{"message":"no GPUs left"}}`)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		deny(w, r)
	}))
	t.Cleanup(endpoint.Close)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/api/v1/namespaces/team-a" {
			w.WriteHeader(404)
			_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"not found","code":404,"reason":"NotFound"}`)
			return
		}
		_, _ = io.WriteString(w, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"team-a","labels":{"amp.txn2.com/enabled":"true"},"annotations":{"amp.txn2.com/ep":"`+endpoint.URL+`/of-the-namespace","amp.txn2.com/mode":"shadow"}}}`)
	}))
	t.Cleanup(api.Close)
	dir := t.TempDir()
	config := write(t, dir, "config", "{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: '"+api.URL+"'}}], contexts: [{name: c, context: {cluster: c}}], current-context: c}")
	pod := write(t, dir, "pod.yaml", aPod)
	var out, errs bytes.Buffer
	try := []string{"try", "-f", pod, "--cluster", "--kubeconfig", config, "--timeout", patience}
	if code := run(t.Context(), try, &out, &errs); code != 1 || asked.Load() > 0 ||
		!strings.Contains(out.String(), endpoint.URL+"/of-the-namespace: amp may not call 127.0.0.1 (loopback)") || !strings.Contains(errs.String(), "name it: --endpoint URL") {
		t.Errorf("exit code %d, asked %d times\n%s%s", code, asked.Load(), out.String(), errs.String())
	}
	out.Reset()
	if code := run(t.Context(), append(try, "--endpoint", endpoint.URL), &out, &errs); code != 1 || asked.Load() != 1 || !strings.Contains(out.String(), "shadow mode, else: no GPUs left") {
		t.Errorf("exit code %d, asked %d times\n%s%s", code, asked.Load(), out.String(), errs.String())
	}
	other := write(t, dir, "other.yaml", strings.Replace(aPod, "team-a", "team-b", 1))
	if code := run(t.Context(), []string{"try", "-f", other, "--cluster", "--kubeconfig", filepath.Join(dir, "config")}, &out, &errs); code != 2 || !strings.Contains(errs.String(), "--cluster: reading namespace team-b") {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
}
