package docs

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/txn2/amp/test/freeport"
)

// A kind says how TestCommands runs a command.
type kind int

const (
	notHere kind = iota
	ends         // it must succeed
	serves       // it must answer requests on its port, and is then ended
)

func (k kind) needed() bool { return k != notHere }

// runs are the commands that TestCommands runs, as the pages have them but for ports and the folder of programs.
var runs = map[string]kind{
	"CGO_ENABLED=0 go build -o /usr/local/bin/ ./cmd/kubectl-amp": ends,
	"go run ./cmd/demo": serves,
	"FUNCTION_TARGET=audit PORT=8081 go run ./cmd/endpoints":                                                    serves,
	"cat > namespaces.yaml <<'EOF'\n" + namespacesFile + "EOF":                                                  ends,
	"AMP_NAMESPACES_FILE=namespaces.yaml AMP_ENDPOINT_ALLOW=127.0.0.0/8 go run ./cmd/amp":                       serves,
	"PORT=9000 go run ./docs/endpoints/samples/go":                                                              serves,
	"kubectl amp conform --endpoint http://127.0.0.1:9000/":                                                     ends,
	"kubectl amp try -f deployment.yaml --endpoint http://127.0.0.1:9000/":                                      ends,
	"kubectl amp try -f pod.yaml --endpoint http://127.0.0.1:9000/ --twice --as system:serviceaccount:jhub:hub": ends,
	"kubectl amp try -k overlays/prod --endpoint URL1 --endpoint URL2 -o words":                                 ends,
	"kubectl amp test tests.yaml --endpoint http://127.0.0.1:9000/":                                             ends,
	"kubectl amp test tests.yaml --endpoint http://127.0.0.1:9000/ --junit report.xml":                          ends,
	"kubectl amp test tests.yaml --update":                                                                      ends,
	"kubectl amp test tests/":                                                                                   ends,
	"kubectl amp replay --events events.ndjson --endpoint http://127.0.0.1:9000/":                               ends,
}

const namespacesFile = `apiVersion: v1
kind: Namespace
metadata:
  name: team-a
  labels: {amp.txn2.com/enabled: "true"}
  annotations: {amp.txn2.com/ep: "http://127.0.0.1:9000/"}
`

// recorded is an event of level Full, as amp prints it: the endpoint added a label.
const recorded = `{"specversion":"1.0","id":"a1","source":"https://amp.txn2.com/proxy","type":"com.txn2.amp.pod.mutated.v1","subject":"team-a/web",` +
	`"time":"2026-11-23T06:37:00.241060695Z","datacontenttype":"application/json","namespace":"team-a","outcome":"mutated","data":{"uid":"a1","level":"Full",` +
	`"namespace":"team-a","pod":{"name":"web"},"user":"jane","operation":"mutate","outcome":"mutated","failurePolicy":"Fail",` +
	`"endpoints":[{"url":"http://hook/","status":200,"durationMs":1,"ops":2}],"durationMs":2,` +
	`"patch":[{"step":1,"op":"add","path":"/metadata/labels","value":{}},{"step":1,"op":"add","path":"/metadata/labels/team","value":"red"}],` +
	`"object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"team-a"},"spec":{"containers":[{"name":"a","image":"b"}]}}}}`

// aSuite is one for kubectl amp test.
const aSuite = "endpoint: http://127.0.0.1:9000/\ncases: [{name: a Pod gets its team, pod: {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: b}]}}, expect: {outcome: mutated}}]"

// files are what the commands read.
var files = map[string]string{
	"deployment.yaml":                  "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}}}",
	"pod.yaml":                         "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: a, image: b}]}}",
	"overlays/prod/kustomization.yaml": "resources: [pod.yaml]",
	"overlays/prod/pod.yaml":           "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: a, image: b}]}}",
	"tests.yaml":                       aSuite,
	"tests/web.yaml":                   aSuite,
	"events.ndjson":                    recorded,
}

// plugin is kubectl in a shell, for the commands of kubectl amp only: a plugin is a program with a name. They get time that
// no test waits for, because other tests run beside them.
func plugin(programs string) string {
	return "kubectl() { local command=$2; shift 2; " + programs + "/kubectl-amp \"$command\" --timeout 20s \"$@\"; }\n"
}

// TestCommands runs the commands of the pages that need no cluster.
func TestCommands(t *testing.T) {
	programs, work := t.TempDir(), t.TempDir()
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pod, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		answer := `[{"op":"add","path":"/metadata/labels/team","value":"red"}]`
		if bytes.Contains(pod, []byte(`"team":"red"`)) {
			answer = "[]"
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(endpoint.Close)
	at := strings.TrimPrefix(endpoint.URL, "http://")
	for name, text := range files {
		path := filepath.Join(work, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "127.0.0.1:9000", at)), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	prelude := "cd " + work + "\ngo() { (cd " + here + " && command go \"$@\"); }\n" + plugin(programs)
	shell := func(ctx context.Context, command string, port string) (*exec.Cmd, *bytes.Buffer) {
		command = strings.NewReplacer("/usr/local/bin/", programs+"/", "PORT=8081", "PORT="+port, "PORT=9000", "PORT="+port,
			"127.0.0.1:9000", at, "URL1", endpoint.URL, "URL2", endpoint.URL,
			"AMP_NAMESPACES_FILE=", "AMP_NAMESPACES_FILE="+work+"/").Replace(command)
		cmd := exec.CommandContext(ctx, "bash", "-euc", prelude+command)
		cmd.Env = append(os.Environ(), "PORT="+port, "AMP_METRICS_ADDR=off", "CGO_ENABLED=0") // as the page's own go build, so that both share what is compiled
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		said := &bytes.Buffer{}
		cmd.Stdout, cmd.Stderr = said, said
		return cmd, said
	}
	done := map[string]bool{}
	run := func(t *testing.T, command string) {
		if done[command] {
			return
		}
		done[command] = true
		if runs[command] == ends {
			cmd, said := shell(t.Context(), command, "")
			if err := cmd.Run(); err != nil {
				t.Errorf("%s: %v\n%s", command, err, said)
			}
			return
		}
		port, err := freeport.Get()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cmd, said := shell(ctx, command, port)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if err := answers("127.0.0.1:"+port, ended); err != nil {
			t.Errorf("%s: %v", command, err)
		}
		cancel()
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", command, said)
		}
	}

	// First what makes the tool, and what makes a file; then in the order of the pages.
	for _, command := range slices.Sorted(maps.Keys(runs)) {
		if strings.HasPrefix(command, "CGO_ENABLED=0 ") || strings.HasPrefix(command, "cat ") {
			run(t, command)
		}
	}
	for _, page := range slices.Sorted(maps.Keys(pages(t))) {
		t.Run(page, func(t *testing.T) {
			for _, command := range commandsOf(t, page) {
				if runs[command].needed() {
					run(t, command)
				}
			}
		})
	}
}

// answers waits until a server at an address answers a request, whatever it says.
func answers(addr string, ended chan error) error {
	deadline := time.Now().Add(10 * time.Minute) // it may have to be compiled first, on a slow machine
	for {
		resp, err := http.Get("http://" + addr + "/")
		if err == nil {
			return resp.Body.Close()
		}
		select {
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(50 * time.Millisecond):
			if time.Now().After(deadline) {
				return err
			}
		}
	}
}
