package docs

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/test/freeport"
)

// TestJupyterHub runs the commands of docs/jupyterhub.md that need no cluster, in their order: it writes the profiles and the
// suite that the page shows, checks them, and tests the endpoint with them. test/cluster runs the others.
func TestJupyterHub(t *testing.T) {
	page := pages(t)["docs/jupyterhub.md"]
	programs, work := t.TempDir(), t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", programs, "./cmd/endpoints", "./cmd/kubectl-amp")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0") // as TestCommands
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	port, err := freeport.Get()
	if err != nil {
		t.Fatal(err)
	}
	shell := func(ctx context.Context, command string) *exec.Cmd {
		// The page's port is fixed, and its `go run` would compile once more.
		command = strings.ReplaceAll(strings.ReplaceAll(command, "PORT=9000", "PORT="+port), "127.0.0.1:9000", "127.0.0.1:"+port)
		cmd := exec.CommandContext(ctx, "bash", "-euc", "go() { shift 2; "+programs+"/endpoints \"$@\"; }\n"+plugin(programs)+command)
		cmd.Dir, cmd.Env = work, append(os.Environ(), "AMP_METRICS_ADDR=off")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		return cmd
	}
	said := map[string]string{}
	for _, command := range commandsOf(t, "docs/jupyterhub.md") {
		if key, ok := entry(elsewhereRun, command); !ok || elsewhereRun[key] != "TestJupyterHub" {
			continue
		}
		if strings.HasPrefix(command, "FUNCTION_TARGET=") {
			ctx, cancel := context.WithCancel(t.Context())
			server := shell(ctx, command)
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- server.Wait() }()
			t.Cleanup(func() { cancel(); <-ended })
			if err := answers("127.0.0.1:"+port, ended); err != nil {
				t.Fatalf("%s: %v", command, err)
			}
			continue
		}
		out, err := shell(t.Context(), command).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		said[command] = string(out)
	}
	if shown := blocks(page, "text"); !slices.Contains(shown, said["go run ./cmd/endpoints jupyterhub check profiles.yaml --user alice"]) {
		t.Errorf("the page does not show what check says:\n%s", said["go run ./cmd/endpoints jupyterhub check profiles.yaml --user alice"])
	}
	if report := said["kubectl amp test profiles-test.yaml"]; !strings.Contains(report, "2 passed") {
		t.Errorf("the suite says:\n%s", report)
	}
}

// TestJupyterHubGroupsHook runs the hook of the page with stand-ins for the hub's objects, as z2jh would: it executes the text.
func TestJupyterHubGroupsHook(t *testing.T) {
	var values struct {
		Hub struct {
			ExtraConfig map[string]string
		}
	}
	shown := blocks(pages(t)["docs/jupyterhub.md"], "yaml")
	if len(shown) != 1 {
		t.Fatalf("the page shows %d blocks of YAML, want the values of z2jh", len(shown))
	}
	if err := yaml.Unmarshal([]byte(shown[0]), &values); err != nil {
		t.Fatal(err)
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("skipped: python3 is not installed")
	}
	file := filepath.Join(t.TempDir(), "hook.py")
	if err := os.WriteFile(file, []byte(values.Hub.ExtraConfig["amp-groups.py"]), 0o600); err != nil {
		t.Fatal(err)
	}
	const stage = `
import sys
from types import SimpleNamespace as O
c = O(KubeSpawner=O())
exec(open(sys.argv[1]).read())
pod = O(metadata=O(annotations={"hub.jupyter.org/username": "alice"}))
assert c.KubeSpawner.modify_pod_hook(O(user=O(groups=[O(name="a"), O(name="b")])), pod) is pod
print(pod.metadata.annotations)
`
	out, err := exec.CommandContext(t.Context(), python, "-c", stage, file).CombinedOutput()
	if want := "{'hub.jupyter.org/username': 'alice', 'uni.example/groups': 'a,b'}\n"; err != nil || string(out) != want {
		t.Errorf("the hook makes %s, %v; want %s", out, err, want)
	}
}
