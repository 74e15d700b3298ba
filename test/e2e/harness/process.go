package harness

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a program that a test starts and stops.
type process struct {
	name string
	log  string // the path of its stderr
	out  string // the path of its stdout
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read it only after done is closed
}

// start runs a program. Its output goes to files in dir: stderr to name.log, stdout to name.out.
func start(dir, name, program string, env []string, args ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	out, err := os.OpenFile(filepath.Join(dir, name+".out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, out, log
	// The program must not stay when the test is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{name: name, log: log.Name(), out: out.Name(), cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks the program to end and waits until it has. The error says that it did not end well: with a status other
// than 0, or only by SIGKILL.
func (p *process) stop(patience time.Duration) error {
	p.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended already
	select {
	case <-p.done:
		if p.err != nil {
			return fmt.Errorf("%s ended with %w; its last words:\n%s", p.name, p.err, p.lastWords())
		}
		return nil
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("%s did not end within %v of SIGTERM; its last words:\n%s", p.name, patience, p.lastWords())
	}
}

// kill ends the program as the kernel does when memory runs out.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// pause stops the program without ending it, as a node does that has no CPU to give. resume undoes it.
func (p *process) pause()  { p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *process) resume() { p.cmd.Process.Signal(syscall.SIGCONT) }

// ended reports whether the program has ended by itself.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// lastWords are the last lines of the log.
func (p *process) lastWords() string {
	b, _ := os.ReadFile(p.log)
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	if n := len(lines) - 8; n > 0 {
		lines = lines[n:]
	}
	return string(bytes.Join(lines, []byte("\n")))
}

// FreePort returns a TCP port on loopback on which no program listens, each time another one. The programs must be told their
// port, so the port is chosen before it is used. It is below the range from which the kernel gives ports to connections, and
// those that package freeport gives to other tests, so only another run of these tests could take it first.
func FreePort() int {
	const first, ports = 12_000, 3_000
	for range ports {
		port := first + int(lastPort.Add(1)%ports)
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			l.Close()
			return port
		}
	}
	panic("no free port between 12000 and 15000 on loopback")
}

// lastPort begins anywhere: several runs may share the machine.
var lastPort = func() *atomic.Uint32 {
	var n atomic.Uint32
	n.Store(rand.Uint32())
	return &n
}()
