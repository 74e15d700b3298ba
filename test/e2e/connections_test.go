package e2e

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/txn2/amp/test/e2e/harness"
)

// TestDeadConnections creates eight Pods at once, so that amp keeps eight connections to the endpoint. Then their path
// dies, and new connections work: a node is lost, or an entry of conntrack or NAT. At most one of the Pods that come
// after it fails.
func TestDeadConnections(t *testing.T) {
	w := anyWorld(t)
	w.With(t) // one replica: each has connections of its own
	for what, test := range map[string]struct {
		reset bool // whether the next packet is answered with RST; otherwise it vanishes
		most  int  // Pods that may fail
	}{
		"packets vanish": {false, 1},
		"RST":            {true, 0},
	} {
		t.Run(what, func(t *testing.T) {
			var together atomic.Pointer[sync.WaitGroup]
			endpoint := harness.Serve(t, func(rw http.ResponseWriter, r *http.Request) {
				if group := together.Load(); group != nil {
					group.Done()
					group.Wait()
				}
				harness.Labels("changed", "yes")(rw, r)
			})
			path := newPath(t, endpoint.URL)
			ns := w.Namespace(t, harness.Enabled("http://"+path.address))

			var group sync.WaitGroup
			group.Add(8)
			together.Store(&group)
			var creates sync.WaitGroup
			for _, name := range strings.Fields("a b c d e f g h") {
				creates.Go(func() {
					if c := ns.Create(harness.Pod(name, harness.Labelled("app", "web"))); c.Err != nil {
						t.Error(c.Err)
					}
				})
			}
			creates.Wait()
			together.Store(nil)
			if t.Failed() {
				t.Fatal("the Pods were refused before the path died")
			}

			if ended := path.end(test.reset); ended != 8 {
				t.Fatalf("amp kept %d connections, want 8", ended)
			}
			failed := 0
			for _, name := range strings.Fields("i j k l m n o p q r") {
				c := ns.Create(harness.Pod(name, harness.Labelled("app", "web")))
				if c.Err != nil {
					failed++
					t.Log(c.Err)
				} else if c.Labels["changed"] != "yes" {
					t.Errorf("Pod %s was not changed", name)
				}
			}
			if failed > test.most {
				t.Errorf("%d Pods failed, want at most %d", failed, test.most)
			}
		})
	}
}

// path is the way to an endpoint, which can end for the connections that there are.
type path struct {
	address string
	mu      sync.Mutex
	open    map[*net.TCPConn]*atomic.Int32 // amp's connections: whether they pass on, or what becomes of them
}

const (
	passes = iota
	vanishes
	resets
)

func newPath(t *testing.T, endpoint string) *path {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &path{address: listener.Addr().String(), open: map[*net.TCPConn]*atomic.Int32{}}
	var accepting, all sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.DialTimeout("tcp", to.Host, 5*time.Second)
			if err != nil {
				conn.Close()
				continue
			}
			in, fate := conn.(*net.TCPConn), new(atomic.Int32)
			p.mu.Lock()
			p.open[in] = fate
			p.mu.Unlock()
			all.Go(func() { p.forward(in, in, out.(*net.TCPConn), fate) })
			all.Go(func() { p.forward(in, out.(*net.TCPConn), in, fate) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		accepting.Wait()
		p.mu.Lock()
		for in := range p.open {
			in.Close()
		}
		p.mu.Unlock()
		all.Wait()
	})
	return p
}

// forward passes on bytes of a connection, in is amp's side of it.
func (p *path) forward(in, from, to *net.TCPConn, fate *atomic.Int32) {
	defer func() {
		p.mu.Lock()
		delete(p.open, in)
		p.mu.Unlock()
		from.Close()
		to.Close()
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if fate.Load() == resets && from == in {
			in.SetLinger(0)
			return
		}
		if n > 0 && fate.Load() == passes {
			to.Write(buf[:n])
		}
		if err != nil {
			return
		}
	}
}

// end ends the path for the connections that there are, and returns how many these are.
func (p *path) end(reset bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, fate := range p.open {
		fate.Store(vanishes)
		if reset {
			fate.Store(resets)
		}
	}
	return len(p.open)
}
