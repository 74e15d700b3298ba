package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeCommands runs the README's commands that need an endpoint and no cluster, as they are written but for the port.
func TestReadmeCommands(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^kubectl amp ((?:try|test|replay) .*)$`).FindAllStringSubmatch(string(readme), -1)
	if len(commands) != 3 {
		t.Fatalf("README.md has the commands %q, want one of try, test and replay", commands)
	}
	server := httptest.NewServer(answers(200, "application/json", `[{"op":"add","path":"/metadata/labels/team","value":"red"}]`))
	t.Cleanup(server.Close)
	t.Chdir(t.TempDir())
	write(t, ".", "deployment.yaml", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}}}")
	write(t, ".", "tests.yaml", "cases: [{name: a Pod gets its team, pod: {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: b}]}}, expect: {outcome: mutated}}]")
	write(t, ".", "events.ndjson", event)
	for _, command := range commands {
		args := strings.Fields(strings.ReplaceAll(command[1], "http://127.0.0.1:9000", server.URL))
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, &out, &errs); code != exitOK {
			t.Errorf("kubectl amp %s: exit code %d\n%s%s", command[1], code, &out, &errs)
		}
	}
}
