package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/txn2/amp/test/cgroup"
	"github.com/txn2/amp/test/freeport"
)

const tenants = 32 // of each kind

// TestLivesAsShipped runs amp with the memory that deploy/base gives it, and sends more than fits: large Pods, endpoints that
// hang, large answers whose checks are heavy, candidates that do the same; from one namespace and from many, over each protocol. The process lives, each
// review gets its decision in time, and a good tenant beside all this notices nothing.
func TestLivesAsShipped(t *testing.T) {
	limit, gomemlimit := shipped(t)
	group, err := cgroup.New("amp-test-", limit)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := group.Remove(); err != nil {
			t.Error(err)
		}
	})
	amp := startAsShipped(t, group, gomemlimit)

	stop := make(chan struct{})
	var tenant sync.WaitGroup
	var good atomic.Int64
	for range 2 {
		tenant.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				answer, err := amp.review(amp.clients["HTTP/1.1 over TLS"], "good", fmt.Sprint("good-", n), 5<<10)
				if err != nil || !answer.Allowed || len(answer.Patch) == 0 {
					t.Errorf("the good tenant got %+v, %v", answer, err)
					return
				}
				good.Add(1)
			}
		})
	}
	for _, flood := range []struct {
		name, namespaces string
		reviews, size    int
	}{
		{"64 Pods of 2.9 MiB", "large", 64, 2_900 << 10},
		{"256 Pods of 1 MiB for an endpoint that hangs", "hang", 256, 1 << 20},
		{"64 Pods of 6.9 MiB with answers of 1 MiB", "large", 64, 6_900 << 10},
		{"256 Pods of 1 MiB with candidates that hang or answer 1 MiB", "candidate", 256, 1 << 20},
	} {
		for protocol, client := range amp.clients {
			many := protocol != "HTTP/1.1" // namespaces
			before, start := good.Load(), time.Now()
			name := fmt.Sprintf("%s over %s, many namespaces: %v", flood.name, protocol, many)
			allowed := amp.flood(t, name, client, flood.namespaces, many, flood.reviews, flood.size)
			used, err := group.Peak()
			kills, killsErr := group.Kills()
			if err := errors.Join(err, killsErr); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %v, %d allowed, %d good reviews meanwhile; at most %d MiB so far", name, time.Since(start).Round(time.Millisecond), allowed, good.Load()-before, used>>20)
			if kills > 0 {
				t.Fatal("the kernel killed amp")
			}
			if good.Load() == before {
				t.Error("the good tenant had no review")
			}
		}
	}
	for protocol, client := range amp.clients { // when it is quiet again, the largest passes
		if answer, err := amp.review(client, "large-0", "last", 6_900<<10); err != nil || !answer.Allowed {
			t.Errorf("%s: the largest review beside the good tenant's got %+v, %v", protocol, answer, err)
		}
	}
	close(stop)
	tenant.Wait()
	if err := syscall.Kill(amp.pid, 0); err != nil {
		t.Errorf("amp has ended: %v", err)
	}
}

// shipped is the memory that the manifests give amp, in bytes, and Go's limit for it.
func shipped(t *testing.T) (limit int64, gomemlimit string) {
	t.Helper()
	manifest, err := os.ReadFile("../../deploy/base/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	memory := regexp.MustCompile(`limits:\s+cpu: "2"\s+memory: (\d+)Mi`).FindSubmatch(manifest)
	soft := regexp.MustCompile(`name: GOMEMLIMIT\s+value: (\w+)`).FindSubmatch(manifest)
	if memory == nil || soft == nil {
		t.Fatal("deploy/base sets no limits.memory or no GOMEMLIMIT")
	}
	n, err := strconv.ParseInt(string(memory[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 20, string(soft[1])
}

// running is an amp that runs.
type running struct {
	pid     int
	clients map[string]caller // by their protocol
}

// caller sends reviews to one listener.
type caller struct {
	url string
	*http.Client
}

// startAsShipped builds and starts amp in the cgroup. The test ends it.
func startAsShipped(t *testing.T, group *cgroup.Group, gomemlimit string) *running {
	t.Helper()
	dir := t.TempDir()
	// Not this test's own program: the race detector takes memory, too.
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "amp"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building amp: %v\n%s", err, out)
	}
	var namespaces strings.Builder
	namespace := func(name, endpoint, more string) {
		fmt.Fprintf(&namespaces, "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: %s\n  labels: {amp.txn2.com/enabled: \"true\"}\n  annotations: {amp.txn2.com/ep: \"%s\"%s}\n", name, endpoint, more)
	}
	hang := serving(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that amp has gone
		<-r.Context().Done()
	})
	small, large := patchOf(1), patchOf(9_500)
	answers := func(patch []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(patch)
		}
	}
	little, much := serving(t, answers(small)), serving(t, answers(large))
	for i := range tenants {
		namespace(fmt.Sprint("hang-", i), hang, `, amp.txn2.com/timeout: "1s"`)
		namespace(fmt.Sprint("large-", i), much, "")
		namespace(fmt.Sprint("candidate-", i), little, fmt.Sprintf(`, amp.txn2.com/candidate: "%s"`, []string{hang, much}[i%2]))
	}
	namespace("good", little, "")
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pair := known().TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	plain, plainErr := freeport.Get()
	secure, secureErr := freeport.Get()
	if err := errors.Join(plainErr, secureErr); err != nil {
		t.Fatal(err)
	}
	cmd := group.Command(filepath.Join(dir, "amp"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GOMEMLIMIT=" + gomemlimit,
		"K_SERVICE=amp", "PORT=" + plain, "AMP_TLS=files", "AMP_TLS_PORT=" + secure, // both listeners
		"AMP_TLS_CERT=" + file("tls.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})),
		"AMP_TLS_KEY=" + file("tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		"AMP_NAMESPACES_FILE=" + file("namespaces.yaml", []byte(namespaces.String())),
		"AMP_ENDPOINT_ALLOW=127.0.0.0/8", "AMP_TIMEOUT=5s", "AMP_EVENTS_LEVEL=Full", "AMP_METRICS_ADDR=off", "AMP_LOG_LEVEL=error"}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // if it has ended, the test has said so
		_ = cmd.Wait()
	})

	http2 := trusting().Transport.(*http.Transport).Clone()
	http2.ForceAttemptHTTP2 = true
	http1 := http2.Clone()
	http1.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	http1.ForceAttemptHTTP2 = false
	http1.TLSClientConfig.NextProtos = []string{"http/1.1"}
	// A few handshakes at a time: on a busy machine, hundreds would take longer than the 5 s that amp gives each.
	handshakes := make(chan struct{}, 16)
	http1.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		handshakes <- struct{}{}
		defer func() { <-handshakes }()
		return (&tls.Dialer{Config: http1.TLSClientConfig}).DialContext(ctx, network, addr)
	}
	amp := &running{cmd.Process.Pid, map[string]caller{
		"HTTP/1.1":          {"http://127.0.0.1:" + plain, &http.Client{Transport: http1}},
		"HTTP/1.1 over TLS": {"https://127.0.0.1:" + secure, &http.Client{Transport: http1}},
		"HTTP/2 over TLS":   {"https://127.0.0.1:" + secure, &http.Client{Transport: http2}},
	}}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := amp.clients["HTTP/1.1 over TLS"].Get("https://127.0.0.1:" + secure + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return amp
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("amp is not ready: %v", err)
		}
	}
}

// serving serves an endpoint until the test ends, and returns its URL.
func serving(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server.URL
}

// patchOf is a patch of that many ops. 9,500 are some 1,000,000 bytes.
func patchOf(ops int) []byte {
	var b bytes.Buffer
	for i := range ops {
		fmt.Fprintf(&b, `,{"op":"add","path":"/metadata/annotations/k%04d","value":"%s"}`, i, strings.Repeat("v", 45))
	}
	b.Bytes()[0] = '['
	b.WriteByte(']')
	return b.Bytes()
}

// flood sends reviews at the same time, and checks that each gets a decision. It returns how many were allowed.
func (r *running) flood(t *testing.T, name string, client caller, namespaces string, many bool, reviews, size int) (allowed int64) {
	t.Helper()
	var all sync.WaitGroup
	var yes atomic.Int64
	for i := range reviews {
		namespace := namespaces + "-0"
		if many {
			namespace = fmt.Sprint(namespaces, "-", i%tenants)
		}
		all.Go(func() {
			answer, err := r.review(client, namespace, fmt.Sprint("flood-", i), size)
			if err != nil {
				t.Errorf("%s, review %d: %v", name, i, err)
			} else if answer.Allowed {
				yes.Add(1)
			}
		})
	}
	all.Wait()
	return yes.Load()
}

var padding = strings.Repeat("x", 7<<20)

// review sends a review of about size bytes, and returns amp's decision. It waits no longer than the API server would.
func (r *running) review(client caller, namespace, uid string, size int) (*admissionv1.AdmissionResponse, error) {
	begin := fmt.Sprintf(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"%s","kind":{"group":"","version":"v1","kind":"Pod"},`+
		`"resource":{"group":"","version":"v1","resource":"pods"},"name":"p","namespace":"%s","operation":"CREATE","userInfo":{"username":"u"},"object":{"apiVersion":"v1","kind":"Pod",`+
		`"metadata":{"name":"p","annotations":{"x":"`, uid, namespace)
	const end = `"}},"spec":{"containers":[{"name":"a","image":"i"}]}},"dryRun":false}}`
	fill := padding[:size-len(begin)-len(end)]
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, client.url+"/mutate/fail?timeout=10s", io.MultiReader(strings.NewReader(begin), strings.NewReader(fill), strings.NewReader(end)))
	if err != nil {
		return nil, err
	}
	req.ContentLength = int64(size)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %.200s: %w", resp.Status, body, err)
	}
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if answer.Response == nil || string(answer.Response.UID) != uid {
		return nil, fmt.Errorf("answered %.200s", body)
	}
	return answer.Response, nil
}
