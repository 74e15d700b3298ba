package callout_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/review"
)

// nameServer is the address of a DNS server on loopback, which says that each name is 127.0.0.1 until it is mute.
func nameServer(t *testing.T) (address string, mute *atomic.Bool) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mute = new(atomic.Bool)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		query := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			if !mute.Load() {
				conn.WriteTo(dnsReply(query[:n], func(string) []string { return []string{"127.0.0.1"} }), from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-ended })
	return conn.LocalAddr().String(), mute
}

// TestDNSIsDown has a name server that does not answer, or that is not there: before the first try, or before the
// second one, after the endpoint said that it is busy.
func TestDNSIsDown(t *testing.T) {
	t.Parallel()
	const ask = "does DNS answer, and does a NetworkPolicy let amp ask it?"
	for name, tt := range map[string]struct {
		first bool // whether DNS answers before the first try
		there bool // whether there is still a server then
		cause string
		calls int32
	}{
		"it does not answer":                    {false, true, "its name was not looked up within TIME, the time it had: " + ask, 0},
		"it does not answer the second time":    {true, true, "its name was not looked up within TIME, the time it had: " + ask, 1},
		"it is not there":                       {false, false, "its name cannot be looked up: DNS failed; " + ask, 0},
		"it is not there before the second try": {true, false, "its name cannot be looked up: DNS failed; " + ask, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, mute := nameServer(t)
			var gone atomic.Bool
			resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				if gone.Load() {
					return new(net.Dialer).DialContext(ctx, "udp", "127.0.0.1:1") // at which no program listens
				}
				return new(net.Dialer).DialContext(ctx, "udp", server)
			}}
			down := func() {
				mute.Store(true)
				gone.Store(!tt.there)
			}
			var calls atomic.Int32
			srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				down()
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
			if !tt.first {
				down()
			}
			c := newClient(t, with(allowing("ep.example", "127.0.0.1"), func(c *callout.Config) { c.Resolver = resolver }))
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, failure := callUnder(ctx, t, c, "http://ep.example:"+port, mutation())
			if failure == nil {
				t.Fatal("no failure")
			}
			cause := failure.Cause
			if before, after, ok := strings.Cut(cause, " within "); ok {
				_, after, _ = strings.Cut(after, "s,") // of 1.23s, or 456ms
				cause = before + " within TIME," + after
			}
			if cause != tt.cause || failure.Result != review.ResultUnreachable || calls.Load() != tt.calls {
				t.Errorf("%s after %d calls: %s\nwant %s", failure.Result, calls.Load(), failure.Cause, tt.cause)
			}
		})
	}
}
