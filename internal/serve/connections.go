package serve

import (
	linked "container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

const (
	// maxConnections is how many callers may be connected to the TLS listener. API servers use
	// one for each review that they wait for, and send at most some hundred at the same time.
	maxConnections = 1000

	// maxHTTP2 is how many of them may speak HTTP/2, of which one carries many reviews. API servers use HTTP/1.1, except for
	// URLs on localhost.
	maxHTTP2 = 8
)

// http2Bounds bound what net/http buffers of one HTTP/2 connection, which AMP_IN_FLIGHT_BYTES does not count: what a caller
// sends before amp reads it. All connections together take 16 MiB.
func http2Bounds() *http.HTTP2Config {
	return &http.HTTP2Config{
		// Before they know the limits, clients begin as many streams and send as many bytes, and lose what is refused.
		MaxConcurrentStreams:      100,
		MaxReceiveBufferPerStream: 64 << 10,
		// A review that waits for memory takes a part of it, and must not hold up those that amp reads.
		MaxReceiveBufferPerConnection: 2 << 20,
		MaxReadFrameSize:              16 << 10, // the least that HTTP/2 allows: there is a buffer for one frame
	}
}

// boundConnections returns an [http.Server]'s ConnState that bounds its connections.
func boundConnections() func(net.Conn, http.ConnState) {
	all, http2 := newConnections(maxConnections), newConnections(maxHTTP2)
	return func(conn net.Conn, state http.ConnState) {
		all.changed(conn, state)
		if state != http.StateNew && (state == http.StateClosed || isHTTP2(conn)) { // a new one has no protocol yet
			http2.changed(conn, state)
		}
	}
}

func isHTTP2(conn net.Conn) bool {
	secure, ok := conn.(*tls.Conn)
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}

// connections bounds the connections of a server. If there are too many, the one that has been idle for longest is closed,
// so that a caller that only stays connected does not lock others out. If none is idle, it is the newest.
type connections struct {
	max int

	mu   sync.Mutex
	open map[net.Conn]*linked.Element // nil while a request is under way
	idle linked.List                  // of net.Conn, the longest idle first
}

func newConnections(limit int) *connections {
	return &connections{max: limit, open: map[net.Conn]*linked.Element{}}
}

func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.open[conn]; at != nil {
		c.idle.Remove(at)
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		return
	case http.StateNew, http.StateIdle:
		c.open[conn] = c.idle.PushBack(conn)
	default:
		c.open[conn] = nil
	}
	if len(c.open) <= c.max {
		return
	}
	tooMany := conn
	if oldest := c.idle.Front(); oldest != nil {
		tooMany = c.idle.Remove(oldest).(net.Conn)
	}
	delete(c.open, tooMany)
	// Not under the lock: over TLS, it says good-bye to a caller who may not listen.
	go func() { _ = tooMany.Close() }() // it may be closed already
}
