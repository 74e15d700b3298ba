package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/txn2/amp/internal/emit"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{cert: cert, key: key, pool: x509.NewCertPool(), pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
	a.pool.AddCert(cert)
	return a
}

// issue returns a certificate for 127.0.0.1 with that serial number, and its key, in PEM.
func (a *authority) issue(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// config serves a certificate of the authority from files.
func (a *authority) config(t *testing.T) *Config {
	t.Helper()
	dir := t.TempDir()
	config := &Config{TLS: TLSFiles, TLSCert: filepath.Join(dir, "tls.crt"), TLSKey: filepath.Join(dir, "tls.key")}
	cert, key := a.issue(t, 1)
	writeFile(t, config.TLSCert, cert)
	writeFile(t, config.TLSKey, key)
	return config
}

// start serves "ok" over TLS with config and returns the URL.
func start(t *testing.T, config *Config) string {
	t.Helper()
	return startWith(t, config, slog.New(slog.DiscardHandler))
}

func startWith(t *testing.T, config *Config, log *slog.Logger) string {
	t.Helper()
	server, listener := listening(t, config, log, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ServeTLS(listener, "", "") // it ends with the test
	}()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return "https://" + listener.Addr().String()
}

// listening returns amp's TLS server with that handler, not served yet, and its listener, on a free port.
func listening(t *testing.T, config *Config, log *slog.Logger, handler http.HandlerFunc) (*http.Server, net.Listener) {
	t.Helper()
	c, err := filesCertificate(config, log)
	if err != nil {
		t.Fatal(err)
	}
	tlsConfig, err := newTLS(config, c, log)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := listen("127.0.0.1:0", func() {})
	if err != nil {
		t.Fatal(err)
	}
	return newServer(tlsConfig, log, clientChecked(config, handler)), listener
}

// ask makes a request over a connection of its own and returns the status, the serial number of the
// certificate that was served, and the protocol.
func ask(url, method string, config *tls.Config) (status int, serial int64, proto string, err error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	req, err := http.NewRequestWithContext(context.Background(), method, url, nil)
	if err != nil {
		return 0, 0, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.TLS.PeerCertificates[0].SerialNumber.Int64(), resp.Proto, err
}

// TestCertificateReplacedUnderLoad replaces certificate and key again and again, one file after the other as
// tools do, while requests arrive: every handshake succeeds, and the last certificate is served.
func TestCertificateReplacedUnderLoad(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	config := &Config{TLS: TLSFiles, TLSCert: filepath.Join(dir, "tls.crt"), TLSKey: filepath.Join(dir, "tls.key")}
	replace := func(serial int64) {
		cert, key := ca.issue(t, serial)
		writeFile(t, config.TLSCert, cert)
		writeFile(t, config.TLSKey, key)
	}
	replace(1)
	url := start(t, config)

	var stop atomic.Bool
	var callers sync.WaitGroup
	for range 2 {
		callers.Go(func() {
			for !stop.Load() {
				status, _, proto, err := ask(url, http.MethodPost, &tls.Config{RootCAs: ca.pool})
				if err != nil || status != http.StatusOK || proto != "HTTP/2.0" {
					t.Errorf("status %d over %s: %v", status, proto, err)
					return
				}
			}
		})
	}
	const last = 20
	for serial := int64(2); serial <= last; serial++ {
		replace(serial)
	}
	stop.Store(true)
	callers.Wait()
	// Not before: while one handshake reads the new files, others are served what was good until then.
	_, serial, _, err := ask(url, http.MethodGet, &tls.Config{RootCAs: ca.pool})
	if err != nil || serial != last {
		t.Errorf("certificate %d is served (%v), want %d", serial, err, last)
	}
}

func TestClientCertificates(t *testing.T) {
	ca, clients, others := newAuthority(t), newAuthority(t), newAuthority(t)
	config := ca.config(t)
	config.TLSClientCA = filepath.Join(t.TempDir(), "clients.crt")
	writeFile(t, config.TLSClientCA, clients.pem)
	url := start(t, config)

	as := func(a *authority) *tls.Config {
		c := &tls.Config{RootCAs: ca.pool}
		if a != nil {
			cert, key := a.issue(t, 2)
			pair, err := tls.X509KeyPair(cert, key)
			if err != nil {
				t.Fatal(err)
			}
			// Whatever the server asks for, like a caller that ignores the server's list of CAs.
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		return c
	}
	for _, test := range []struct {
		name   string
		method string
		as     *authority
		status int // 0: the handshake fails
	}{
		{"a probe needs no certificate", http.MethodGet, nil, 200},
		{"a POST without a certificate", http.MethodPost, nil, 403},
		{"a POST with one that the CA signed", http.MethodPost, clients, 200},
		{"a POST with one that another CA signed", http.MethodPost, others, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, _, _, err := ask(url, test.method, as(test.as))
			if status != test.status || (err != nil) != (test.status == 0) {
				t.Errorf("status %d, %v; want %d", status, err, test.status)
			}
		})
	}

	writeFile(t, config.TLSClientCA, others.pem)
	if status, _, _, err := ask(url, http.MethodPost, as(others)); status != 200 {
		t.Errorf("after the CA was replaced: status %d, %v", status, err)
	}
}

func TestCertificateMetric(t *testing.T) {
	ca := newAuthority(t)
	config := ca.config(t)
	c, err := filesCertificate(config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		notAfter func() time.Time
		want     float64
	}{
		"a certificate from files": {c.notAfter, float64(c.get().Leaf.NotAfter.Unix())},
		"none yet":                 {func() time.Time { return time.Time{} }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			registry.MustRegister(emit.NewCertificateMetric(test.notAfter))
			families, err := registry.Gather()
			if err != nil || len(families) != 1 || families[0].GetName() != "amp_tls_certificate_expiration_timestamp_seconds" {
				t.Fatalf("metrics %v, %v", families, err)
			}
			if got := families[0].Metric[0].GetGauge().GetValue(); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

func TestTLSFilesThatCannotBeUsed(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		writeFile(t, path, content)
		return path
	}
	cert, key := ca.issue(t, 1)
	_, otherKey := ca.issue(t, 2)
	for name, test := range map[string]struct {
		config Config
		want   string
	}{
		"a key of another certificate": {Config{TLSCert: file("a.crt", cert), TLSKey: file("a.key", otherKey)}, "AMP_TLS_CERT, AMP_TLS_KEY: tls: private key does not match public key"},
		"no certificate":               {Config{TLSCert: file("b.crt", nil), TLSKey: file("b.key", key)}, "AMP_TLS_CERT, AMP_TLS_KEY: tls: failed to find any PEM data in certificate input"},
		"an empty client CA": {Config{TLSCert: file("c.crt", cert), TLSKey: file("c.key", key), TLSClientCA: file("c.ca", nil)},
			fmt.Sprintf("AMP_TLS_CLIENT_CA=%q: it does not hold a certificate in PEM form", filepath.Join(dir, "c.ca"))},
	} {
		t.Run(name, func(t *testing.T) {
			log := slog.New(slog.DiscardHandler)
			c, err := filesCertificate(&test.config, log)
			if err == nil {
				_, err = newTLS(&test.config, c, log)
			}
			if err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}
