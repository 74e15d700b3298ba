package serve

import (
	linked "container/list"
	"net"
	"net/http"
	"sync"
)

// maxConnections is how many callers may be connected to the TLS listener. An idle connection takes some 30 KB. API servers
// use one for each review that they wait for, and send at most some hundred at the same time.
const maxConnections = 1000

// connections bounds the connections of a server. If there are too many, the one that has been idle for longest is closed:
// so nobody can lock others out by being connected.
type connections struct {
	max int

	mu   sync.Mutex
	open map[net.Conn]*linked.Element // nil while a request is under way
	idle linked.List                  // of net.Conn, the longest idle first
}

func newConnections(limit int) *connections {
	return &connections{max: limit, open: map[net.Conn]*linked.Element{}}
}

// changed is an [http.Server]'s ConnState.
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
	if len(c.open) <= c.max || c.idle.Len() == 0 {
		return
	}
	oldest := c.idle.Remove(c.idle.Front()).(net.Conn)
	delete(c.open, oldest)
	// Not under the lock: over TLS, it says good-bye to a caller who may not listen.
	go func() { _ = oldest.Close() }() // it may be closed already
}
