package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/test/freeport"
)

// TestReadmeCommands runs the README's first endpoint with the README's suite and its commands for it, as they are written but
// for the port and for a --timeout.
func TestReadmeCommands(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("the README's endpoint needs Python: %v", err)
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := freeport.Get()
	if err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + port
	readme := strings.NewReplacer(`("", 9000)`, `("127.0.0.1", `+port+`)`, "127.0.0.1:9000", address).Replace(string(text))
	block := func(language string) string {
		found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(readme)
		if found == nil {
			t.Fatalf("README.md has no block of %s", language)
		}
		return found[1]
	}
	commands := regexp.MustCompile(`(?m)^kubectl amp ((?:try|test|replay) .*)$`).FindAllStringSubmatch(readme, -1)
	if len(commands) != 3 {
		t.Fatalf("README.md has the commands %q, want one of try, test and replay", commands)
	}
	t.Chdir(t.TempDir())
	write(t, ".", "endpoint.py", block("python"))
	write(t, ".", "tests.yaml", block("yaml"))
	write(t, ".", "deployment.yaml", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}}}")
	write(t, ".", "events.ndjson", strings.NewReplacer("/metadata/labels/team", "/metadata/annotations/example.com~1created-by", "/metadata/labels", "/metadata/annotations", `"red"`, `"jane"`,
		`{"step":0,"op":"add","path":"/metadata/annotations","value":{}},`, "").Replace(event))
	endpoint := exec.CommandContext(t.Context(), python, "endpoint.py")
	if err := endpoint.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = endpoint.Process.Kill(); _ = endpoint.Wait() })
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for _, command := range commands {
		var out, errs bytes.Buffer
		if code := run(t.Context(), slices.Insert(strings.Fields(command[1]), 1, "--timeout", patience), &out, &errs); code != exitOK {
			t.Errorf("kubectl amp %s: exit code %d\n%s%s", command[1], code, &out, &errs)
		}
	}
}
