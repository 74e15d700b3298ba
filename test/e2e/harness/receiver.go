package harness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Receiver is an event sink that shares no code with amp: test/receiver, made with the CloudEvents SDK for
// JavaScript.
type Receiver struct {
	URL     string
	process *process
}

// Received is what the receiver says about one request: the event as the SDK read it, or why the SDK did not read it.
type Received struct {
	Event   map[string]any  `json:"event"`
	Refused string          `json:"refused"`
	Errors  json.RawMessage `json:"errors"`
	Body    string          `json:"body"`
}

// NewReceiver runs the receiver until the test ends. The SDK is installed from npm once, into the user's cache
// folder. Without Node.js and npm, the test is skipped.
func (w *World) NewReceiver(t *testing.T) *Receiver {
	t.Helper()
	node, err := exec.LookPath("node")
	npm, err2 := exec.LookPath("npm")
	if err = errors.Join(err, err2); err != nil {
		t.Skipf("SKIPPED, so only amp's own tests have read its events: test/receiver needs Node.js and npm (in Debian the packages nodejs and npm): %v", err)
	}
	root, _, err := folders()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, "test", "receiver")
	modules, err := installed(t.Context(), npm, filepath.Join(folder, "package.json"))
	if err != nil {
		t.Fatalf("installing the receiver: %v", err)
	}
	w.receivers++
	p, err := start(w.dir, fmt.Sprintf("receiver-%d", w.receivers), node, []string{"NODE_PATH=" + modules}, filepath.Join(folder, "receiver.js"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	r := &Receiver{process: p}
	Eventually(t, "the receiver listens", func(context.Context) error {
		var first struct{ Port int }
		line, _, _ := strings.Cut(content(p.out), "\n")
		if err := json.Unmarshal([]byte(line), &first); err != nil || first.Port == 0 {
			return fmt.Errorf("it says %q %s", line, p.lastWords())
		}
		r.URL = fmt.Sprintf("http://127.0.0.1:%d/", first.Port)
		return nil
	})
	return r
}

// installed is the folder node_modules for a package.json.
func installed(ctx context.Context, npm, manifest string) (string, error) {
	text, err := os.ReadFile(manifest)
	if err != nil {
		return "", err
	}
	const lockFile = "package-lock.json" // pins each package by its hash
	lock, err := os.ReadFile(filepath.Join(filepath.Dir(manifest), lockFile))
	if err != nil {
		return "", err
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	key := sha256.Sum256(slices.Concat(text, lock))
	dir := filepath.Join(user, "amp-e2e", "receiver-"+hex.EncodeToString(key[:8]))
	modules := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
	}
	// First in another folder, as with the programs.
	half := fmt.Sprintf("%s.%d", dir, os.Getpid())
	defer os.RemoveAll(half)
	if err := os.MkdirAll(half, 0o755); err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(filepath.Join(half, "package.json"), text, 0o600), os.WriteFile(filepath.Join(half, lockFile), lock, 0o600)); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = half
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, bytes.TrimSpace(said))
	}
	return modules, os.Rename(half, dir)
}

// Received are the requests so far.
func (r *Receiver) Received() ([]Received, error) {
	var all []Received
	for line := range bytes.Lines([]byte(content(r.process.out))) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // the line is still being written
		}
		var received Received
		if err := json.Unmarshal(line, &received); err != nil {
			return nil, err
		}
		if received.Event != nil || received.Refused != "" {
			all = append(all, received)
		}
	}
	return all, nil
}

// Program builds a Go program of one file and runs it until the test ends. It receives events on PORT.
func (w *World) Program(t *testing.T, file string) *Receiver {
	t.Helper()
	w.receivers++
	name := fmt.Sprintf("receiver-%d", w.receivers)
	if err := compile(filepath.Dir(file), w.path(name), file); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", FreePort())
	p, err := start(w.dir, name, w.path(name), []string{"PORT=" + strings.TrimPrefix(address, "127.0.0.1:")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	Eventually(t, "the receiver listens", func(context.Context) error { return dial(address) })
	return &Receiver{URL: "http://" + address + "/", process: p}
}

// Output is what the receiver wrote to stdout so far.
func (r *Receiver) Output() string { return content(r.process.out) }
