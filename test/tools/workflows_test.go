package tools

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
)

// TestWorkflows checks what GitHub runs: that it can run, with which rights, and whose code.
func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.y*ml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("found %q: %v", files, err)
	}
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`^[^@]+@[0-9a-f]{40}$`)
	for _, file := range files {
		faults, err := linter.LintFile(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range faults {
			t.Error(fault)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		workflow, parseFaults := actionlint.Parse(text)
		for _, fault := range parseFaults {
			t.Errorf("%s: %v", file, fault)
		}
		if workflow.Permissions == nil || workflow.Permissions.All != nil {
			t.Errorf("%s does not name its permissions one by one: it would get the repository's default", file)
		}
		for _, job := range workflow.Jobs {
			for _, step := range job.Steps {
				if action, ok := step.Exec.(*actionlint.ExecAction); ok && !pinned.MatchString(action.Uses.Value) {
					t.Errorf("%s: the action %s is not pinned by the hash of a commit: its owner can change what it does", file, action.Uses.Value)
				}
			}
		}
	}
}

// TestGitHubRunsWhatCIRuns checks that ci.yml runs .ci/run itself, so that the two cannot differ.
func TestGitHubRunsWhatCIRuns(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, ".github/workflows/ci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	workflow, faults := actionlint.Parse(text)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for scope, right := range workflow.Permissions.Scopes {
		if right.Value.Value != "read" || scope != "contents" {
			t.Errorf("a pull request gets the right %s: %s", scope, right.Value.Value)
		}
	}
	ran := false
	for _, job := range workflow.Jobs {
		for _, step := range job.Steps {
			if run, ok := step.Exec.(*actionlint.ExecRun); ok {
				ran = ran || strings.HasSuffix(strings.TrimSpace(run.Run.Value), " .ci/run --without-cluster")
			}
		}
	}
	if !ran {
		t.Error("no step runs .ci/run --without-cluster")
	}
	script, err := os.ReadFile(filepath.Join(root, ".ci/run"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"suite 'make test' whole env CGO_ENABLED=1 make test", `[ -z "$cluster" ] || suite 'make e2e-cluster' `} {
		if !strings.Contains(string(script), want) {
			t.Errorf(".ci/run has no %q", want)
		}
	}
	if n := strings.Count(string(script), `[ -z "$cluster" ] || suite `); n != 1 {
		t.Errorf(".ci/run leaves out %d suites without a cluster, want one", n)
	}
}
