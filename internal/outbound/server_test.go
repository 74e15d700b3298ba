package outbound_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/txn2/amp/internal/outbound"
)

// server counts its connections, and blocks requests for /wait until goOn is closed.
type server struct {
	*httptest.Server
	goOn chan struct{}

	mu   sync.Mutex
	made int
	open map[net.Conn]bool
}

func newServer(t *testing.T, http2 bool) *server {
	t.Helper()
	s := &server{goOn: make(chan struct{}), open: map[net.Conn]bool{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-s.goOn
		}
	}))
	s.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch state {
		case http.StateNew:
			s.made++
			s.open[conn] = true
		case http.StateClosed:
			delete(s.open, conn)
		}
	}
	if http2 {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// hasOpen waits until so many connections are open.
func (s *server) hasOpen(t *testing.T, want int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		open := len(s.open)
		s.mu.Unlock()
		if open == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d connections are open, want %d", open, want)
		}
	}
}

// newPool is a pool that trusts all servers. limit, if any, changes the limits of its transport.
func newPool(t *testing.T, limit func(*http.Transport)) *outbound.Pool {
	t.Helper()
	transport := outbound.NewTransport(nil)
	transport.TLSClientConfig.InsecureSkipVerify = true // the servers are the test's own
	transport.DialContext = (&net.Dialer{}).DialContext
	if limit != nil {
		limit(transport)
	}
	pool := outbound.NewPool(transport)
	t.Cleanup(pool.Close)
	return pool
}

// get returns a connection to the server, and says whether it must be a used one.
func get(t *testing.T, pool *outbound.Pool, s *server, fresh, wantUsed bool) *outbound.Conn {
	t.Helper()
	conn, used, err := pool.Get(t.Context(), parse(t, s.URL), fresh)
	if err != nil {
		t.Fatal(err)
	}
	if used != wantUsed {
		t.Errorf("the connection was used: %t, want %t", used, wantUsed)
	}
	return conn
}

// exchange sends a request and reads the answer.
func exchange(t *testing.T, conn *outbound.Conn, s *server, path string) {
	t.Helper()
	resp, err := conn.RoundTrip(outbound.NewRequest(t.Context(), parse(t, s.URL+path), http.Header{}, []byte("the body")))
	if err != nil {
		t.Error(err)
		return
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// keep has n new connections to the server, over HTTP/1.1, kept.
func keep(t *testing.T, pool *outbound.Pool, s *server, n int) {
	t.Helper()
	var conns []*outbound.Conn
	for range n {
		conns = append(conns, get(t, pool, s, true, false))
	}
	for _, conn := range conns {
		exchange(t, conn, s, "/")
		conn.Release(true)
	}
}
