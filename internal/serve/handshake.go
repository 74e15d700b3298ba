package serve

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/txn2/amp/internal/share"
)

// maxFirstBytes is the most that a caller may send until amp has read the headers of its first request: a TLS handshake of some
// kilobytes, the headers, and a part of the body. For each connection, crypto/tls alone would keep up to 256 KiB of a client's
// certificate. It keeps them even if the server did not ask for a certificate.
const maxFirstBytes = 48 << 10

var errLongHandshake = errors.New("the caller has sent more than 48 KiB before its first request")

// listen returns the TLS listener, below TLS. It calls crowd when more than share.Crowd callers have connected and not sent a
// request yet: a handshake takes about a millisecond of a processor.
func listen(address string, crowd func()) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	return &firstBytes{Listener: listener, crowd: crowd}, err
}

// firstBytes is a listener whose connections end if their callers send more than maxFirstBytes too early.
type firstBytes struct {
	net.Listener
	crowd      func()
	beginnings atomic.Int64 // that are not over
}

func (l *firstBytes) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.beginnings.Add(1) > share.Crowd {
		l.crowd()
	}
	return &beginning{Conn: conn, listener: l}, nil
}

// beginning is a connection that counts its first bytes.
type beginning struct {
	net.Conn
	listener *firstBytes
	read     int64       // only the goroutine that reads uses it
	over     atomic.Bool // the headers of a request were read, or it is closed
}

func (b *beginning) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if !b.over.Load() {
		if b.read += int64(n); b.read > maxFirstBytes {
			return 0, errLongHandshake
		}
	}
	return n, err
}

func (b *beginning) end() {
	if !b.over.Swap(true) {
		b.listener.beginnings.Add(-1)
	}
}

func (b *beginning) Close() error {
	b.end()
	return b.Conn.Close()
}

// endBeginning is a part of an [http.Server]'s ConnState.
func endBeginning(conn net.Conn, state http.ConnState) {
	if secure, ok := conn.(*tls.Conn); ok && state == http.StateActive {
		if b, ok := secure.NetConn().(*beginning); ok {
			b.end()
		}
	}
}
