package callout_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/txn2/amp/internal/review"
)

// authority is a CA of the test's own.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue makes a certificate for a client of that name, or a server of these hosts.
func (a *authority) issue(t *testing.T, name string, hosts ...string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: hosts, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, private.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// seen is what a server saw of its last request.
type seen struct{ proto, authorization, client string }

// secure is a TLS server for these names that asks for a client certificate.
func secure(t *testing.T, ca *authority, ask tls.ClientAuthType, names ...string) (port string, last func() seen) {
	t.Helper()
	cert, err := tls.X509KeyPair(ca.issue(t, "server", names...))
	if err != nil {
		t.Fatal(err)
	}
	var now atomic.Value
	now.Store(seen{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := seen{proto: r.Proto, authorization: r.Header.Get("Authorization")}
		if certs := r.TLS.PeerCertificates; len(certs) > 0 {
			s.client = certs[0].Subject.CommonName
		}
		now.Store(s)
		w.WriteHeader(204)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: ask, ClientCAs: ca.pool()}
	if ask == tls.RequireAndVerifyClientCert {
		// With TLS 1.3 the client may have sent its request by the time it is told that a certificate is
		// required, and then it sees a broken connection as often as the reason.
		srv.TLS.MaxVersion = tls.VersionTLS12
	}
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = discard
	srv.StartTLS()
	t.Cleanup(srv.Close)
	_, port, _ = net.SplitHostPort(srv.Listener.Addr().String())
	return port, func() seen { return now.Swap(seen{}).(seen) }
}

// everywhere resolves all names to the loopback.
var everywhere = dns(func(string) []string { return []string{"127.0.0.1"} })

func write(t *testing.T, content []byte, path string) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTrust(t *testing.T) {
	ca, other := newAuthority(t, "one"), newAuthority(t, "other")
	port, last := secure(t, ca, tls.NoClientCert, "ep.example")
	plain := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	_, plainPort, _ := net.SplitHostPort(plain.Listener.Addr().String())
	bundle := write(t, ca.pem, filepath.Join(t.TempDir(), "ca.pem"))

	config := local()
	config.Resolver = everywhere
	_, failure := call(t, newClient(t, config), "https://ep.example:"+port)
	wantFailure(t, failure, review.ResultUnreachable, "its certificate is signed by an authority that amp does not know (AMP_ENDPOINT_CA)")

	warnings := &log{}
	config.CAFile, config.Log = bundle, warnings.logger()
	c := newClient(t, config)
	if _, failure := call(t, c, "https://ep.example:"+port); failure != nil {
		t.Fatal(failure)
	}
	if got := last(); got.proto != "HTTP/2.0" {
		t.Errorf("spoken %s, want HTTP/2.0", got.proto)
	}
	_, failure = call(t, c, "https://else.example:"+port)
	wantFailure(t, failure, review.ResultUnreachable, "its certificate is not valid for it: certificate is valid for ep.example, not else.example")
	_, failure = call(t, c, "https://ep.example:"+plainPort)
	wantFailure(t, failure, review.ResultUnreachable, "it does not speak TLS there: use http://, or its TLS port")
	_, failure = call(t, c, "http://ep.example:"+port)
	wantFailure(t, failure, review.ResultStatus, "answered 400 Bad Request: Client sent an HTTP request to an HTTPS server.")

	// A bundle without a certificate changes only the log.
	write(t, []byte("rubbish"), bundle)
	if _, failure := call(t, c, "https://ep.example:"+port); failure != nil {
		t.Errorf("with the last good bundle: %v", failure)
	}
	call(t, c, "https://ep.example:"+port)
	if n := strings.Count(warnings.String(), "does not hold a certificate in PEM form"); n != 1 {
		t.Errorf("warned %d times: %s", n, warnings)
	}

	// A new bundle holds at once, also for open connections.
	write(t, other.pem, bundle)
	_, failure = call(t, c, "https://ep.example:"+port)
	wantFailure(t, failure, review.ResultUnreachable, "its certificate is signed by an authority that amp does not know (AMP_ENDPOINT_CA)")
	otherPort, _ := secure(t, other, tls.NoClientCert, "ep.example")
	if _, failure := call(t, c, "https://ep.example:"+otherPort); failure != nil {
		t.Error(failure)
	}
}

func TestCredentials(t *testing.T) {
	ca := newAuthority(t, "ca")
	dir := t.TempDir()
	cert, key := ca.issue(t, "amp one")
	config := allowing("127.0.0.0/8", "named.example")
	config.CAFile = write(t, ca.pem, filepath.Join(dir, "ca.pem"))
	config.CertFile = write(t, cert, filepath.Join(dir, "cert.pem"))
	config.KeyFile = write(t, key, filepath.Join(dir, "key.pem"))
	config.TokenFile = write(t, []byte(" token-one\n"), filepath.Join(dir, "token"))
	config.Resolver = everywhere
	c := newClient(t, config)
	port, last := secure(t, ca, tls.VerifyClientCertIfGiven, "named.example", "other.example")
	var plainAuth atomic.Value
	plain := serve(t, func(w http.ResponseWriter, r *http.Request) {
		plainAuth.Store(r.Header.Get("Authorization"))
		w.WriteHeader(204)
	})
	_, plainPort, _ := net.SplitHostPort(plain.Listener.Addr().String())

	// One after the other on one client: a connection on which amp showed its certificate must not serve another host.
	for _, step := range []struct{ name, host, authorization, client string }{
		{"a named host gets both", "named.example", "Bearer token-one", "amp one"},
		{"one in an allowed range gets none", "other.example", "", ""},
		{"a named host again", "NAMED.example", "Bearer token-one", "amp one"},
		{"the token wins over the URL's password", "jane:secret@named.example", "Bearer token-one", "amp one"},
		{"which goes where no token does", "jane:secret@other.example", "Basic amFuZTpzZWNyZXQ=", ""},
	} {
		if _, failure := call(t, c, "https://"+step.host+":"+port); failure != nil {
			t.Errorf("%s: %v", step.name, failure)
		}
		if got := last(); got.authorization != step.authorization || got.client != step.client {
			t.Errorf("%s: it saw %+v", step.name, got)
		}
	}
	if _, failure := call(t, c, "http://named.example:"+plainPort); failure != nil || plainAuth.Load() != "" {
		t.Errorf("over plain HTTP: failure %v, Authorization %q", failure, plainAuth.Load())
	}

	// Both are read again when they change.
	write(t, []byte("token-two"), config.TokenFile)
	cert, key = ca.issue(t, "amp two")
	write(t, cert, config.CertFile)
	if call(t, c, "https://named.example:"+port); last() != (seen{"HTTP/2.0", "Bearer token-two", "amp one"}) {
		t.Error("while the key is missing, the old certificate must be used")
	}
	write(t, key, config.KeyFile)
	if call(t, c, "https://named.example:"+port); last() != (seen{"HTTP/2.0", "Bearer token-two", "amp two"}) {
		t.Error("the new certificate is not used")
	}

	// Without its token amp does not go there, but elsewhere.
	write(t, []byte("\n"), config.TokenFile)
	_, failure := call(t, c, "https://named.example:"+port)
	wantFailure(t, failure, review.ResultUnreachable, fmt.Sprintf("amp has no token for it: %s is empty (AMP_ENDPOINT_TOKEN_FILE)", config.TokenFile))
	if _, failure := call(t, c, "https://other.example:"+port); failure != nil {
		t.Error(failure)
	}
	if err := os.Remove(config.TokenFile); err != nil {
		t.Fatal(err)
	}
	if _, failure := call(t, c, "https://named.example:"+port); failure == nil || !strings.Contains(failure.Cause, "no such file") {
		t.Errorf("without the token's file: %v", failure)
	}
	last()
	write(t, []byte("token-three"), config.TokenFile)
	if call(t, c, "https://named.example:"+port); last().authorization != "Bearer token-three" {
		t.Error("the new token is not used")
	}

	strict, _ := secure(t, ca, tls.RequireAndVerifyClientCert, "named.example", "other.example")
	if _, failure := call(t, c, "https://named.example:"+strict); failure != nil {
		t.Error(failure)
	}
	_, failure = call(t, c, "https://other.example:"+strict)
	wantFailure(t, failure, review.ResultUnreachable, "it ended the TLS handshake: handshake failure")
}

func TestWarnsOfCredentials(t *testing.T) {
	token := write(t, []byte("token"), filepath.Join(t.TempDir(), "token"))
	for name, tt := range map[string]struct{ allow, want string }{
		"that no host gets":    {"10.0.0.0/8", "names no host"},
		"that every host gets": {"*", "every host that a namespace names"},
		"that some get":        {"*.svc", ""},
	} {
		t.Run(name, func(t *testing.T) {
			warnings := &log{}
			config := allowing(tt.allow)
			config.TokenFile, config.Log = token, warnings.logger()
			newClient(t, config)
			if got := warnings.String(); !strings.Contains(got, tt.want) || (tt.want == "") != (got == "") {
				t.Errorf("warned %q, want %q", got, tt.want)
			}
		})
	}
}
