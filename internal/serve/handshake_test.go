package serve

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestAHandshakeIsBounded: a caller does not keep amp waiting with a certificate without an end. A large request is none of that.
func TestAHandshakeIsBounded(t *testing.T) {
	ca := newAuthority(t)
	config := ca.config(t)
	config.TLSClientCA = config.TLSCert
	log := make(lines, 10)
	url := startWith(t, config, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	pair, err := tls.LoadX509KeyPair(config.TLSCert, config.TLSKey)
	if err != nil {
		t.Fatal(err)
	}
	large := pair
	large.Certificate = [][]byte{pair.Certificate[0], make([]byte, 100_000)}
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The last part of its certificates is held back, and a server may wait for that for 5 s.
	_ = tls.Client(&heldBack{Conn: conn, left: 90_000}, &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1",
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &large, nil }}).Handshake()
	if line := <-log; !strings.Contains(line, errLongHandshake.Error()) {
		t.Errorf("the log of the connection is %s", line)
	}

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool}}}
	defer client.CloseIdleConnections()
	for range 2 { // over one connection
		resp, err := client.Post(url+"/nothing", "text/plain", bytes.NewReader(make([]byte, 1<<20)))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// lines are those of a log.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// heldBack is a connection of which only the first bytes go out.
type heldBack struct {
	net.Conn
	left int
}

func (h *heldBack) Write(p []byte) (int, error) {
	part := p[:min(len(p), h.left)]
	h.left -= len(part)
	if n, err := h.Conn.Write(part); err != nil {
		return n, err
	}
	return len(p), nil
}
