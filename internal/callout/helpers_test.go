package callout_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/review"
)

const pod = `{"kind":"Pod", "metadata":{"generateName":"web-"},"future":1e400 }`

// local is a Config that allows the test's servers, all on the loopback.
func local() callout.Config { return allowing("127.0.0.0/8") }

// allowing is a Config that allows what AMP_ENDPOINT_ALLOW lists in entries, and otherwise holds the defaults.
func allowing(entries ...string) callout.Config {
	rules, err := callout.ParseRules(entries...)
	if err != nil {
		panic(err)
	}
	return callout.Config{Allow: rules, MaxBytes: 1 << 20, Source: "https://amp.txn2.com/proxy", UserAgent: "amp"}
}

func with(c callout.Config, change func(*callout.Config)) callout.Config {
	change(&c)
	return c
}

func newClient(t testing.TB, config callout.Config) *callout.Client {
	t.Helper()
	c, err := callout.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func endpoint(t testing.TB, rawURL string) review.Endpoint {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return review.NewEndpoint(u)
}

func mutation() *review.Review {
	return &review.Review{UID: "uid-1", Phase: review.Mutate, Namespace: "default", Name: "web", User: "jane"}
}

// callWith calls the endpoint for r with the time that a review usually has.
func callWith(t testing.TB, c *callout.Client, rawURL string, r *review.Review) (review.Answer, *review.Failure) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return callUnder(ctx, t, c, rawURL, r)
}

func callUnder(ctx context.Context, t testing.TB, c *callout.Client, rawURL string, r *review.Review) (review.Answer, *review.Failure) {
	t.Helper()
	a, err := c.Call(ctx, endpoint(t, rawURL), r, 1, time.Now(), json.RawMessage(pod))
	if err == nil {
		return a, nil
	}
	var f *review.Failure
	if !errors.As(err, &f) {
		t.Fatalf("error %T %v, want a *review.Failure", err, err)
	}
	return a, f
}

func call(t testing.TB, c *callout.Client, rawURL string) (review.Answer, *review.Failure) {
	t.Helper()
	return callWith(t, c, rawURL, mutation())
}

func wantFailure(t testing.TB, got *review.Failure, result review.Result, cause string) {
	t.Helper()
	// Err is for the log only, and Own for the circuit; TestFailureKeepsItsCause and TestOwnFaults look at them.
	if want := (&review.Failure{Result: result, Cause: cause}); !cmp.Equal(want, got, ignoreErr) {
		t.Errorf("failure (-want +got):\n%s", cmp.Diff(want, got, ignoreErr))
	}
}

var ignoreErr = cmpopts.IgnoreFields(review.Failure{}, "Err", "Own")

func serve(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return srv
}

// script is a server that runs one step for each connection, and the last step for all further ones.
func script(t *testing.T, steps ...func(net.Conn)) (address string, connections *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = new(atomic.Int32)
	var open sync.WaitGroup
	t.Cleanup(func() { listener.Close(); open.Wait() })
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			step := steps[min(int(connections.Add(1)), len(steps))-1]
			open.Go(func() { defer conn.Close(); step(conn) })
		}
	})
	return listener.Addr().String(), connections
}

// answer reads a request and sends text.
func answer(text string) func(net.Conn) {
	return func(conn net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		io.WriteString(conn, text)
	}
}

func reset(conn net.Conn) {
	answer("")(conn)
	conn.(*net.TCPConn).SetLinger(0)
}

// dns is a resolver that answers for IPv4 what lookup returns at that moment, and nothing for IPv6.
func dns(lookup func(name string) []string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe() // not a PacketConn: framed as over TCP
		go func() {
			defer server.Close()
			for {
				var size [2]byte
				if _, err := io.ReadFull(server, size[:]); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(server, query); err != nil {
					return
				}
				reply := dnsReply(query, lookup)
				server.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
			}
		}()
		return client, nil
	}}
}

// dnsReply answers the one question of a query (RFC 1035, 4.1).
func dnsReply(query []byte, lookup func(string) []string) []byte {
	var labels []string
	i := 12
	for ; query[i] != 0; i += int(query[i]) + 1 {
		labels = append(labels, string(query[i+1:i+1+int(query[i])]))
	}
	question := query[12 : i+5]
	var addresses []string
	if kind := binary.BigEndian.Uint16(query[i+1:]); kind == 1 {
		addresses = lookup(strings.Join(labels, "."))
	}
	reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0}, question...)
	for _, a := range addresses {
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		reply = append(reply, net.ParseIP(a).To4()...)
	}
	return reply
}

// log collects the client's warnings.
type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// discard is the log of servers that would report the faults that a test causes on purpose.
var discard = stdlog.New(io.Discard, "", 0)

func (l *log) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
