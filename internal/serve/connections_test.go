package serve

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestHTTP2ConnectionsAreBounded: each of them may buffer more than one of HTTP/1.1. The oldest is closed, and the newest is
// served.
func TestHTTP2ConnectionsAreBounded(t *testing.T) {
	ca := newAuthority(t)
	config := ca.config(t)
	url := start(t, config)

	client := func() (get func() error, dials *atomic.Int64) {
		dials = new(atomic.Int64)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool}, ForceAttemptHTTP2: true}
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}
		t.Cleanup(transport.CloseIdleConnections)
		return func() error {
			resp, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get(url)
			if err != nil {
				return err
			}
			if resp.ProtoMajor != 2 {
				t.Fatal(resp)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			return resp.Body.Close()
		}, dials
	}
	first, dials := client()
	if err := first(); err != nil {
		t.Fatal(err)
	}
	for range maxHTTP2 {
		get, _ := client()
		if err := get(); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 { // the server closes it at the same time: a request may meet that
		if err := first(); dials.Load() == 2 && err == nil {
			return
		}
	}
	t.Error("the first connection is still open")
}

// TestHeadersArriveInTime: a caller that sends no headers, or a part of them, does not stay.
func TestHeadersArriveInTime(t *testing.T) {
	server := newServer(&tls.Config{}, slog.New(slog.DiscardHandler), http.NotFoundHandler())
	if server.ReadHeaderTimeout != 5*time.Second || server.ReadTimeout != 10*time.Second {
		t.Errorf("headers may take %v, a request %v", server.ReadHeaderTimeout, server.ReadTimeout)
	}
	synctest.Test(t, func(t *testing.T) {
		server.TLSConfig = nil // as for a connection whose handshake is done
		client, conn := net.Pipe()
		listener := &one{conn: make(chan net.Conn, 1), done: make(chan struct{})}
		listener.conn <- conn
		go func() { _ = server.Serve(listener) }()
		go func() { _, _ = io.WriteString(client, "POST /mutate HTTP/1.1\r\nHost: amp\r\nContent-") }()
		start := time.Now()
		_, _ = io.Copy(io.Discard, client)
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("half a header was waited for %v", took)
		}
		_ = server.Close()
	})
}

// one is a listener with one connection.
type one struct {
	conn chan net.Conn
	done chan struct{}
	once sync.Once
}

func (o *one) Accept() (net.Conn, error) {
	select {
	case conn := <-o.conn:
		return conn, nil
	case <-o.done:
		return nil, net.ErrClosed
	}
}
func (o *one) Close() error   { o.once.Do(func() { close(o.done) }); return nil }
func (o *one) Addr() net.Addr { return &net.TCPAddr{} }
