package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// crowd opens n connections, each of which sends a text, never reads, and stays until the row ends. A connection that is
// closed at the other end is no error.
func (r *run) crowd(n int, url, text string) {
	address, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	all := make([]net.Conn, n)
	var opening sync.WaitGroup
	for worker := range 32 {
		opening.Go(func() {
			for i := worker; i < n; i += 32 {
				c, err := net.DialTimeout("tcp", address, 20*time.Second)
				if err != nil {
					continue
				}
				_ = c.(*net.TCPConn).SetReadBuffer(4096)
				_, _ = io.WriteString(c, text)
				all[i] = c
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

func stayingScrapers(r *run) {
	p := r.startAmp(tenants{})
	r.crowd(15_000, p.metrics, get("/metrics"))
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
	r.crowd(3_000, p.metrics, strings.Repeat(get("/metrics"), 200)) // each answer fills the buffers a little more
	r.stays(p, p.metrics)
}

func stayingReaders(r *run) {
	p := r.startAudit(r.database())
	r.crowd(15_000, p.url, get("/api/values"))
	r.stays(p, p.url+"/api/values")
}
