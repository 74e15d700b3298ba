package outbound

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// waiter is a call without a connection. It takes the one that it makes, or another one that is ready before.
type waiter struct {
	fresh bool
	since time.Time
	ready chan *Conn // gets one connection, with a call on it
	used  bool       // whether an answer came over it before
}

// dialing is what a dialed connection needs of the call for which it is made.
type dialing struct {
	ctx  context.Context // of the call
	done chan struct{}   // closed when raw is set
	raw  net.Conn
}

// dialingKey is the key of the *dialing among a context's values.
type dialingKey struct{}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// dialWith returns a dial that keeps to the context of the call, which ends it and gives it a time to divide among the
// addresses of a name. The TLS handshake that follows has the other context, which does not end with the call: a
// handshake that takes longer than a call still makes a connection for the next one.
func dialWith(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		d := ctx.Value(dialingKey{}).(*dialing)
		conn, err := dial(d.ctx, network, addr)
		if err == nil {
			d.raw = conn
			close(d.done)
		}
		return conn, err
	}
}

// connect makes a connection, or returns another one that is ready before it. If the context ends in the TLS handshake,
// the error is the context's.
func (p *Pool) connect(ctx context.Context, h host, u *url.URL, fresh bool) (*Conn, bool, error) {
	w := &waiter{fresh: fresh, since: time.Now(), ready: make(chan *Conn, 1)}
	p.mu.Lock()
	p.waiting[h] = append(p.waiting[h], w)
	p.mu.Unlock()
	d := &dialing{ctx: ctx, done: make(chan struct{})}
	failed := make(chan error, 1)
	go p.dial(d, h, u, w, failed)

	var err error
	select {
	case c := <-w.ready:
		return c, w.used, nil
	case err = <-failed:
	case <-ctx.Done():
		select {
		case err = <-failed: // the context has ended the dial
		case <-d.done:
			err = ctx.Err()
		}
	}
	var ended []*Conn
	p.mu.Lock()
	if p.gone(h, w); len(w.ready) > 0 { // a moment ago
		c := <-w.ready
		if ctx.Err() == nil {
			p.mu.Unlock()
			return c, w.used, nil
		}
		ended = p.release(c, nil)
	}
	p.mu.Unlock()
	shut(ended)
	return nil, false, err
}

// dial makes a connection for w. If w has another one by then, or has given up, the new one is kept for others.
func (p *Pool) dial(d *dialing, h host, u *url.URL, w *waiter, failed chan<- error) {
	ctx := context.WithValue(context.WithoutCancel(d.ctx), dialingKey{}, d)
	began := time.Now()
	client, err := p.transport.NewClientConn(ctx, u.Scheme, address(u))
	if err != nil {
		failed <- err
		return
	}
	c := &Conn{client: client, pool: p, host: h, raw: d.raw, began: began, heard: time.Now()}
	p.mu.Lock()
	if p.gone(h, w) {
		_ = client.Reserve() // if it has ended already, RoundTrip says why
		c.calls++
		w.ready <- c
	}
	c.calls++ // so that it can be released, as if it came from a call
	ended := p.release(c, nil)
	p.mu.Unlock()
	shut(ended)
}

// serve gives c to those who wait for a connection like it, as far as it can take calls.
func (p *Pool) serve(c *Conn) {
	for _, w := range slices.Clone(p.waiting[c.host]) {
		if w.fresh && c.began.Before(w.since) {
			continue
		}
		if c.client.Reserve() != nil {
			return
		}
		p.gone(c.host, w)
		c.calls++
		w.used = c.proven
		w.ready <- c
	}
}

// gone ends the waiting of w. It reports whether w waited still.
func (p *Pool) gone(h host, w *waiter) bool {
	i := slices.Index(p.waiting[h], w)
	if i < 0 {
		return false
	}
	if p.waiting[h] = slices.Delete(p.waiting[h], i, i+1); len(p.waiting[h]) == 0 {
		delete(p.waiting, h)
	}
	return true
}

// address returns the host and port of a URL as a dialer takes them.
func address(u *url.URL) string {
	name := u.Hostname()
	if strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) {
		name = punycode(name)
	}
	return net.JoinHostPort(name, strconv.Itoa(int(Port(u))))
}

// punycode writes a host in Unicode as DNS has it. net/http does that for the header Host, without a function for others.
// idna.Lookup of golang.org/x/net would add its tables, 98 kB, a second time.
func punycode(host string) string {
	var request bytes.Buffer
	if err := (&http.Request{URL: &url.URL{Scheme: "http", Host: strings.ToLower(host)}}).Write(&request); err != nil {
		return host // which no look-up finds
	}
	sent, err := http.ReadRequest(bufio.NewReader(&request))
	if err != nil {
		return host
	}
	return sent.Host
}
