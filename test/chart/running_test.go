package chart

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// running is an amp that reviews Pods all the time, among them Pods whose endpoint is down.
type running struct{ reviews, metrics string } // addresses

// startAmp starts amp over TLS, with its Namespaces from a file, and sends it reviews until the test ends.
func startAmp(t *testing.T) running {
	t.Helper()
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `[{"op":"add","path":"/metadata/annotations/a","value":"b"}]`)
	}))
	sink := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(endpoint.Close)
	t.Cleanup(sink.Close)

	dir := t.TempDir()
	namespaces := ""
	for name, ep := range map[string]string{"good": endpoint.URL, "down": "http://" + address(t) + "/"} {
		namespaces += fmt.Sprintf("---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: %s\n  labels: {amp.txn2.com/enabled: \"true\"}\n  annotations: {amp.txn2.com/ep: %q}\n", name, ep)
	}
	write(t, filepath.Join(dir, "namespaces.yaml"), []byte(namespaces))
	certificate(t, dir)
	program := filepath.Join(dir, "amp")
	build := exec.Command("go", "build", "-gcflags=", "-o", program, "./cmd/amp") // whatever GOFLAGS has for the tests
	build.Dir = root
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building amp: %v\n%s", err, said)
	}
	a := running{"https://" + address(t), "http://" + address(t) + "/metrics"}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(a.reviews, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	start(t, exec.Command(program), "AMP_TLS=files", "AMP_TLS_CERT="+dir+"/tls.crt", "AMP_TLS_KEY="+dir+"/tls.key", "AMP_TLS_PORT="+port,
		"AMP_NAMESPACES_FILE="+dir+"/namespaces.yaml", "AMP_ENDPOINT_ALLOW=127.0.0.0/8", "K_SINK="+sink.URL,
		"AMP_METRICS_ADDR="+strings.TrimSuffix(strings.TrimPrefix(a.metrics, "http://"), "/metrics"))

	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	post := func(path, body string) (int, error) {
		response, err := client.Post(a.reviews+path, "application/json", strings.NewReader(body))
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		return response.StatusCode, err
	}
	for patience := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if status, err := post("/mutate/fail", review("good")); err == nil && status == http.StatusOK {
			break
		} else if time.Now().After(patience) {
			t.Fatalf("amp does not answer: %d %v", status, err)
		}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(30 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
			for path, body := range map[string]string{
				"/mutate/fail": review("good"), "/mutate/ignore": review("down"), "/validate/fail": review("good"), "/": "{}",
			} {
				if _, err := post(path, body); err != nil {
					t.Errorf("POST %s: %v", path, err)
					return
				}
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
	return a
}

func review(namespace string) string {
	return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE",
		"kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},"namespace":"` + namespace + `","name":"p",
		"userInfo":{"username":"jane"},"object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"` + namespace + `"},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`
}

// startPrometheus starts Debian's Prometheus, which scrapes amp with the labels that its operator would give, and returns its
// address.
func startPrometheus(t *testing.T, metrics string) string {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("AMP_REQUIRE_PROMTOOL") == "1" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: this test needs prometheus, which Debian has in its package prometheus")
	}
	dir, at := t.TempDir(), address(t)
	write(t, filepath.Join(dir, "prometheus.yml"), []byte(`global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs:
- job_name: amp
  static_configs:
  - targets: [`+strings.TrimSuffix(strings.TrimPrefix(metrics, "http://"), "/metrics")+`]
    labels: {namespace: amp-system, pod: amp-0}
`))
	start(t, exec.Command(program, "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+at, "--log.level=warn"))
	for patience := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := ask("http://"+at, "up"); err == nil {
			return "http://" + at
		} else if time.Now().After(patience) {
			t.Fatal(err)
		}
	}
}

// start runs a program until the test ends.
func start(t *testing.T, cmd *exec.Cmd, env ...string) {
	t.Helper()
	var said bytes.Buffer
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text := said.String()
			t.Logf("%s said:\n%s", cmd.Path, text[max(0, len(text)-2000):])
		}
	})
}

// address is one on loopback where no program listens.
func address(t *testing.T) string {
	t.Helper()
	for lastPort < 32_000 {
		lastPort++
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(lastPort))
		if l, err := net.Listen("tcp", address); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return address
		}
	}
	t.Fatal("no free port between 30000 and 32000 on loopback")
	return ""
}

var lastPort = 30_000

// certificate writes tls.crt and tls.key.
func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"amp.amp-system.svc"}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "tls.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	write(t, filepath.Join(dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
