package outbound_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/outbound"
)

func TestCAsOf(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if pool, err := outbound.CAsOf(""); pool != nil || err != nil {
		t.Errorf("no file: %v, %v, want the system's roots", pool, err)
	}
	good := write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	pool, err := outbound.CAsOf(good)
	if err != nil {
		t.Fatal(err)
	}
	transport := outbound.NewTransport(pool)
	defer transport.CloseIdleConnections()
	transport.TLSClientConfig.ServerName = "example.com" // a name in the certificate of httptest
	resp, err := transport.RoundTrip(outbound.NewRequest(t.Context(), parse(t, server.URL), http.Header{}, nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for path, want := range map[string]string{
		filepath.Join(dir, "none"):       "no such file",
		write("empty.pem", nil):          "does not hold a certificate in PEM form",
		write("text.pem", []byte("PEM")): "does not hold a certificate in PEM form",
	} {
		if pool, err := outbound.CAsOf(path); pool != nil || err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
