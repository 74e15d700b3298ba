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

	"github.com/txn2/amp/internal/share"
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

// TestManyBeginningsAreACrowd: handshakes that are over, or that ended, do not count.
func TestManyBeginningsAreACrowd(t *testing.T) {
	crowds := 0
	listener, err := listen("127.0.0.1:0", func() { crowds++ })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var served []net.Conn
	begin := func() {
		t.Helper()
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		accepted, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = accepted.Close() })
		served = append(served, accepted)
	}
	for range share.Crowd {
		begin()
	}
	endBeginning(tls.Server(served[0], &tls.Config{}), http.StateActive)
	endBeginning(tls.Server(served[0], &tls.Config{}), http.StateActive) // its second request
	_ = served[0].Close()
	begin()
	_ = served[1].Close()
	begin()
	if crowds != 0 {
		t.Errorf("%d beginnings are a crowd", share.Crowd)
	}
	begin()
	if crowds != 1 {
		t.Errorf("one more than %d: %d crowds", share.Crowd, crowds)
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
