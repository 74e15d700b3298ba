package emit

import (
	"context"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/txn2/amp/internal/outbound"
)

// TestLateSaysWhatWasNotFinished has sinks that do not get as far as an answer, in the queue and under
// AMP_EVENTS=required.
func TestLateSaysWhatWasNotFinished(t *testing.T) {
	// A socket that is never read: neither a DNS server nor a TLS server that answers.
	mute, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mute.Close() })
	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { deaf.Close() })
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", mute.LocalAddr().String())
	}}

	for name, test := range map[string]struct {
		url  string
		dial func(ctx context.Context, network, address string) (net.Conn, error)
		want string
		sent bool
	}{
		"the look-up of the name": {"http://sink.example", (&net.Dialer{Resolver: resolver}).DialContext,
			"cannot be reached: its name was not looked up within TIME: does DNS answer, and does a NetworkPolicy let amp ask it?", false},
		"the look-up, by the dialer's own limit": {"http://sink.example", (&net.Dialer{Resolver: resolver, Timeout: 50 * time.Millisecond}).DialContext,
			"cannot be reached: its name was not looked up within TIME: does DNS answer, and does a NetworkPolicy let amp ask it?", false},
		"the connection": {"http://127.0.0.1", (&net.Dialer{ControlContext: stall}).DialContext,
			"cannot be reached: no connection within TIME: does it run at that address and port, and does a NetworkPolicy let amp reach it?", false},
		"the TLS handshake": {"https://" + deaf.Addr().String(), new(net.Dialer).DialContext,
			"cannot be reached: no HTTPS connection within TIME: the handshake was not finished; is it overloaded, or does it speak plain HTTP there?", false},
		"the answer": {"http://" + deaf.Addr().String(), new(net.Dialer).DialContext, "gave no answer within TIME", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, EventsConfig{Sink: parseURL(t, test.url)})
			s := w.Events.to.(*sink)
			s.timeout = time.Second
			s.transport.(*http.Transport).DialContext = test.dial
			timeless := func(text string) string { return aTime.ReplaceAllString(text, " within TIME") }

			ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
			defer cancel()
			sent, err := w.Deliver(ctx, required(t, 1))
			if want := "event sink " + s.name + " " + test.want; err == nil || timeless(err.Error()) != want || sent != test.sent {
				t.Errorf("sent %t: %v\nwant %s", sent, err, want)
			}

			w.Record(t.Context(), numbered(t, 2))
			want := `cause="` + test.want + `"`
			for deadline := time.Now().Add(20 * time.Second); !strings.Contains(timeless(w.log.String()), "event sink fails"); {
				if time.Now().After(deadline) {
					t.Fatalf("nothing logged about the outage:\n%s", w.log)
				}
				outbound.Pause(t.Context(), time.Millisecond, 0)
			}
			for line := range strings.Lines(w.log.String()) {
				if !strings.Contains(timeless(line), want) {
					t.Errorf("logged %s\nwant %s", line, want)
				}
			}
		})
	}
}

var aTime = regexp.MustCompile(` within [0-9.]+m?s`)

// stall is a connection that is never made.
func stall(ctx context.Context, _, _ string, _ syscall.RawConn) error {
	<-ctx.Done()
	return ctx.Err()
}
