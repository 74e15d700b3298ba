package serve

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"

	"golang.org/x/net/http2"
)

// running serves handler over TLS as amp does. stop begins what run's stop does, and returns when amp no longer listens. The test
// waits for its end.
func running(t *testing.T, handler http.HandlerFunc) (address string, clients *tls.Config, stop func()) {
	t.Helper()
	ca := newAuthority(t)
	server, listener := listening(t, ca.config(t), slog.New(slog.DiscardHandler), handler)
	deaf := make(chan struct{})
	isDeaf := sync.OnceFunc(func() { close(deaf) })
	server.RegisterOnShutdown(isDeaf) // net/http has closed the listener before
	stopServer := run(server, listener, func(err error) { t.Error("it failed:", err) })
	var stopping sync.WaitGroup
	t.Cleanup(stopping.Wait)
	return listener.Addr().String(), &tls.Config{RootCAs: ca.pool}, func() {
		stopping.Go(func() { stopServer(t.Context()); isDeaf() })
		<-deaf
	}
}

// dial connects with that protocol.
func dial(t *testing.T, address string, config *tls.Config, protocol string) *tls.Conn {
	t.Helper()
	config = config.Clone()
	config.NextProtos = []string{protocol}
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestHTTP2CallersHearThatAmpStops: the connection of an idle caller does not just end. First it hears that it must leave, and
// that what it has sent since was not read.
func TestHTTP2CallersHearThatAmpStops(t *testing.T) {
	address, config, stop := running(t, http.NotFound)
	conn := dial(t, address, config, "h2")
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	left := false
	for begun := false; ; {
		frame, err := framer.ReadFrame()
		if errors.Is(err, io.EOF) && left {
			return
		}
		if err != nil {
			t.Fatalf("%v; heard before: %v", err, left)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if f.IsAck() && !begun {
				begun = true
				stop()
			}
		case *http2.GoAwayFrame:
			left = f.ErrCode == http2.ErrCodeNo && f.LastStreamID == 0
		}
	}
}

// TestReviewsInFlightAreAnsweredWhenAmpStops: amp answers the reviews in flight before it stops. It accepts no connection
// meanwhile.
func TestReviewsInFlightAreAnsweredWhenAmpStops(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	address, config, stop := running(t, func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		_, _ = io.WriteString(w, "ok")
	})
	conn := dial(t, address, config, "http/1.1")
	if _, err := io.WriteString(conn, "POST /mutate HTTP/1.1\r\nHost: amp\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-begun
	stop()
	if late, err := net.Dial("tcp", address); err == nil {
		t.Error("it still listens")
		_ = late.Close()
	}
	close(release)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "ok" || err != nil {
		t.Errorf("%s %s: %v", resp.Status, body, err)
	}
	_ = resp.Body.Close()
}
