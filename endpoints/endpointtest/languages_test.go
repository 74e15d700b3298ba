package endpointtest_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/internal/conform"
	"github.com/txn2/amp/internal/suite"
	"github.com/txn2/amp/internal/tryout"
	"github.com/txn2/amp/test/freeport"
)

// samples are the endpoints of docs/endpoints, one for each language, in docs/endpoints/samples.
var samples = map[string]struct {
	file, page string
	build      []string // BIN is a file that it makes; nil if there is nothing to build
	start      []string // PORT is the port
}{
	"go":         {"main.go", "go.md", []string{"go", "build", "-o", "BIN", "."}, []string{"BIN"}},
	"python":     {"main.py", "python.md", nil, []string{"python3", "main.py"}},
	"fastapi":    {"main.py", "python.md", nil, []string{"/usr/bin/python3", "-m", "uvicorn", "main:app", "--port", "PORT"}},
	"javascript": {"main.mjs", "javascript.md", nil, []string{"node", "main.mjs"}},
	"shell":      {"hook.sh", "shell.md", nil, []string{"socat", "TCP-LISTEN:PORT,bind=127.0.0.1,reuseaddr,fork", "EXEC:./hook.sh"}},
	"java":       {"Main.java", "java.md", nil, []string{"java", "Main.java"}},
	"rust":       {"main.rs", "rust.md", []string{"rustc", "-O", "-o", "BIN", "main.rs"}, []string{"BIN"}},
}

// TestLanguages starts each sample and holds it to the contract: no error, and no advice.
func TestLanguages(t *testing.T) {
	for name, sample := range samples {
		t.Run(name, func(t *testing.T) {
			tool := sample.start[0]
			if sample.build != nil {
				tool = sample.build[0]
			}
			if _, err := exec.LookPath(tool); err != nil {
				t.Skipf("%s is not here: .ci/run installs it", tool)
			}
			u := start(t, name)
			config := conform.Config{Endpoint: u, Budget: 20 * time.Second} // other tests run beside it
			report, err := conform.Run(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			if report.Answers.Patched != report.Shapes || len(report.Findings) > 0 {
				var text strings.Builder
				_ = report.WriteText(&text)
				t.Error(text.String())
			}
			runSuite(t, u)
		})
	}
}

// runSuite asks a sample the cases of the suite that all samples share.
func runSuite(t *testing.T, u *url.URL) {
	t.Helper()
	s, err := suite.Load(filepath.Join("..", "..", "docs", "endpoints", "samples", "tests.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	asker, err := tryout.NewAsker("", "")
	if err != nil {
		t.Fatal(err)
	}
	var report suite.Report
	report.Add(suite.Run(t.Context(), s, suite.Options{Asker: asker, Endpoints: []string{u.String()}, Parallel: 4, Timeout: 20 * time.Second}))
	if report.Passed == 0 || report.Passed < len(report.Results) {
		var text strings.Builder
		_ = report.WriteText(&text)
		t.Error(text.String())
	}
}

// start starts a sample and waits until it listens.
func start(t *testing.T, name string) *url.URL {
	t.Helper()
	sample, dir := samples[name], filepath.Join("..", "..", "docs", "endpoints", "samples", name)
	port, err := freeport.Get()
	if err != nil {
		t.Fatal(err)
	}
	replace := strings.NewReplacer("BIN", filepath.Join(t.TempDir(), "sample"), "PORT", port)
	command := func(args []string) *exec.Cmd {
		filled := make([]string, len(args))
		for i, arg := range args {
			filled[i] = replace.Replace(arg)
		}
		cmd := exec.CommandContext(t.Context(), filled[0], filled[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PORT="+port, "PYTHONDONTWRITEBYTECODE=1", "CGO_ENABLED=0") // other tests share what Go compiles without cgo
		return cmd
	}
	if sample.build != nil {
		if out, err := command(sample.build).CombinedOutput(); err != nil {
			t.Fatalf("building it: %v\n%s", err, out)
		}
	}
	cmd := command(sample.start)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	for limit := time.After(time.Minute); ; {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
			return &url.URL{Scheme: "http", Host: "127.0.0.1:" + port, Path: "/"}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("it ended: %v\n%s", err, log.String())
		case <-limit:
			t.Fatal("it does not listen within a minute")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestPages keeps the pages equal to the samples that were run: each page shows the very file, which has less than 30 lines.
func TestPages(t *testing.T) {
	root := filepath.Join("..", "..", "docs", "endpoints")
	for name, sample := range samples {
		code, err := os.ReadFile(filepath.Join(root, "samples", name, sample.file))
		if err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(filepath.Join(root, sample.page))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "\n"+string(code)+"```\n") {
			t.Errorf("%s does not show samples/%s/%s as it is", sample.page, name, sample.file)
		}
		if n := bytes.Count(code, []byte("\n")); n >= 30 {
			t.Errorf("samples/%s/%s has %d lines", name, sample.file, n)
		}
		if _, err := os.Stat(filepath.Join(root, "samples", name, "Dockerfile")); err != nil {
			t.Error(err)
		}
	}
}
