package callout_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// fate is what becomes of a connection's path.
type fate int32

const (
	alive    fate = iota
	silent        // bytes are acknowledged, and go nowhere: a proxy on the way is left without its server
	vanished      // packets go nowhere, unacknowledged: a node is lost
	rst           // the next packet is answered RST: an entry of conntrack or NAT is lost
)

func (f fate) String() string { return [...]string{"alive", "silent", "vanished", "reset"}[f] }

// front is the way to a server. What it does to the connections that there are does not concern those that come
// later.
type front struct {
	address string

	mu    sync.Mutex
	paths []*path
}

// path is one connection through a front.
type path struct {
	in, out *net.TCPConn
	fate    atomic.Int32
}

func newFront(t testing.TB, server net.Addr) *front {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{address: listener.Addr().String()}
	var accepting, open sync.WaitGroup
	accepting.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", server.String())
			if err != nil {
				in.Close()
				continue
			}
			p := &path{in: in.(*net.TCPConn), out: out.(*net.TCPConn)}
			f.mu.Lock()
			f.paths = append(f.paths, p)
			f.mu.Unlock()
			open.Go(func() { p.forward(p.out, p.in) })
			open.Go(func() { p.forward(p.in, p.out) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		accepting.Wait()
		f.mu.Lock()
		for _, p := range f.paths {
			p.in.Close()
			p.out.Close()
		}
		f.mu.Unlock()
		open.Wait()
	})
	return f
}

// forward passes on what comes, as long as the path is alive.
func (p *path) forward(to, from *net.TCPConn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		switch fate(p.fate.Load()) {
		case alive:
			if n > 0 {
				to.Write(buf[:n])
			}
			if err != nil {
				p.in.Close()
				p.out.Close()
			}
		case rst:
			if from == p.in {
				p.in.SetLinger(0)
				p.in.Close()
			}
		}
		if err != nil {
			return
		}
	}
}

// end gives all connections of the front their fate.
func (f *front) end(t testing.TB, fate fate) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.paths {
		p.fate.Store(int32(fate))
		if fate == vanished {
			deafen(t, p.in)
		}
	}
}

// made is how many connections there have been.
func (f *front) made() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.paths)
}
