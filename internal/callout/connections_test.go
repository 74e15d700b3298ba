package callout_test

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/review"
)

// TestMain lets more tests run at once than there are processors: those of this file wait for most of their time.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	m.Run()
}

// lost is the time of a call that may wait for the whole of it. A TLS handshake has room in it while other tests run.
const lost = 5 * time.Second

// behind is an endpoint behind a front, and a client for it.
type behind struct {
	*front
	client *callout.Client
	url    string
	asked  atomic.Int32
	// block makes the endpoint wait for its end before it answers; nil: it does not wait.
	block atomic.Pointer[chan struct{}]
	half  atomic.Int32 // the status that it answers before it waits; 0: none
}

// protocols are those that an endpoint may speak.
var protocols = []string{"HTTP/1.1", "HTTP/1.1 over TLS", "HTTP/2"}

func newBehind(t *testing.T, protocol string) *behind {
	t.Helper()
	b := &behind{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if want := protocol[:len("HTTP/1")]; !strings.HasPrefix(r.Proto, want) {
			t.Errorf("spoken %s, want %s", r.Proto, protocol)
		}
		b.asked.Add(1)
		if block := b.block.Load(); block != nil {
			if status := int(b.half.Load()); status != 0 {
				w.Header().Set("Content-Length", "2")
				w.WriteHeader(status)
				w.(http.Flusher).Flush()
			}
			<-*block
		}
		io.WriteString(w, "[]")
	}))
	server.Config.ErrorLog = discard
	config := local()
	scheme := "http"
	if protocol == "HTTP/1.1" {
		server.Start()
	} else {
		ca := newAuthority(t, "ca")
		cert, err := tls.X509KeyPair(ca.issue(t, "server", "ep.example"))
		if err != nil {
			t.Fatal(err)
		}
		server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		server.EnableHTTP2 = protocol == "HTTP/2"
		server.StartTLS()
		config.CAFile, scheme = write(t, ca.pem, filepath.Join(t.TempDir(), "ca.pem")), "https"
	}
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	b.front = newFront(t, server.Listener.Addr())
	config.Resolver = everywhere
	b.client = newClient(t, config)
	_, port, _ := net.SplitHostPort(b.address)
	b.url = scheme + "://ep.example:" + port
	return b
}

// wait makes the endpoint wait with each answer to a request that comes from now on. The first function that it returns
// ends that for further requests, the second one for all.
func (b *behind) wait(t *testing.T) (others, all func()) {
	block := make(chan struct{})
	b.block.Store(&block)
	all = sync.OnceFunc(func() {
		b.block.CompareAndSwap(&block, nil)
		close(block)
	})
	t.Cleanup(all) // the server's end waits for its answers
	return func() { b.block.CompareAndSwap(&block, nil) }, all
}

// atOnce makes n calls at once, of which each has left as its time, and returns those that fail. meanwhile, if any, runs
// when all of them have reached the endpoint.
func (b *behind) atOnce(t *testing.T, n int, left time.Duration, meanwhile func()) (failures []*review.Failure) {
	t.Helper()
	var mu sync.Mutex
	var calls sync.WaitGroup
	asked := b.asked.Load()
	for range n {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			defer cancel()
			if _, f := callUnder(ctx, t, b.client, b.url, mutation()); f != nil {
				mu.Lock()
				failures = append(failures, f)
				mu.Unlock()
			}
		})
	}
	if meanwhile != nil {
		b.until(t, asked+int32(n))
		meanwhile()
	}
	calls.Wait()
	return failures
}

// until waits until the endpoint was asked n times in all.
func (b *behind) until(t *testing.T, n int32) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); b.asked.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the endpoint was asked %d times, not %d", b.asked.Load(), n)
		}
	}
}

// keep has n connections kept (over HTTP/2 one).
func (b *behind) keep(t *testing.T, n int) {
	t.Helper()
	_, all := b.wait(t)
	if failures := b.atOnce(t, n, time.Minute, all); failures != nil {
		t.Fatalf("before the path died: %v", failures)
	}
}

// inTurn makes n calls one after the other, of which each has left as its time, and returns how many fail.
func (b *behind) inTurn(t *testing.T, n int, left time.Duration) (failed int) {
	t.Helper()
	for range n {
		for _, f := range b.atOnce(t, 1, left, nil) {
			failed++
			t.Log(f)
		}
	}
	return failed
}

// everyPath runs a test for each protocol and each fate of a path.
func everyPath(t *testing.T, fates []fate, test func(t *testing.T, b *behind, fate fate)) {
	for _, protocol := range protocols {
		for _, fate := range fates {
			t.Run(fmt.Sprintf("%s, %s", protocol, fate), func(t *testing.T) {
				t.Parallel()
				test(t, newBehind(t, protocol), fate)
			})
		}
	}
}

// The path of the kept connections dies, and new connections work: at most one of the reviews that come one after the
// other fails.
func TestDeadConnections(t *testing.T) {
	t.Parallel()
	everyPath(t, []fate{silent, vanished, rst}, func(t *testing.T, b *behind, fate fate) {
		b.keep(t, 8)
		b.end(t, fate)
		// Where the kernel can tell, there is time left for the second try.
		left, most := 10*time.Second, 0
		if fate == silent {
			left, most = lost, 1
		}
		if failed := b.inTurn(t, 12, left); failed > most {
			t.Errorf("%d reviews failed, want at most %d", failed, most)
		}
	})
}

// It dies twice: what was learned of the first time must not hold for the connections after it.
func TestDeadConnectionsAgain(t *testing.T) {
	t.Parallel()
	everyPath(t, []fate{silent, rst}, func(t *testing.T, b *behind, fate fate) {
		for range 2 {
			b.keep(t, 8)
			b.end(t, fate)
			if failed := b.inTurn(t, 9, lost); failed > 1 {
				t.Errorf("%d reviews failed, want at most one", failed)
			}
		}
	})
}

// 8 reviews are in flight on kept connections when the path dies, and 4 further connections are idle: those reviews
// fail at most once, and none fails after them.
func TestDeathInFlight(t *testing.T) {
	t.Parallel()
	everyPath(t, []fate{silent, vanished, rst}, func(t *testing.T, b *behind, fate fate) {
		b.keep(t, 12)
		others, _ := b.wait(t)
		b.atOnce(t, 8, lost, func() {
			b.end(t, fate)
			others()
		})
		if failures := b.atOnce(t, 12, 10*time.Second, nil); failures != nil {
			t.Errorf("after them %d of 12 failed: %v", len(failures), failures[0])
		}
	})
}

// The path dies in the middle of an answer, of which amp has the head: this review fails, and none after it.
func TestDeathInTheMiddleOfAnAnswer(t *testing.T) {
	t.Parallel()
	for _, status := range []int32{http.StatusOK, http.StatusInternalServerError} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			everyPath(t, []fate{silent}, func(t *testing.T, b *behind, fate fate) {
				b.keep(t, 8)
				b.half.Store(status)
				others, _ := b.wait(t)
				b.atOnce(t, 1, lost, func() {
					b.end(t, fate)
					others()
				})
				if failed := b.inTurn(t, 8, 10*time.Second); failed > 0 {
					t.Errorf("%d reviews failed after it", failed)
				}
			})
		})
	}
}

// The callers give up before the time of a review is over, as an API server does whose own client has gone: what they
// waited for in vain counts, too.
func TestDeadConnectionsOfCallersThatGiveUp(t *testing.T) {
	t.Parallel()
	everyPath(t, []fate{silent}, func(t *testing.T, b *behind, fate fate) {
		b.keep(t, 8)
		b.end(t, fate)
		failed := 0
		for range 9 {
			ctx, cancel := context.WithCancel(t.Context())
			timer := time.AfterFunc(lost, cancel)
			if _, f := callUnder(ctx, t, b.client, b.url, mutation()); f != nil {
				failed++
			}
			timer.Stop()
			cancel()
		}
		if failed > 1 {
			t.Errorf("%d reviews failed, want at most one", failed)
		}
	})
}

// All reviews come at once, and the kept connections of all are dead. Where the kernel can tell, none fails.
func TestDeathBeforeABurst(t *testing.T) {
	t.Parallel()
	everyPath(t, []fate{vanished, rst}, func(t *testing.T, b *behind, fate fate) {
		b.keep(t, 16)
		b.end(t, fate)
		if failures := b.atOnce(t, 16, 10*time.Second, nil); failures != nil {
			t.Errorf("%d of 16 failed: %v", len(failures), failures[0])
		}
		if made := b.made(); made > 16+2*16 {
			t.Errorf("%d connections for 16 calls, and 16 with two tries", made)
		}
	})
}

// The second try does not take another kept connection, whatever was wrong with the first one.
func TestRetryTakesANewConnection(t *testing.T) {
	var mu sync.Mutex
	used := map[string]int{} // requests by connection
	var first sync.WaitGroup
	first.Add(3)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		used[r.RemoteAddr]++
		n := used[r.RemoteAddr]
		mu.Unlock()
		switch {
		case r.URL.Path == "/first":
			first.Done()
			first.Wait() // so that each needs a connection of its own
		case n > 1 && r.URL.Path == "/broken":
			panic(http.ErrAbortHandler)
		case n > 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "[]")
	})
	c := newClient(t, local())
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() { call(t, c, srv.URL+"/first") })
	}
	calls.Wait()
	for _, path := range []string{"/busy", "/broken"} {
		if _, failure := call(t, c, srv.URL+path); failure != nil {
			t.Errorf("%s: %v", path, failure)
		}
	}
}
