// Package login tests docs/audit-login.md: the audit function behind oauth2-proxy.
package login

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	readToken    = "the-read-token"
	writeToken   = "the-write-token"
	clientSecret = "the-client-secret"
	// patience is how long the test waits for anything. No test waits for it to pass.
	patience = 2 * time.Minute
)

// world is the audit function, oauth2-proxy before it, an ingress before that, and an OIDC provider.
type world struct {
	function string // address of the audit function
	audit    string // address of the ingress, where readers go
	login    string // address of the provider
	ca       *http.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	m, dir, w := readManifests(t), t.TempDir(), &world{}
	w.function = startFunction(t, dir)

	socket := filepath.Join(dir, "proxy")
	ingress := httptest.NewUnstartedServer(ingressTo(t, socket))
	w.audit = "https://" + ingress.Listener.Addr().String()
	ingress.StartTLS()
	t.Cleanup(ingress.Close)
	provider := startProvider(t, "amp-audit", clientSecret, w.audit+"/oauth2/callback")
	w.login, w.ca = provider.URL, provider.Client() // both servers have the same certificate

	// What the page has, but for addresses and files.
	place := func(text string, pairs ...string) string {
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(text, pairs[i]) {
				t.Fatalf("docs/audit-login.md has no %s here:\n%s", pairs[i], text)
			}
		}
		return strings.NewReplacer(pairs...).Replace(text)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: provider.Certificate().Raw})
	for name, text := range map[string]string{
		"client-secret": clientSecret, "cookie-secret": "0123456789abcdef0123456789abcdef", "ca.pem": string(certificate),
		"oauth2-proxy.yaml": place(m.config.Data["oauth2-proxy.yaml"], "https://login.example.com", w.login, "http://audit.amp-audit.svc", w.function,
			"0.0.0.0:4180", "unix://"+socket, "/etc/oauth2-proxy/secret", dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := strings.Split(place(strings.Join(m.container().Args, "\n"), "https://audit.example.com", w.audit,
		"/etc/oauth2-proxy/config", dir, "/etc/oauth2-proxy/secret", dir), "\n")
	env := []string{"SSL_CERT_FILE=" + filepath.Join(dir, "ca.pem")}
	known := strings.NewReplacer("$(READ_TOKEN)", readToken) // as the kubelet does
	for _, v := range m.container().Env {
		if v.ValueFrom == nil {
			env = append(env, v.Name+"="+known.Replace(v.Value))
		}
	}
	start(t, exec.Command(said(t, ".ci/tool", "test/login", "github.com/oauth2-proxy/oauth2-proxy/v7"), args...), env)
	w.untilReady(t)
	return w
}

// said runs a command in the root of the repository, and returns what it said.
func said(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return strings.TrimSpace(string(out))
}

// start starts a program, which ends with the test. If the test failed, it shows what the program said.
func start(t *testing.T, cmd *exec.Cmd, env []string) *output {
	t.Helper()
	out := &output{changed: make(chan struct{}, 1)}
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(cmd.Path), out)
		}
	})
	return out
}

// output is what a program says.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// startFunction starts the audit function, and returns its address.
func startFunction(t *testing.T, dir string) string {
	t.Helper()
	env := []string{"FUNCTION_TARGET=audit", "PORT=0"}
	for variable, token := range map[string]string{"AMP_AUDIT_READ_TOKEN_FILE": readToken, "AMP_AUDIT_WRITE_TOKEN_FILE": writeToken} {
		file := filepath.Join(dir, variable)
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		env = append(env, variable+"="+file)
	}
	endpoints := filepath.Join(dir, "endpoints")
	said(t, "go", "build", "-gcflags=", "-o", endpoints, "./cmd/endpoints") // whatever GOFLAGS has for the tests
	out := start(t, exec.Command(endpoints), env)
	for {
		for lines := bufio.NewScanner(strings.NewReader(out.String())); lines.Scan(); {
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg != "serving" {
				continue
			}
			_, port, err := net.SplitHostPort(line.Address)
			if err != nil {
				t.Fatal(err)
			}
			return "http://127.0.0.1:" + port
		}
		select {
		case <-out.changed:
		case <-time.After(patience):
			t.Fatalf("the audit function does not serve: %s", out)
		}
	}
}

// ingressTo is an ingress, which hands everything to the program that listens at the socket.
func ingressTo(t *testing.T, socket string) http.Handler {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: "proxy"})
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}}
}

// untilReady waits until the proxy has read what the provider says of itself.
func (w *world) untilReady(t *testing.T) {
	t.Helper()
	last := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		resp, err := w.ca.Get(w.audit + "/ready")
		if err != nil {
			last = err.Error()
			continue
		}
		resp.Body.Close()
		if last = resp.Status; resp.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatalf("oauth2-proxy is not ready: %s", last)
}

// post posts an event to the function itself, as amp does.
func (w *world) post(t *testing.T, id string) {
	t.Helper()
	if status := w.postTo(t, w.ca, w.function, id, "Bearer "+writeToken); status != http.StatusNoContent {
		t.Fatalf("posting the event %s: %d", id, status)
	}
}

func (w *world) postTo(t *testing.T, client *http.Client, address, id, authorization string) int {
	t.Helper()
	body := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"https://amp.txn2.com/proxy","type":"com.txn2.amp.pod.unchanged.v1",
		"subject":"team-data/%[1]s","time":%q,"datacontenttype":"application/json","namespace":"team-data","outcome":"unchanged",
		"data":{"uid":%[1]q,"level":"Metadata","namespace":"team-data","pod":{"name":%[1]q},"operation":"mutate","outcome":"unchanged","endpoints":[]}}`,
		id, time.Now().UTC().Format(time.RFC3339Nano))
	req, err := http.NewRequest(http.MethodPost, address+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	req.Header.Set("Authorization", authorization)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
