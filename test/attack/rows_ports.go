package main

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	halfHead = "POST /mutate/fail HTTP/1.1\r\nHost: amp\r\nContent-Type: application/json\r\n"
	halfBody = halfHead + "Content-Length: 5000\r\n\r\n{\"kind\":"
)

// open opens n connections that send a text each, and then nothing. How the i-th is opened, dial says.
func (r *run) open(n int, dial func(i int) (net.Conn, error), text func(i int) string) []net.Conn {
	all := make([]net.Conn, n)
	errs := make([]error, n)
	var opening sync.WaitGroup
	for worker := range 32 {
		opening.Go(func() {
			for i := worker; i < n; i += 32 {
				if all[i], errs[i] = dial(i); errs[i] == nil {
					_, errs[i] = all[i].Write([]byte(text(i)))
				}
			}
		})
	}
	opening.Wait()
	r.atEnd(func() {
		for _, c := range all {
			if c != nil {
				_ = c.Close()
			}
		}
	})
	r.must(errors.Join(errs...))
	return all
}

// closedWithin fails the row if amp does not close all of the connections within the limit. It returns when the last one
// was closed.
func (r *run) closedWithin(limit time.Duration, all []net.Conn) time.Duration {
	began := time.Now()
	var open int
	for _, c := range all {
		_ = c.SetReadDeadline(began.Add(limit))
		for {
			if _, err := c.Read(make([]byte, 4096)); errors.Is(err, os.ErrDeadlineExceeded) {
				open++
				break
			} else if err != nil {
				break
			}
		}
	}
	if open > 0 {
		r.fail("%d of %d connections are still open after %v", open, len(all), limit)
	}
	return time.Since(began)
}

func halfBodies(r *run) {
	in, t := good(), tenants{}
	r.with(t, in)
	p := r.startPlainAmp(t)
	address := strings.TrimPrefix(p.url, "http://")
	dial := func(int) (net.Conn, error) { return net.DialTimeout("tcp", address, 5*time.Second) }
	text := func(int) string { return halfBody }
	all := r.open(1500, dial, text)
	if a := r.review(p, fail, in.name, in.pod); !a.Allowed {
		r.fail("meanwhile: %s", a.message())
	}
	r.saw("1,500 bodies: the last one is closed after %v", r.closedWithin(13*time.Second, all).Round(time.Second))
	r.lives(p)
	r.open(1500, dial, text)
	took := r.stop(p)
	r.saw("with 1,500 more, it ends %v after SIGTERM", took.Round(100*time.Millisecond))
	if took > 13*time.Second {
		r.fail("the limit is the 10 s of a body, and a little")
	}
}

func halfHeaders(r *run) {
	in, t := good(), tenants{}
	r.with(t, in)
	p := r.startAmp(t)
	address := strings.TrimPrefix(p.url, "https://")
	config := func(protocols ...string) *tls.Config {
		return &tls.Config{RootCAs: r.cert.roots, NextProtos: protocols}
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	all := r.open(1500, func(i int) (net.Conn, error) {
		if i%3 == 0 {
			return dialer.Dial("tcp", address) // and no handshake
		}
		return tls.DialWithDialer(dialer, "tcp", address, config("http/1.1"))
	}, func(i int) string { return [...]string{"\x16\x03\x01", halfHead, halfHead + "X-A: "}[i%3] })
	if a := r.review(p, fail, in.name, in.pod); !a.Allowed {
		r.fail("meanwhile: %s", a.message())
	}
	r.saw("1,500 headers and handshakes: the last one is closed after %v", r.closedWithin(8*time.Second, all).Round(time.Second))
	all = r.open(500, func(int) (net.Conn, error) { return tls.DialWithDialer(dialer, "tcp", address, config("http/1.1")) },
		func(int) string { return halfBody })
	r.saw("500 bodies: after %v", r.closedWithin(13*time.Second, all).Round(time.Second))
	r.lives(p)
	r.open(500, func(int) (net.Conn, error) { return tls.DialWithDialer(dialer, "tcp", address, config("http/1.1")) },
		func(int) string { return halfBody })
	took := r.stop(p)
	r.saw("with 500 more, it ends %v after SIGTERM", took.Round(100*time.Millisecond))
	if took > 13*time.Second {
		r.fail("the limit is the 10 s of a body, and a little")
	}
}
