package outbound_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/txn2/amp/internal/outbound"
)

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
