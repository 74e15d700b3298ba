package outbound

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Pool keeps connections for the requests that follow. It sends nothing by itself. It differs from the pool of an
// [http.Transport] in three ways:
//
//   - A request goes out once. A Transport repeats one by itself; over HTTP/2 it does so without end, if each
//     connection ends with GOAWAY.
//   - Get returns a new connection if it is asked for one. A Transport would use the next kept connection, which is as
//     dead as the one before if the path has died.
//   - A call that ends without an answer takes the kept connections of the host with it ([Conn.Silent]).
type Pool struct {
	transport *http.Transport // makes the connections and holds the limits; it keeps none

	mu      sync.Mutex
	kept    map[host][]*Conn // those that can take a call; the last one is used next
	count   int              // of them
	expiry  *time.Timer      // calls expire; nil while kept is empty
	waiting map[host][]*waiter
	closed  bool
}

// host is the scheme and the host of URLs, as they spell it: what the pool's owner checks of a connection depends on
// the host, so that no connection serves two.
type host struct{ scheme, host string }

// Conn is a connection of a [Pool]. It carries one call at a time, or over HTTP/2 many.
type Conn struct {
	client *http.ClientConn
	pool   *Pool
	host   host
	raw    net.Conn  // beneath TLS
	began  time.Time // when the pool began to make it

	// Under the pool's lock.
	calls   int       // under way
	heard   time.Time // when an answer was last read; before the first, when the connection was made
	proven  bool      // whether an answer was read
	kept    bool      // whether it is in the pool's list
	retired bool      // whether it takes no further call
}

// NewPool returns a pool whose connections t makes. It uses t's settings for connections and the limits MaxIdleConns,
// MaxIdleConnsPerHost and IdleConnTimeout. t must have a DialContext, and must not be used otherwise.
func NewPool(t *http.Transport) *Pool {
	t.DialContext = dialWith(t.DialContext)
	return &Pool{transport: t, kept: make(map[host][]*Conn), waiting: make(map[host][]*waiter)}
}

// Get returns a connection for one call of u, and whether an answer came over it before. It takes a kept connection, or
// makes a new one; of that and of those that others give back meanwhile, it takes the first. With fresh, all that were
// begun before Get are left out: a path may die while a connection is being made. After the call, the caller calls Release or Silent, once.
func (p *Pool) Get(ctx context.Context, u *url.URL, fresh bool) (c *Conn, used bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	h := host{u.Scheme, u.Host}
	if !fresh {
		if c, used = p.take(h); c != nil {
			return c, used, nil
		}
	}
	return p.connect(ctx, h, u, fresh)
}

// take returns a kept connection that can take a call; nil if there is none.
func (p *Pool) take(h host) (c *Conn, used bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for list := p.kept[h]; len(list) > 0; list = p.kept[h] {
		c := list[len(list)-1]
		err := c.client.Reserve()
		if err != nil || c.client.Available() == 0 {
			p.unlist(c) // release lists it again if it can
		}
		if err == nil {
			c.calls++
			return c, c.proven
		}
		if c.calls == 0 { // the server has ended it
			shut([]*Conn{c})
		}
	}
	return nil, false
}

// RoundTrip sends a request and returns the answer's head. It never repeats the request.
func (c *Conn) RoundTrip(req *http.Request) (*http.Response, error) { return c.client.RoundTrip(req) }

// Release ends a call. answered says that an answer was read, whatever it was; its body must be closed.
func (c *Conn) Release(answered bool) {
	p := c.pool
	p.mu.Lock()
	if answered {
		c.heard = time.Now()
		if !c.proven {
			c.proven = true
			watch(c.raw)
		}
	}
	ended := p.release(c, nil)
	p.mu.Unlock()
	shut(ended)
}

// Silent ends a call that began at since and got no answer in its time, or only a part of one. Perhaps the server is
// slow, or perhaps the path to it died: then packets vanish, and each kept connection of the host would cost a further
// call all of its time. So Silent retires those on which no answer came in the second half of the call's time. A path
// that died in the first half carried none after it. A server that is only slow keeps the connections that are in use.
//
// A retired connection takes no further call. It is closed when those under way have ended.
func (c *Conn) Silent(since time.Time) {
	p := c.pool
	now := time.Now()
	half := since.Add(now.Sub(since) / 2)
	silent := func(c *Conn) bool { return c.heard.Before(half) }
	p.mu.Lock()
	ended := p.retire(c.host, silent)
	c.retired = c.retired || silent(c)
	ended = p.release(c, ended)
	p.mu.Unlock()
	shut(ended)
}

// Close closes all connections, those in use when their calls have ended.
func (p *Pool) Close() {
	var ended []*Conn
	p.mu.Lock()
	p.closed = true
	for h := range p.kept {
		ended = append(ended, p.retire(h, func(*Conn) bool { return true })...)
	}
	p.mu.Unlock()
	shut(ended)
}

// release ends a call of c. It appends the connections to close to ended.
func (p *Pool) release(c *Conn, ended []*Conn) []*Conn {
	c.calls--
	room := 0
	if !c.retired && !p.closed {
		room = c.client.Available()
	}
	idle := c.calls == 0
	switch {
	case idle && (room == 0 || room > 1 && p.spare(c) || !c.kept && len(p.kept[c.host]) >= p.transport.MaxIdleConnsPerHost):
		p.unlist(c)
		return append(ended, c)
	case room > 0 && !c.kept:
		p.list(c)
		if limit := p.transport.MaxIdleConns; limit > 0 && p.count > limit {
			ended = append(ended, p.evict()...)
		}
	}
	return ended
}

// spare reports whether another kept connection makes c, which is idle, unnecessary: one that takes many calls. That
// is so after a burst of calls to an HTTP/2 server of which no connection was kept.
func (p *Pool) spare(c *Conn) bool {
	return slices.ContainsFunc(p.kept[c.host], func(other *Conn) bool { return other != c && other.client.Available() > 1 })
}

// list gives c to those that wait for a connection, and adds it to the kept ones if it can take still more.
func (p *Pool) list(c *Conn) {
	if p.serve(c); c.client.Available() == 0 {
		return // release lists it again
	}
	p.kept[c.host] = append(p.kept[c.host], c)
	p.count++
	c.kept = true
	if p.expiry == nil {
		p.expiry = time.AfterFunc(p.transport.IdleConnTimeout, p.expire)
	}
}

// unlist removes c from the kept connections, if it is one. It leaves a host without a connection to expire, because
// usually one comes back soon.
func (p *Pool) unlist(c *Conn) {
	if !c.kept {
		return
	}
	list := p.kept[c.host]
	i := len(list) - 1
	for list[i] != c {
		i--
	}
	p.kept[c.host] = slices.Delete(list, i, i+1)
	p.count--
	c.kept = false
}

// retire retires the kept connections of a host for which which is true. It returns those to close.
func (p *Pool) retire(h host, which func(*Conn) bool) (ended []*Conn) {
	for _, c := range slices.Clone(p.kept[h]) {
		if which(c) {
			p.unlist(c)
			if c.retired = true; c.calls == 0 {
				ended = append(ended, c)
			}
		}
	}
	return ended
}

// evict retires the connection that has been idle for longest.
func (p *Pool) evict() []*Conn {
	var oldest *Conn
	for _, list := range p.kept {
		for _, c := range list {
			if c.calls == 0 && (oldest == nil || c.heard.Before(oldest.heard)) {
				oldest = c
			}
		}
	}
	if oldest == nil {
		return nil
	}
	return p.retire(oldest.host, func(c *Conn) bool { return c == oldest })
}

// expire closes the connections that were idle for IdleConnTimeout, and comes back while there are others.
func (p *Pool) expire() {
	var ended []*Conn
	timeout := p.transport.IdleConnTimeout
	next := timeout
	p.mu.Lock()
	for h := range p.kept {
		ended = append(ended, p.retire(h, func(c *Conn) bool {
			left := timeout - time.Since(c.heard)
			if c.calls == 0 && left > 0 {
				next = min(next, left)
			}
			return c.calls == 0 && left <= 0
		})...)
		if len(p.kept[h]) == 0 {
			delete(p.kept, h)
		}
	}
	if p.expiry = nil; len(p.kept) > 0 {
		p.expiry = time.AfterFunc(next, p.expire)
	}
	p.mu.Unlock()
	shut(ended)
}

// shut closes connections without waiting for it: closing one under TLS sends something, and may block for seconds.
func shut(ended []*Conn) {
	if len(ended) == 0 {
		return
	}
	go func() {
		for _, c := range ended {
			_ = c.client.Close()
		}
	}()
}
