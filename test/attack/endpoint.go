package main

import (
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// Private addresses that amp may call by default, and names.
const (
	ownPrivate    = "10.11.12.13"
	otherPrivate  = "10.11.12.14"
	sharedPrivate = "100.70.1.1" // RFC 6598
	ownPrivate6   = "fd12:3456::1"
	metadataName  = "metadata.test" // of a metadata address
	publicName    = "public.test"
)

// endpoint is an HTTP server of a tenant, or what amp must not connect to.
type endpoint struct {
	address string // host:port
	url     string

	connects, requests atomic.Int64
	mu                 sync.Mutex
	bodies             [][]byte // with keep
	keep               bool
	headers            []http.Header // with keep
}

// serve starts an endpoint on loopback, until the row ends.
func (r *run) serve(answer http.HandlerFunc) *endpoint { return r.serveAt("127.0.0.1:0", answer) }

func (r *run) serveAt(address string, answer http.HandlerFunc) *endpoint {
	listener, err := net.Listen("tcp", address)
	r.must(err)
	e := &endpoint{address: listener.Addr().String()}
	e.url = "http://" + e.address
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			e.requests.Add(1)
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return // amp has gone
			}
			if e.keep {
				e.mu.Lock()
				e.bodies, e.headers = append(e.bodies, body), append(e.headers, req.Header.Clone())
				e.mu.Unlock()
			}
			answer(w, req)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				e.connects.Add(1)
			}
		},
	}
	go func() { _ = server.Serve(listener) }() // it ends with the row
	r.atEnd(func() { _ = server.Close() })
	return e
}

// kept are the bodies that have come.
func (e *endpoint) kept() [][]byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([][]byte(nil), e.bodies...)
}

// answers is an endpoint that always answers the same.
func answers(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body) // amp may have gone
	}
}

// hangs is an endpoint that never answers.
func hangs(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }

// accepts is a sink that takes every event.
func accepts(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }
