package proxy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/txn2/amp/internal/review"
)

// pipes is a listener without a network, so that virtual time passes.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if conn, ok := <-p; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// slow is a world whose endpoint takes long.
type slow struct {
	*world
	takes time.Duration
}

func (s slow) Call(ctx context.Context, e review.Endpoint, r *review.Review, step int, at time.Time, pod json.RawMessage) (review.Answer, error) {
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return review.Answer{}, ctx.Err()
	}
	return s.world.Call(ctx, e, r, step, at, pod)
}

// TestBodiesArriveInTime: a server without any timeout, such as the framework's, does not wait for a body without end. It waits
// for a review that takes long.
func TestBodiesArriveInTime(t *testing.T) {
	body, err := os.ReadFile("testdata/jupyterhub-user.review.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		send   string
		status int
		after  time.Duration
	}{
		"a body without end": {string(body[:len(body)/2]), http.StatusRequestTimeout, 10 * time.Second},
		"no body at all":     {"", http.StatusRequestTimeout, 10 * time.Second},
		"a slow endpoint":    {string(body), http.StatusOK, 25 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{policy: &review.Policy{Enabled: true, Mutate: endpoints(t, "http://a")}, answers: map[string]review.Answer{"http://a": {Status: 204}}}
				h := handler(w)
				h.Proxy.Timeout, h.Proxy.Endpoints = 30*time.Second, slow{w, 25 * time.Second}
				listener := make(pipes)
				server := &http.Server{Handler: h}
				served := make(chan struct{})
				go func() { defer close(served); _ = server.Serve(listener) }()
				client, conn := net.Pipe()
				listener <- conn

				start := time.Now()
				fmt.Fprintf(client, "POST /mutate HTTP/1.1\r\nHost: amp\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), test.send)
				resp, err := http.ReadResponse(bufio.NewReader(client), nil)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); resp.StatusCode != test.status || took != test.after {
					t.Errorf("%s after %v, want %d after %v", resp.Status, took, test.status, test.after)
				}
				client.Close()
				close(listener)
				_ = server.Close()
				<-served
			})
		})
	}
}
