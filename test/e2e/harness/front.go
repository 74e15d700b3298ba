package harness

import (
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Front takes the place of amp's Service: it is the one address that the API server knows. It leads a new connection
// to any replica that is ready. An existing connection stays with its replica, whatever happens to that. If no
// replica is ready, it closes a connection at once.
//
// As in a cluster, it learns a little late of the end of a replica: it asks /readyz every 50 ms.
type Front struct {
	Address string

	listener net.Listener
	mu       sync.Mutex
	replicas map[string]*replica // by address
	open     map[net.Conn]bool
	made     int
}

type replica struct {
	address string
	ready   bool
	stop    context.CancelFunc
}

func newFront() (*Front, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &Front{Address: l.Addr().String(), listener: l, replicas: map[string]*replica{}, open: map[net.Conn]bool{}}
	go f.accept()
	return f, nil
}

// add adds a replica. It gets connections when it is ready.
func (f *Front) add(address string) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &replica{address: address, stop: cancel}
	f.mu.Lock()
	f.replicas[address] = r
	f.mu.Unlock()
	go f.watch(ctx, r)
}

// remove removes a replica. Its connections stay.
func (f *Front) remove(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.replicas[address]; r != nil {
		r.stop()
		delete(f.replicas, address)
	}
}

// watch asks a replica that is ready less often: with each answer both compute a handshake.
func (f *Front) watch(ctx context.Context, r *replica) {
	for {
		pause := 50 * time.Millisecond
		ready := isReady(r.address)
		if ready {
			pause *= 3
		}
		f.mu.Lock()
		r.ready = ready
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// probing makes a connection for each request and accepts any certificate. The key exchange is the cheapest one. Its patience is
// that of the probe in deploy/.
var probing = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{
	DisableKeepAlives: true,
	TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}},
}}

// isReady is the kubelet's readiness probe.
func isReady(address string) bool {
	resp, err := probing.Get("https://" + address + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Ready are the addresses of the replicas that are ready.
func (f *Front) Ready() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var addresses []string
	for _, r := range f.replicas {
		if r.ready {
			addresses = append(addresses, r.address)
		}
	}
	return addresses
}

func (f *Front) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return // closed
		}
		go f.forward(c)
	}
}

func (f *Front) forward(in net.Conn) {
	defer in.Close()
	replicas := f.Ready()
	if len(replicas) == 0 {
		return
	}
	out, err := net.Dial("tcp", replicas[rand.IntN(len(replicas))])
	if err != nil {
		return
	}
	defer out.Close()
	f.track(in, true)
	defer f.track(in, false)

	ended := make(chan struct{}, 2)
	pass := func(to, from net.Conn) {
		io.Copy(to, from)
		to.(*net.TCPConn).CloseWrite()
		ended <- struct{}{}
	}
	go pass(out, in)
	go pass(in, out)
	<-ended
	<-ended
}

func (f *Front) track(c net.Conn, open bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if open {
		f.open[c] = true
		f.made++
	} else {
		delete(f.open, c)
	}
}

// Connections is how many connections were led to a replica so far.
func (f *Front) Connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made
}

func (f *Front) close() {
	f.listener.Close()
	f.mu.Lock()
	for _, r := range f.replicas {
		r.stop()
	}
	f.mu.Unlock()
	f.Break()
}

// Break closes the connections that there are, on both sides.
func (f *Front) Break() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.open {
		c.Close()
	}
}
