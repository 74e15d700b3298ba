package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/txn2/amp/test/e2e/harness"
)

// bench is one run of the command.
type bench struct {
	quick          bool
	rounds         int
	measured, warm time.Duration // of one round
	dir            string
	amp, actor     string // the programs
	running        []*process
	tags           string   // with which amp is built
	env            []string // that amp gets, too
	table          table
}

// build compiles amp as a release does, and the actor, and makes amp's certificate.
func (b *bench) build() error {
	_, file, _, _ := runtime.Caller(0)
	module := filepath.Dir(file)
	b.amp, b.actor = b.path("amp"), b.path("actor")
	for _, program := range []struct{ dir, out, pkg string }{
		{filepath.Dir(filepath.Dir(module)), b.amp, "./cmd/amp"},
		{module, b.actor, "./actor"},
	} {
		cmd := exec.Command("go", "build", "-tags", b.tags, "-trimpath", "-ldflags", "-s -w", "-o", program.out, program.pkg)
		cmd.Dir, cmd.Env = program.dir, append(os.Environ(), "CGO_ENABLED=0")
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", program.pkg, err, said)
		}
	}
	ca := harness.NewAuthority("bench")
	pair := ca.Issue(pkix.Name{CommonName: "bench"})
	return errors.Join(
		os.WriteFile(b.path("ca.pem"), ca.PEM, 0o600),
		os.WriteFile(b.path("tls.crt"), pair.Certificate, 0o600),
		os.WriteFile(b.path("tls.key"), pair.Key, 0o600),
	)
}

// process is a program that runs.
type process struct {
	address string   // where it listens, host:port
	all     []string // addresses: an endpoint may have several
	metrics string   // URL that tells what it has allocated; empty: none does
	cmd     *exec.Cmd
	said    *tail
	done    chan struct{}
}

// start starts a program. Its stderr goes into a pipe that is read, as in a container.
func (b *bench) start(env []string, stdout io.Writer, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), said: &tail{}, done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, stdout, p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	b.running = append(b.running, p)
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (b *bench) stopAll() {
	for _, p := range b.running {
		p.stop()
	}
}

// serving starts an actor that prints the addresses on which it listens, in one line.
func (b *bench) serving(args ...string) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	p, err := b.start([]string{memoryLimit}, w, b.actor, args...)
	_ = w.Close()
	if err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("starting the %s: %w %s", args[0], err, p.said)
	}
	p.all = strings.Fields(line)
	p.address = p.all[0]
	return p, nil
}

// endpoint starts an endpoint that listens on so many ports, and answers with the file patch.json.
func (b *bench) endpoint(ports int) (*process, error) {
	return b.serving("endpoint", b.path("patch.json"), strconv.Itoa(ports))
}

// memoryLimit is the one of deploy/. The forwarder has it too.
const memoryLimit = "GOMEMLIMIT=200MiB"

// forwarder starts the bare forwarder.
func (b *bench) forwarder(endpoint *process, more ...string) (*process, error) {
	args := append([]string{"forwarder", "-endpoint", "http://" + endpoint.address, "-cert", b.path("tls.crt"), "-key", b.path("tls.key")}, more...)
	p, err := b.serving(args...)
	if err == nil {
		p.metrics = "https://" + p.address + "/memory"
	}
	return p, err
}

// proxy starts amp. It does not wait until amp is ready.
func (b *bench) proxy(env ...string) (*process, error) {
	port, metrics := strconv.Itoa(harness.FreePort()), strconv.Itoa(harness.FreePort())
	env = append([]string{
		memoryLimit, "AMP_TLS=files", "AMP_TLS_CERT=" + b.path("tls.crt"), "AMP_TLS_KEY=" + b.path("tls.key"), "AMP_TLS_PORT=" + port,
		"AMP_ENDPOINT_ALLOW=127.0.0.0/8", "AMP_METRICS_ADDR=127.0.0.1:" + metrics,
	}, slices.Concat(b.env, env)...)
	p, err := b.start(env, io.Discard, b.amp)
	if err == nil {
		p.address, p.metrics = "127.0.0.1:"+port, "http://127.0.0.1:"+metrics+"/metrics"
	}
	return p, err
}

// cpu is the CPU time that the process has used so far. The kernel counts it in nanoseconds.
func cpu(pid int) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil { // the clock of another process: clock_getcpuclockid(3)
		return 0
	}
	return time.Duration(t.Nano())
}

// metric is a number in the process's own metrics. NaN is for none.
func (p *process) metric(name string) (float64, error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: insecure()}
	defer client.CloseIdleConnections()
	resp, err := client.Get(p.metrics)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("%s has no metric %s", p.metrics, name)
}

// report is what a load says: see actor.
type report struct {
	Total, Counted    int
	Failed            int
	Seconds, P50, P99 float64
}

// load runs a load to its end.
func (b *bench) load(args ...string) (report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.actor, append([]string{"load"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return report{}, fmt.Errorf("the load: %w %s", err, said.String())
	}
	var r report
	return r, json.Unmarshal(out, &r)
}

// tail keeps the last that a program wrote.
type tail struct {
	mu   sync.Mutex
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last[:0], p[max(0, len(p)-2000):]...)
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.last)
}
