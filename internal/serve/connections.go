package serve

import (
	"crypto/tls"
	"net"
	"net/http"

	"github.com/txn2/amp/internal/connlimit"
)

const (
	// maxConnections is how many callers may be connected to the TLS listener. API servers use
	// one for each review that they wait for, and send at most some hundred at the same time.
	maxConnections = 1000

	// maxHTTP2 is how many of them may speak HTTP/2, of which one carries many reviews. API servers use HTTP/1.1, except for
	// URLs on localhost.
	maxHTTP2 = 8

	// maxHeaderBytes is the most that the headers of one request may have, and 4 KiB more. API servers and scrapers send less
	// than 2 KiB, and a token if a kubeconfig for webhooks has one. With net/http's own limit of 1 MiB, the headers of all
	// connections would not fit in memory.
	maxHeaderBytes = 16 << 10

	// maxScrapers is how many callers may be connected to the listener for metrics.
	maxScrapers = 64
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
	all, http2 := connlimit.New(maxConnections), connlimit.New(maxHTTP2)
	return func(conn net.Conn, state http.ConnState) {
		endBeginning(conn, state)
		all.ConnState(conn, state)
		if state != http.StateNew && (state == http.StateClosed || isHTTP2(conn)) { // a new one has no protocol yet
			http2.ConnState(conn, state)
		}
	}
}

func isHTTP2(conn net.Conn) bool {
	secure, ok := conn.(*tls.Conn)
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}
