package harness

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Endpoint is an endpoint of the test, with the requests that it got.
type Endpoint struct {
	URL string

	mu    sync.Mutex
	asked []Asked
}

// Asked is one request to an endpoint.
type Asked struct {
	Header http.Header
	Pod    string // the body
}

// Serve serves an endpoint until the test ends.
func Serve(t *testing.T, answer http.HandlerFunc) *Endpoint {
	e := &Endpoint{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.asked = append(e.asked, Asked{Header: r.Header.Clone(), Pod: string(body)})
		e.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections() // an answer that hangs must not delay the end of the test
		server.Close()
	})
	e.URL = server.URL
	return e
}

// Asked are the requests so far.
func (e *Endpoint) Asked() []Asked {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Asked(nil), e.asked...)
}

// Answers answers every Pod with the same JSON.
func Answers(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	}
}

// Labels answers with a patch that adds a label.
func Labels(key, value string) http.HandlerFunc {
	return Answers(fmt.Sprintf(`[{"op":"add","path":"/metadata/labels/%s","value":%q}]`, strings.ReplaceAll(key, "/", "~1"), value))
}

// Fails answers with an HTTP status and a reason.
func Fails(status int, reason string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, reason, status) }
}

// Hangs never answers.
func Hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// Down is the URL of an endpoint that does not exist.
func Down() string { return fmt.Sprintf("http://127.0.0.1:%d/down", FreePort()) }

func dial(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}
