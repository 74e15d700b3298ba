package outbound_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
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

func TestPoolKeepsConnections(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, http2)
			pool := newPool(t, nil)
			for i := range 5 {
				conn := get(t, pool, s, false, i > 0)
				exchange(t, conn, s, "/")
				conn.Release(true)
			}
			s.hasOpen(t, 1)
			conn := get(t, pool, s, true, false)
			exchange(t, conn, s, "/")
			conn.Release(true)
			// Over HTTP/2 one is enough.
			s.hasOpen(t, map[bool]int{false: 2, true: 1}[http2])
			pool.Close()
			s.hasOpen(t, 0)
		})
	}
}

func TestPoolLimits(t *testing.T) {
	t.Run("for each host", func(t *testing.T) {
		s, other := newServer(t, false), newServer(t, false)
		pool := newPool(t, func(limits *http.Transport) { limits.MaxIdleConnsPerHost = 2 })
		keep(t, pool, s, 4)
		keep(t, pool, other, 3)
		s.hasOpen(t, 2)
		other.hasOpen(t, 2)
	})
	t.Run("in all, the oldest goes", func(t *testing.T) {
		s, other := newServer(t, false), newServer(t, false)
		pool := newPool(t, func(limits *http.Transport) { limits.MaxIdleConns = 3 })
		keep(t, pool, s, 2)
		keep(t, pool, other, 2)
		s.hasOpen(t, 1)
		other.hasOpen(t, 2)
		keep(t, pool, other, 1)
		s.hasOpen(t, 0)
		other.hasOpen(t, 3)
	})
	t.Run("in time", func(t *testing.T) {
		s, other := newServer(t, false), newServer(t, true)
		pool := newPool(t, func(limits *http.Transport) { limits.IdleConnTimeout = 50 * time.Millisecond })
		keep(t, pool, s, 2)
		keep(t, pool, other, 1)
		s.hasOpen(t, 0)
		other.hasOpen(t, 0)
		// And again, after none was left.
		keep(t, pool, s, 1)
		s.hasOpen(t, 0)
	})
	t.Run("a connection in use is not idle, however long", func(t *testing.T) {
		s := newServer(t, true)
		pool := newPool(t, func(limits *http.Transport) { limits.IdleConnTimeout = 20 * time.Millisecond })
		conn := get(t, pool, s, false, false)
		var call sync.WaitGroup
		call.Go(func() {
			exchange(t, conn, s, "/wait")
			conn.Release(true)
		})
		other := newServer(t, false)
		keep(t, pool, other, 2)
		other.hasOpen(t, 0) // so the time is over
		s.hasOpen(t, 1)
		close(s.goOn)
		call.Wait()
		s.hasOpen(t, 0)
	})
}

func TestPoolDropsWhatTheServerEnds(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, http2)
			pool := newPool(t, nil)
			conn := get(t, pool, s, false, false)
			exchange(t, conn, s, "/")
			conn.Release(true)
			s.CloseClientConnections()
			s.hasOpen(t, 0)
			// The pool may hear of it a moment later.
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
				conn, used, err := pool.Get(t.Context(), parse(t, s.URL), false)
				if err != nil {
					t.Fatal(err)
				}
				conn.Release(false)
				if !used {
					break
				}
				if time.Now().After(end) {
					t.Fatal("the pool keeps a connection that the server has ended")
				}
			}
		})
	}
}

// TestSilent has four kept connections to a host and one to another, and one more that stays silent.
func TestSilent(t *testing.T) {
	for name, test := range map[string]struct {
		ago   time.Duration // when the silent call began
		spare int           // how many of the host's kept connections stay
	}{
		"no answer came since the call began: they may be dead, too": {0, 0},
		"answers came in the second half of the call: slow only":     {time.Hour, 4},
	} {
		t.Run(name, func(t *testing.T) {
			s, other := newServer(t, false), newServer(t, false)
			pool := newPool(t, nil)
			keep(t, pool, s, 4)
			keep(t, pool, other, 1)
			silent := get(t, pool, s, true, false)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			since := time.Now().Add(-test.ago)
			if _, err := silent.RoundTrip(outbound.NewRequest(ctx, parse(t, s.URL+"/wait"), http.Header{}, nil)); !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v", err)
			}
			silent.Silent(since)
			close(s.goOn)
			s.hasOpen(t, test.spare)
			other.hasOpen(t, 1)
			conn := get(t, pool, s, false, test.spare > 0)
			exchange(t, conn, s, "/")
			conn.Release(true)
		})
	}
}

// Over HTTP/2 calls share the silent connection: those under way go on, and those that come take another one.
func TestSilentHTTP2(t *testing.T) {
	s := newServer(t, true)
	pool := newPool(t, nil)
	conn := get(t, pool, s, false, false)
	exchange(t, conn, s, "/")
	conn.Release(true)

	var calls sync.WaitGroup
	silent := get(t, pool, s, false, true)
	underway := get(t, pool, s, false, true)
	calls.Go(func() {
		exchange(t, underway, s, "/wait")
		underway.Release(true)
	})
	silent.Silent(time.Now())
	conn = get(t, pool, s, false, false)
	exchange(t, conn, s, "/")
	conn.Release(true)
	s.hasOpen(t, 2)
	close(s.goOn)
	calls.Wait()
	s.hasOpen(t, 1)

	// One that answers others is not silent.
	silent = get(t, pool, s, false, true)
	silent.Silent(time.Now().Add(-time.Hour))
	get(t, pool, s, false, true).Release(true)
}

func TestPoolClosesWhatIsInUseAfterwards(t *testing.T) {
	s := newServer(t, false)
	pool := newPool(t, nil)
	conn := get(t, pool, s, false, false)
	var call sync.WaitGroup
	call.Go(func() {
		exchange(t, conn, s, "/wait")
		conn.Release(true)
	})
	pool.Close()
	s.hasOpen(t, 1)
	close(s.goOn)
	call.Wait()
	s.hasOpen(t, 0)
	late := get(t, pool, s, false, false) // from a call that found the pool before it was replaced
	exchange(t, late, s, "/")
	late.Release(true)
	s.hasOpen(t, 0)
}

// slowHandshakes is an HTTP/2 server and a pool for it. The first handshake waits for the first function that it
// returns, all others for the second one.
func slowHandshakes(t *testing.T) (s *server, pool *outbound.Pool, first, others func()) {
	t.Helper()
	s = newServer(t, true)
	one, all := make(chan struct{}), make(chan struct{})
	var begun atomic.Int32
	config := s.TLS.Clone()
	s.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if begun.Add(1) == 1 {
			<-one
		} else {
			<-all
		}
		return config, nil
	}
	first, others = sync.OnceFunc(func() { close(one) }), sync.OnceFunc(func() { close(all) })
	t.Cleanup(first)
	t.Cleanup(others)
	return s, newPool(t, nil), first, others
}

// A burst of calls to an HTTP/2 server needs one handshake, not one for each.
func TestPoolSharesTheFirstConnection(t *testing.T) {
	s, pool, first, others := slowHandshakes(t)
	first()
	var calls sync.WaitGroup
	for range 16 {
		calls.Go(func() {
			conn, _, err := pool.Get(t.Context(), parse(t, s.URL), false)
			if err != nil {
				t.Error(err)
				return
			}
			exchange(t, conn, s, "/")
			conn.Release(true)
		})
	}
	calls.Wait() // the other handshakes hang
	others()
	s.hasOpen(t, 1)
}

// A handshake that outlasts its call makes a connection for the next one: otherwise no call of a server with slow
// handshakes would ever get one.
func TestPoolFinishesTheHandshake(t *testing.T) {
	s, pool, first, others := slowHandshakes(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := pool.Get(ctx, parse(t, s.URL), false); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v", err)
	}
	next := make(chan *outbound.Conn)
	go func() {
		conn, _, err := pool.Get(t.Context(), parse(t, s.URL), false)
		if err != nil {
			t.Error(err)
		}
		next <- conn
	}()
	first()
	conn := <-next // its own handshake hangs
	if conn == nil {
		return
	}
	exchange(t, conn, s, "/")
	conn.Release(true)
	others()
	s.hasOpen(t, 1)
}

// A path may die in the middle of a handshake. A call that must have a new connection does not take one that was begun
// before it, even if that is ready after.
func TestPoolFreshLeavesOutWhatWasBegunBefore(t *testing.T) {
	s, pool, first, others := slowHandshakes(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := pool.Get(ctx, parse(t, s.URL), false); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v", err)
	}
	fresh := make(chan *outbound.Conn)
	asked := make(chan struct{})
	go func() {
		close(asked)
		conn, _, err := pool.Get(t.Context(), parse(t, s.URL), true)
		if err != nil {
			t.Error(err)
		}
		fresh <- conn
	}()
	<-asked
	s.hasOpen(t, 2) // both handshakes wait
	first()
	older := get(t, pool, s, false, false) // its own handshake waits, so this is the first one
	exchange(t, older, s, "/")
	others()
	conn := <-fresh
	if conn == nil {
		return
	}
	if conn == older {
		t.Error("it got the connection that was begun before it")
	}
	exchange(t, conn, s, "/")
	conn.Release(true)
	older.Release(true)
}

// A call that waits for its connection takes one that another call gives back, unless it must be a new one.
func TestPoolTakesTheFirstThatIsReady(t *testing.T) {
	s := newServer(t, false)
	var dials atomic.Int32
	hang := make(chan struct{})
	pool := newPool(t, func(transport *http.Transport) {
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials.Add(1) > 1 {
				<-hang
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	})
	first := get(t, pool, s, false, false)
	exchange(t, first, s, "/")

	type got struct {
		conn *outbound.Conn
		used bool
		err  error
	}
	wait := func(fresh bool) <-chan got {
		c := make(chan got, 1)
		before := dials.Load()
		go func() {
			conn, used, err := pool.Get(t.Context(), parse(t, s.URL), fresh)
			c <- got{conn, used, err}
		}()
		for dials.Load() == before {
			time.Sleep(time.Millisecond)
		}
		return c
	}
	fresh, any := wait(true), wait(false)
	first.Release(true)
	second := <-any
	if second.conn != first || !second.used || second.err != nil {
		t.Errorf("got %+v, want the connection that was given back", second)
	}
	exchange(t, second.conn, s, "/")
	second.conn.Release(true)
	select {
	case g := <-fresh:
		t.Errorf("got %+v, want a new connection", g)
	default:
	}
	close(hang)
	if g := <-fresh; g.err != nil || g.used || g.conn == first {
		t.Errorf("got %+v, want a new connection", g)
	} else {
		exchange(t, g.conn, s, "/")
		g.conn.Release(true)
	}
	s.hasOpen(t, 3) // the dial that was not needed has made one, too
}

// What is over before it begins says nothing about the connections.
func TestPoolWithoutTime(t *testing.T) {
	s := newServer(t, false)
	pool := newPool(t, nil)
	keep(t, pool, s, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, fresh := range []bool{false, true} {
		if _, _, err := pool.Get(ctx, parse(t, s.URL), fresh); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
	get(t, pool, s, false, true).Release(false)
}

func TestPoolAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"http://a.example/x":        "a.example:80",
		"https://a.example":         "a.example:443",
		"https://a.example:8443":    "a.example:8443",
		"http://bücher.example":     "xn--bcher-kva.example:80",
		"https://BÜCHER.example:1":  "xn--bcher-kva.example:1",
		"http://under_score.a:1":    "under_score.a:1",
		"http://[fd00::1%25eth0]:1": "[fd00::1%eth0]:1",
		"http://[::1]":              "[::1]:80",
	} {
		t.Run(text, func(t *testing.T) {
			var got string
			no := errors.New("not in this test")
			transport := outbound.NewTransport(nil)
			transport.DialContext = func(_ context.Context, _, address string) (net.Conn, error) {
				got = address
				return nil, no
			}
			if _, _, err := outbound.NewPool(transport).Get(t.Context(), parse(t, text), false); !errors.Is(err, no) || got != want {
				t.Errorf("dialed %q: %v, want %q", got, err, want)
			}
		})
	}
}
