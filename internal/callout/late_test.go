package callout_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/review"
)

// A late call says what was not finished, and what to look at.
func TestLateSaysWhatWasNotFinished(t *testing.T) {
	t.Parallel()
	mute := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		t.Cleanup(func() { server.Close() })
		return client, nil
	}}
	deaf, _ := script(t, func(conn net.Conn) { conn.Read(make([]byte, 1)); <-t.Context().Done() })
	done := make(chan struct{})
	srv := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-done })
	t.Cleanup(func() { close(done) }) // before the server's end, which waits for its answer

	for name, tt := range map[string]struct {
		config callout.Config
		url    string
		result review.Result
		before string // of the time
		after  string
	}{
		"the look-up of the name": {with(local(), func(c *callout.Config) { c.Resolver = mute }), "http://jane:geheim@ep.example/?secret=1",
			review.ResultUnreachable, "its name was not looked up within ", ": does DNS answer, and does a NetworkPolicy let amp ask it?"},
		"the look-up of the API server's name": {with(local(), func(c *callout.Config) { c.Resolver, c.APIServer = mute, []string{"api.example:443"} }), "https://127.0.0.1",
			review.ResultUnreachable, "the API server's name, of which amp must know the address, was not looked up within ", ": does DNS answer, and does a NetworkPolicy let amp ask it?"},
		"the connection": {local(), "http://" + unreachable(t),
			review.ResultUnreachable, "no connection within ", ": does it run at that address and port, and does a NetworkPolicy let amp reach it?"},
		"the TLS handshake": {local(), "https://" + deaf,
			review.ResultUnreachable, "no HTTPS connection within ", ": the handshake was not finished; is it overloaded, or does it speak plain HTTP there?"},
		"the answer": {local(), srv.URL,
			review.ResultLate, "no answer within ", " (AMP_TIMEOUT, amp.txn2.com/timeout)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits for the end of its time
			const left = 2 * time.Second
			ctx, cancel := context.WithTimeout(t.Context(), left)
			defer cancel()
			_, failure := callUnder(ctx, t, newClient(t, tt.config), tt.url, mutation())
			if failure == nil {
				t.Fatal("no failure")
			}
			within, ok := strings.CutPrefix(failure.Cause, tt.before)
			if ok {
				within, ok = strings.CutSuffix(within, tt.after)
			}
			within, had := strings.CutSuffix(within, ", the time it had")
			d, err := time.ParseDuration(within)
			if !ok || !had || err != nil || d <= 0 || d > left || failure.Result != tt.result {
				t.Errorf("%s: %s\nwant %s: %s%s, the time it had%s", failure.Result, failure.Cause, tt.result, tt.before, left, tt.after)
			}
		})
	}
}

// In a handshake that ends there is nothing to wait for.
func TestHandshakeEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		step  func(net.Conn)
		cause string
	}{
		"closed": {func(conn net.Conn) { conn.Read(make([]byte, 4<<10)) }, "the connection was closed during the TLS handshake"},
		"reset": {func(conn net.Conn) { conn.Read(make([]byte, 1)); conn.(*net.TCPConn).SetLinger(0) },
			"the connection broke during the TLS handshake: connection reset by peer"},
	} {
		t.Run(name, func(t *testing.T) {
			address, connections := script(t, tt.step)
			_, failure := call(t, newClient(t, local()), "https://"+address)
			wantFailure(t, failure, review.ResultUnreachable, tt.cause)
			if n := connections.Load(); n != 2 {
				t.Errorf("%d tries, want 2", n)
			}
		})
	}
}
