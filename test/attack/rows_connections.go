package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// crowd opens n connections, each of which talks, never reads an answer, and stays until the row ends. A connection that is
// closed at the other end is no error.
func (r *run) crowd(n int, url string, talk func(net.Conn)) {
	_, rest, _ := strings.Cut(url, "://")
	address, _, _ := strings.Cut(rest, "/")
	all := make([]net.Conn, n)
	var opening sync.WaitGroup
	for worker := range 32 {
		opening.Go(func() {
			for i := worker; i < n; i += 32 {
				c, err := net.DialTimeout("tcp", address, 20*time.Second)
				if err != nil {
					continue
				}
				all[i] = c
				_ = c.(*net.TCPConn).SetReadBuffer(4096)
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				talk(c)
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
}

// says is what a caller of [run.crowd] does that sends a text.
func says(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

// get is a request that leaves its connection open.
func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: attacked\r\n\r\n" }

// stays fails the row if the process ends, or does not serve a path to a new caller in time.
func (r *run) stays(p *process, url string) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r.eventually(20*time.Second, func() string {
		if p.killed() || p.hasEnded() {
			return "" // lives says so
		}
		resp, err := client.Get(url)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Sprint(resp.Status, " ", err)
		}
		return ""
	})
	r.lives(p)
}

// largeHeaders sends headers that have all but their end.
func largeHeaders(r *run) {
	in, t := good(), tenants{}
	r.with(t, in)
	p := r.startAmp(t)
	headers := says(halfHead + strings.Repeat("X-"+strings.Repeat("a", 98)+": "+strings.Repeat("b", 900)+"\r\n", 1000))
	r.crowd(900, p.url, func(c net.Conn) {
		headers(tls.Client(c, &tls.Config{RootCAs: r.cert.roots, ServerName: "127.0.0.1", NextProtos: []string{"http/1.1"}}))
	})
	if a := r.review(p, fail, in.name, in.pod); !a.Allowed {
		r.fail("meanwhile: %s", a.message())
	}
	r.lives(p)
}

// cut is a connection of which only the first bytes go out.
type cut struct {
	net.Conn
	left int
}

func (c *cut) Write(b []byte) (int, error) {
	part := b[:min(len(b), c.left)]
	c.left -= len(part)
	if n, err := c.Conn.Write(part); err != nil {
		return n, err
	}
	return len(b), nil
}

func largeCertificates(r *run) {
	in, t := good(), tenants{}
	r.with(t, in)
	pair, err := tls.LoadX509KeyPair(filepath.Join(r.dir, "tls.crt"), filepath.Join(r.dir, "tls.key"))
	r.must(err)
	p := r.startAmp(t, "AMP_TLS_CLIENT_CA="+filepath.Join(r.dir, "tls.crt"))
	large := pair
	large.Certificate = append(slices.Clone(pair.Certificate), make([]byte, 240_000))
	r.crowd(900, p.url, func(c net.Conn) {
		// The part that goes out ends within the certificate. It does not matter what the client makes of that.
		_ = tls.Client(&cut{c, 230_000}, &tls.Config{RootCAs: r.cert.roots, ServerName: "127.0.0.1",
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &large, nil }}).HandshakeContext(r.ctx)
	})
	known := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.cert.roots, Certificates: []tls.Certificate{pair}}}}
	p.client = known
	if a := r.review(p, fail, in.name, in.pod); !a.Allowed {
		r.fail("meanwhile: %s", a.message())
	}
	r.lives(p)
}

func stayingScrapers(r *run) {
	p := r.startAmp(tenants{})
	r.crowd(15_000, p.metrics, says(get("/metrics")))
	r.stays(p, p.metrics)
}

// slowScrapers ask for as many metrics as there can be.
func slowScrapers(r *run) {
	t := tenants{}
	for i := range 250 {
		in := good()
		in.name = fmt.Sprint("host-", i)
		r.with(t, in)
	}
	p := r.startAmp(t)
	for name := range t {
		r.review(p, fail, name, smallPod)
	}
	r.crowd(3_000, p.metrics, says(strings.Repeat(get("/metrics"), 200))) // each answer fills the buffers a little more
	r.stays(p, p.metrics)
}

func stayingReaders(r *run) {
	p := r.startAudit(r.database())
	r.crowd(15_000, p.url, says(get("/api/values")))
	r.stays(p, p.url+"/api/values")
}
