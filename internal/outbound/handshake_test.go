package outbound_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/txn2/amp/internal/outbound"
)

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
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
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
