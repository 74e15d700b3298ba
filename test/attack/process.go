package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/txn2/amp/test/cgroup"
)

// What deploy/ gives the programs.
const (
	ampMemory   = 256 << 20
	ampLimit    = "GOMEMLIMIT=200MiB"
	auditMemory = 512 << 20
	auditLimit  = "GOMEMLIMIT=256MiB"
)

// certificate is what amp serves, for loopback.
type certificate struct {
	files []string // the variables that name it
	roots *x509.CertPool
}

// newCertificate makes one with a key of the kind that amp makes for itself: what a handshake costs depends on it.
func newCertificate(dir string) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, DNSNames: []string{"amp.amp-system.svc"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	crt, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(crt, text, 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		return nil, err
	}
	roots, err := readRoots(crt)
	return &certificate{[]string{"AMP_TLS=files", "AMP_TLS_CERT=" + crt, "AMP_TLS_KEY=" + keyFile}, roots}, err
}

// process is a program in its cgroup.
type process struct {
	url     string // where it serves
	metrics string
	client  *http.Client

	group  *cgroup.Group
	cmd    *exec.Cmd
	stderr string        // the path of its log
	ended  chan struct{} // closed when it has ended
	err    error         // how; read it only after that
}

// tenants are Namespaces: their names, and the keys that each has.
type tenants map[string]map[string]string

// labelled are the keys that are labels. All others are annotations.
var labelled = map[string]bool{"amp.txn2.com/enabled": true, "amp.txn2.com/failure-policy": true, "amp.txn2.com/validate": true}

// object is the tenant's Namespace.
func (t tenants) object(name string) map[string]any {
	labels, annotations := map[string]string{"amp.txn2.com/enabled": "true"}, map[string]string{}
	for key, value := range t[name] {
		if labelled[key] {
			labels[key] = value
		} else {
			annotations[key] = value
		}
	}
	return map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name, "labels": labels, "annotations": annotations}}
}

func (t tenants) file(dir string) (string, error) {
	var items []any
	for name := range t {
		items = append(items, t.object(name))
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "namespaces-*.json")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	return f.Name(), err
}

// startAmp starts amp as it is shipped, with TLS and, as endpoints, all of 127.0.0.0/8. environment comes last, and so it
// can replace any of that.
func (r *run) startAmp(t tenants, environment ...string) *process {
	file, err := t.file(r.dir)
	r.must(err)
	port, metrics := r.freePort(), r.freePort()
	env := append([]string{ampLimit, "AMP_TLS_PORT=" + port, "AMP_METRICS_ADDR=127.0.0.1:" + metrics, "AMP_NAMESPACES_FILE=" + file,
		"AMP_ENDPOINT_ALLOW=127.0.0.0/8"}, r.cert.files...)
	p := r.start(ampMemory, r.amp, append(env, environment...))
	p.url, p.metrics = "https://127.0.0.1:"+port, "http://127.0.0.1:"+metrics+"/metrics"
	r.untilServes(p, "/readyz")
	return p
}

// startPlainAmp starts amp without TLS, as a buildpack or Knative hosts it.
func (r *run) startPlainAmp(t tenants) *process {
	file, err := t.file(r.dir)
	r.must(err)
	port := r.freePort()
	p := r.start(ampMemory, r.amp, []string{ampLimit, "PORT=" + port, "AMP_METRICS_ADDR=off", "AMP_NAMESPACES_FILE=" + file, "AMP_ENDPOINT_ALLOW=127.0.0.0/8"})
	p.url = "http://127.0.0.1:" + port
	r.untilServes(p, "/readyz")
	return p
}

// startAudit starts the audit function as it is shipped, with a database in a file.
func (r *run) startAudit(environment ...string) *process {
	port := r.freePort()
	env := append([]string{auditLimit, "FUNCTION_TARGET=audit", "PORT=" + port}, environment...)
	p := r.start(auditMemory, r.audit, env)
	p.url = "http://127.0.0.1:" + port
	r.untilServes(p, "/healthz")
	return p
}

func (r *run) start(memory int64, program string, env []string) *process {
	g, err := cgroup.New("amp-attack-", memory)
	r.must(err)
	p := &process{group: g, ended: make(chan struct{}), client: r.newClient()}
	log, err := os.CreateTemp(r.dir, "stderr-")
	r.must(err)
	p.stderr = log.Name()
	p.cmd = g.Command(program)
	endWithParent(p.cmd)
	p.cmd.Env, p.cmd.Stderr, p.cmd.Dir = env, log, r.dir
	r.must(p.cmd.Start())
	_ = log.Close() // the program has its own
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	r.atEnd(func() {
		_ = p.cmd.Process.Kill() // it may have ended already
		<-p.ended
		p.client.CloseIdleConnections()
		_ = g.Remove() // it is empty; if it stays, it does no harm
	})
	return p
}

func (r *run) newClient() *http.Client {
	return &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: r.cert.roots}, // over HTTP/1.1, as the API server calls a Service
		MaxIdleConnsPerHost: 256,
	}}
}

func (r *run) untilServes(p *process, path string) {
	r.eventually(30*time.Second, func() string {
		if p.hasEnded() {
			r.fail("it ended at once: %s", p.log())
		}
		resp, err := p.client.Get(p.url + path)
		if err != nil {
			return err.Error()
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return resp.Status
		}
		return ""
	})
}

// refusesToStart runs amp with a bad configuration and returns what it says.
func (r *run) refusesToStart(environment ...string) string {
	file, err := tenants{"a": {}}.file(r.dir)
	r.must(err)
	p := r.start(ampMemory, r.amp, append([]string{"PORT=" + r.freePort(), "AMP_METRICS_ADDR=off", "AMP_NAMESPACES_FILE=" + file}, environment...))
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		r.fail("amp starts")
	}
	if p.err == nil {
		r.fail("amp ended with 0")
	}
	return strings.TrimSpace(p.log())
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// killed reports whether the kernel ended the process because memory ran out.
func (p *process) killed() bool {
	kills, _ := p.group.Kills()
	return kills > 0
}

func (p *process) log() string { return content(p.stderr) }

func content(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// longestLine is the length of the longest line of the log, in bytes.
func (p *process) longestLine() (longest int) {
	for line := range bytes.Lines([]byte(p.log())) {
		longest = max(longest, len(line))
	}
	return longest
}

// lives fails the row if the process has ended. It says how much memory it has held.
func (r *run) lives(p *process) {
	if p.killed() {
		r.fail("the kernel ended it: no memory left")
	}
	if p.hasEnded() {
		r.fail("it ended: %v: %.2000s", p.err, p.log())
	}
	r.saw("%d MiB RSS at the peak", p.peak()>>20)
}

// peak is the most memory that the process itself held, in bytes.
func (p *process) peak() int64 {
	for line := range strings.Lines(content(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// cpu is the processor time that the process has used.
func (p *process) cpu() time.Duration {
	_, after, _ := strings.Cut(content(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid)), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // of the 100 ticks a second that Linux has
}

// stop sends SIGTERM and returns how long the process then took to end.
func (r *run) stop(p *process) time.Duration {
	began := time.Now()
	r.must(p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.ended:
	case <-time.After(60 * time.Second):
		r.fail("60 s after SIGTERM it still runs")
	}
	if p.err != nil {
		r.fail("after SIGTERM it ended with %v", p.err)
	}
	return time.Since(began)
}

// series are the lines of amp's metrics that begin with a name.
func (r *run) series(p *process, name string) []string {
	resp, err := p.client.Get(p.metrics)
	r.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	r.must(err)
	var all []string
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, name) {
			all = append(all, strings.TrimSpace(line))
		}
	}
	return all
}
