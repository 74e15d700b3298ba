// Package connlimit bounds how many callers may be connected to an [http.Server]. Each connection takes memory, about 20 KB, for
// as long as its caller stays.
package connlimit

import (
	linked "container/list"
	"net"
	"net/http"
	"sync"
)

// Limit bounds the connections of one server. If there are too many, the one that has been idle for longest is closed, so that
// a caller that only stays connected does not lock others out. If none is idle, the newest is closed.
//
// netutil.LimitListener of golang.org/x/net would let new callers wait instead, without end.
type Limit struct {
	max int

	mu   sync.Mutex
	open map[net.Conn]*linked.Element // nil while a request is under way
	idle linked.List                  // of net.Conn, the longest idle first
}

// New returns a limit of max connections.
func New(max int) *Limit {
	return &Limit{max: max, open: map[net.Conn]*linked.Element{}}
}

// ConnState is an [http.Server]'s ConnState.
func (l *Limit) ConnState(conn net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := l.open[conn]; at != nil {
		l.idle.Remove(at)
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(l.open, conn)
		return
	case http.StateNew, http.StateIdle:
		l.open[conn] = l.idle.PushBack(conn)
	default:
		l.open[conn] = nil
	}
	if len(l.open) <= l.max {
		return
	}
	tooMany := conn
	if oldest := l.idle.Front(); oldest != nil {
		tooMany = l.idle.Remove(oldest).(net.Conn)
	}
	delete(l.open, tooMany)
	// Not under the lock: over TLS, it says good-bye to a caller who may not listen.
	go func() { _ = tooMany.Close() }() // it may be closed already
}

// BusyToo is ConnState for a server whose requests are short. There a connection that has been busy for long is one that does
// not read, or does not end its body, and makes room like an idle one.
func (l *Limit) BusyToo(conn net.Conn, state http.ConnState) {
	if state != http.StateActive {
		l.ConnState(conn, state)
	}
}
