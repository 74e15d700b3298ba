package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/txn2/amp/test/freeport"
)

// screen collects what the demo prints, and closes full once all of it is there.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
	full chan struct{}
	once sync.Once
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.text.Write(p)
	s.once.Do(func() { close(s.full) }) // the demo prints it with one Write
	return n, err
}

// start runs the demo until the test ends and returns its first screen.
func start(t *testing.T, endpoint string) string {
	t.Helper()
	return startWith(t, endpoint, "")
}

// startWith is start with a file for --pod.
func startWith(t *testing.T, endpoint, pod string) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	out := &screen{full: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, out, "127.0.0.1:0", endpoint, pod) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-out.full:
	case err := <-ended:
		ended <- err
		t.Fatalf("the demo ended: %v", err)
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	return out.text.String()
}

func wantAll(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("it does not say %q:\n%s", part, text)
		}
	}
}

func TestScreen(t *testing.T) {
	text := start(t, "")
	wantAll(t, text,
		"+    - name: WORKSPACE\n", "+      subPath: users/alice\n", "+  volumes:\n",
		"who       system:serviceaccount:jhub:hub, in namespace jhub\n", "/jupyterhub\n", "operations\n",
		"the user sees: amp: endpoint http://127.0.0.1:", "connection refused",
		"the user sees: Warning: amp: not mutated: connection refused", " (endpoint http://127.0.0.1:",
		`the user sees: container "notebook" uses image "quay.io/jupyter/base-notebook:latest"`)
	// The audit page counts the same.
	address := regexp.MustCompile(`(http://\S+/audit/)\?event=(\S+)`).FindStringSubmatch(text)
	awaitEvent(t, address)
	if ops := regexp.MustCompile(`patch     (\d+) operations`).FindStringSubmatch(text); ops == nil || !strings.Contains(body(t, address[1]+"api/events/"+address[2]), `"ops":`+ops[1]+`,`) {
		t.Errorf("the page counts other operations than %s", ops)
	}
	if strings.Contains(text, "\x1b") {
		t.Error("it is coloured, although this is not a terminal")
	}

	// The curls it prints, as a newcomer would paste them.
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("skipped from here on: curl is not installed, so the printed commands cannot be run")
	}
	want := []string{`"patchType":"JSONPatch"`, `"allowed":false`, `"warnings":["amp: not mutated`, `"allowed":false`}
	curls := regexp.MustCompile(`(?m)^  (curl .*)$`).FindAllStringSubmatch(text, -1)
	if len(curls) != len(want) {
		t.Fatalf("%d curls, want %d", len(curls), len(want))
	}
	for i, curl := range curls {
		answer, err := exec.Command("sh", "-c", curl[1]).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", curl[1], err, answer)
		}
		t.Logf("%s\n%s", curl[1], answer)
		if !bytes.Contains(answer, []byte(want[i])) {
			t.Errorf("%s answered\n%s", curl[1], answer)
		}
	}
}

func TestYourOwnEndpointInsteadOfTheSample(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		want   []string
	}{
		"one operation":   {`[{"op":"add","path":"/metadata/labels/mine","value":"yes"}]`, []string{"+    mine: \"yes\"\n", "patch     1 operation\n"}},
		"no change":       {`[]`, []string{"the same: the endpoint wants no change", "patch     0 operations"}},
		"something wrong": {`[{"op":"remove","path":"/spec/containers/9"}]`, []string{`op 1 (remove "/spec/containers/9"): the Pod has 1 container`}},
		"with a warning":  {`{"warnings":["mind the gap"]}`, []string{"Warning: mind the gap"}},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, test.answer) })}
			go func() { _ = server.Serve(listener) }()
			t.Cleanup(func() { _ = server.Close() })
			wantAll(t, start(t, "http://"+listener.Addr().String()+"/"), test.want...)
		})
	}
	err := run(t.Context(), io.Discard, "127.0.0.1:0", "localhost:9000", "")
	if want := `--endpoint "localhost:9000": expected an http or https URL`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestYourOwnPodInsteadOfTheRecordedOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(file, []byte("{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {metadata: {annotations: {hub.jupyter.org/username: bob}}, spec: {containers: [{name: a, image: b}]}}}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantAll(t, startWith(t, "", file), "amp hands your Pod to the endpoint ("+file+", Deployment web)", "who       system:serviceaccount:kube-system:replicaset-controller", "+    - name: WORKSPACE\n")
	if err := run(t.Context(), io.Discard, "127.0.0.1:0", "", "/none"); err == nil || !strings.HasPrefix(err.Error(), "--pod: open /none: no such file") {
		t.Errorf("error %v", err)
	}
}

// TestReadmeEndpoint runs the README's first endpoint, with another port, instead of the sample.
func TestReadmeEndpoint(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("skipped: python3 is not installed")
	}
	block := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("README.md has no endpoint in Python")
	}
	port, err := freeport.Get() // not one of the kernel's, which it may give away until Python binds it
	if err != nil {
		t.Fatal(err)
	}
	addr := net.JoinHostPort("127.0.0.1", port)
	file := filepath.Join(t.TempDir(), "endpoint.py")
	if err := os.WriteFile(file, bytes.ReplaceAll(block[1], []byte("9000"), []byte(port)), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), python, file)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	awaitPort(t, addr)
	wantAll(t, start(t, fmt.Sprintf("http://%s/", addr)), "+    example.com/created-by: system:serviceaccount:jhub:hub\n")
}

// awaitEvent waits until the audit page has the event; address is that of the page and of the event, from the screen.
func awaitEvent(t *testing.T, address []string) {
	t.Helper()
	if address == nil {
		t.Fatal("the screen shows no address of the event")
	}
	deadline := time.Now().Add(30 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); time.Now().Before(deadline); <-tick.C {
		resp, err := http.Get(address[1] + "api/events/" + address[2])
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode == http.StatusOK && bytes.Contains(body, []byte("com.txn2.amp.pod.mutated.v1")) {
			return
		}
	}
	t.Fatalf("the audit page never had the event %s", address[2])
}

func awaitPort(t *testing.T, addr string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); time.Now().Before(deadline); <-tick.C {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return
		}
	}
	t.Fatalf("no server listens at %s", addr)
}

// body returns what a server answers.
func body(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}
