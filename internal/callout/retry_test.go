package callout_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/txn2/amp/internal/review"
)

func TestRetry(t *testing.T) {
	status := func(code int) func(net.Conn) {
		return answer(fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n", code))
	}
	fine := answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
	half := answer("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n[")
	for name, tt := range map[string]struct {
		steps  []func(net.Conn)
		tries  int32
		status int
		result review.Result // empty: an answer
		cause  string
	}{
		"closed, then fine":           {steps: []func(net.Conn){answer(""), fine}, tries: 2, status: 200},
		"reset, then fine":            {steps: []func(net.Conn){reset, fine}, tries: 2, status: 200},
		"half an answer, then fine":   {steps: []func(net.Conn){half, fine}, tries: 2, status: 200},
		"429, then fine":              {steps: []func(net.Conn){status(429), fine}, tries: 2, status: 200},
		"502, then fine":              {steps: []func(net.Conn){status(502), fine}, tries: 2, status: 200},
		"503, then fine":              {steps: []func(net.Conn){status(503), fine}, tries: 2, status: 200},
		"504, then fine":              {steps: []func(net.Conn){status(504), fine}, tries: 2, status: 200},
		"once only":                   {steps: []func(net.Conn){status(503), status(503), fine}, tries: 2, status: 503, result: review.ResultStatus, cause: "answered 503 Service Unavailable"},
		"the last try counts":         {steps: []func(net.Conn){status(503), answer("")}, tries: 2, result: review.ResultUnreachable, cause: "the connection was closed before an answer; did its handler crash? its log says why"},
		"and its status":              {steps: []func(net.Conn){status(503), half}, tries: 2, status: 200, result: review.ResultUnreachable, cause: "the connection was closed in the middle of the answer; did its handler crash, or is its body shorter than its Content-Length or its chunks say?"},
		"reset twice":                 {steps: []func(net.Conn){reset}, tries: 2, result: review.ResultUnreachable, cause: "the connection broke before an answer: connection reset by peer"},
		"500 is an answer":            {steps: []func(net.Conn){status(500)}, tries: 1, status: 500, result: review.ResultStatus, cause: "answered 500 Internal Server Error"},
		"404 is an answer":            {steps: []func(net.Conn){status(404)}, tries: 1, status: 404, result: review.ResultStatus, cause: "answered 404 Not Found"},
		"an unreadable answer is one": {steps: []func(net.Conn){answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{")}, tries: 1, status: 200, result: review.ResultInvalid, cause: "answered 200 with a body that is not JSON (content type unknown): it ends at line 1, column 2, before the JSON is complete; does Content-Length count bytes?"},
		"switching protocols":         {steps: []func(net.Conn){answer("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")}, tries: 1, status: 101, result: review.ResultStatus, cause: "answered 101 Switching Protocols"},
		"not HTTP, and an echo of the query": {steps: []func(net.Conn){answer("POST /?secret=1 HTTP/1.1\r\n\r\n")}, tries: 1,
			result: review.ResultInvalid, cause: "its answer is not HTTP: it does not begin with a status line; does the handler end the header before it writes the body?"},
	} {
		t.Run(name, func(t *testing.T) {
			address, tries := script(t, tt.steps...)
			got, failure := call(t, newClient(t, local()), "http://jane:geheim@"+address+"/?secret=1")
			if got.Status != tt.status {
				t.Errorf("status %d, want %d", got.Status, tt.status)
			}
			if tt.result == "" && failure != nil {
				t.Errorf("failure %v", failure)
			}
			if tt.result != "" {
				wantFailure(t, failure, tt.result, tt.cause)
			}
			if n := tries.Load(); n != tt.tries {
				t.Errorf("%d tries, want %d", n, tt.tries)
			}
		})
	}

	t.Run("no server listens", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		_, failure := call(t, newClient(t, local()), "http://jane:geheim@"+listener.Addr().String()+"/?secret=1")
		wantFailure(t, failure, review.ResultUnreachable, "connection refused: is the endpoint running, on that port?")
	})
}

// What is wrong with an answer below its JSON, as net/http reads it.
func TestProtocol(t *testing.T) {
	for name, tt := range map[string]struct {
		text   string
		status int
		cause  string // empty: an answer
	}{
		"two equal Content-Lengths":      {text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n[]", status: 200},
		"Content-Length and chunks":      {text: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n", status: 200},
		"no Content-Length":              {text: "HTTP/1.0 200 OK\r\n\r\n[]", status: 200},
		"line feeds only":                {text: "HTTP/1.1 200 OK\nContent-Length: 2\n\n[]", status: 200},
		"two Content-Lengths":            {text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]", cause: "its answer has two Content-Length headers that differ: send one"},
		"a Content-Length in words":      {text: "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n[]", cause: "its answer has a Content-Length that is not a number"},
		"a negative Content-Length":      {text: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n[]", cause: "its answer has a Content-Length that is not a number"},
		"a coding in Transfer-Encoding":  {text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", cause: "its answer has a Transfer-Encoding that amp does not know: send chunked, or a Content-Length"},
		"chunked, but not in chunks":     {text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n[]\r\n", status: 200, cause: "its answer says Transfer-Encoding: chunked, but its body is not in chunks"},
		"TLS":                            {text: "\x15\x03\x01\x00\x02\x02\x0a", cause: "its answer is not HTTP but TLS: use https://, or its port for plain HTTP"},
		"the body only":                  {text: "[]\r\n", cause: "its answer is not HTTP: it does not begin with a status line; does the handler end the header before it writes the body?"},
		"no empty line before the body":  {text: "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n[{\"op\"\r\n\r\n", cause: "its answer has a header that is not one: does an empty line stand between the header and the body?"},
		"Content-Length beyond the body": {text: "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n[]", status: 200, cause: "the connection was closed in the middle of the answer; did its handler crash, or is its body shorter than its Content-Length or its chunks say?"},
		"Content-Length that counts letters": {text: "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{\"warnings\":[\"ä\"]}", status: 200,
			cause: "answered 200 with a body that ends at line 1, column 15, in the middle of a character; does Content-Length count bytes?"},
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := script(t, answer(tt.text))
			got, failure := call(t, newClient(t, local()), "http://"+address)
			switch {
			case got.Status != tt.status:
				t.Errorf("status %d, want %d", got.Status, tt.status)
			case tt.cause == "" && failure != nil:
				t.Errorf("failure %v", failure)
			case tt.cause != "" && (failure == nil || failure.Cause != tt.cause):
				t.Errorf("failure %v, want %s", failure, tt.cause)
			}
		})
	}
}

// hanging is an endpoint that does not end its answers, except for /busy, and the number of requests to it.
func hanging(t *testing.T) (url string, tries *atomic.Int32) {
	t.Helper()
	done := make(chan struct{})
	tries = new(atomic.Int32)
	hang := func() { tries.Add(1); <-done }
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/half":
			w.Header().Set("Content-Length", "100")
			w.(http.Flusher).Flush()
			hang()
		case "/busy":
			w.WriteHeader(503)
			tries.Add(1)
		default:
			hang()
		}
	})
	t.Cleanup(func() { close(done) }) // before the server's end, which waits for its answers
	return srv.URL, tries
}

func TestLate(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		status int
		result review.Result
		cause  string
	}{
		"/":     {0, review.ResultLate, "no answer within "},
		"/half": {200, review.ResultLate, "its answer was not complete within "},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel() // it waits for the end of its time
			url, tries := hanging(t)
			// A context whose deadline is a round number from where Call looks at it, give or take a little.
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second+300*time.Microsecond)
			defer cancel()
			got, failure := callUnder(ctx, t, newClient(t, local()), url+path, mutation())
			if got.Status != want.status {
				t.Errorf("status %d, want %d", got.Status, want.status)
			}
			if failure == nil || failure.Result != want.result || !strings.HasPrefix(failure.Cause, want.cause) {
				t.Errorf("failure %v, want %s", failure, want.cause)
			}
			if n := tries.Load(); n != 1 {
				t.Errorf("%d tries: what is late is late", n)
			}
		})
	}

	url, tries := hanging(t)
	c := newClient(t, local())
	t.Run("no time for another try: the first one counts", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Millisecond)
		defer cancel()
		if _, failure := callUnder(ctx, t, c, url+"/busy", mutation()); failure == nil {
			t.Error("no failure")
		}
		if n := tries.Load(); n > 1 {
			t.Errorf("%d tries", n)
		}
	})

	t.Run("the time is over before the call", func(t *testing.T) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		_, failure := callUnder(ctx, t, c, url, mutation())
		wantFailure(t, failure, review.ResultLate, "no time was left to call it")
	})

	t.Run("the caller is gone", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, failure := callUnder(ctx, t, c, url, mutation())
		wantFailure(t, failure, review.ResultLate, "given up: the API server closed its request")
	})
}

func TestConnectionsAreReused(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"after an answer":     func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "[]") },
		"after 204":           func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"after an error":      func(w http.ResponseWriter, _ *http.Request) { http.Error(w, strings.Repeat("x\n", 3000), 500) },
		"after an odd answer": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "?") },
	} {
		t.Run(name, func(t *testing.T) {
			n := connectionsOf(t, handler)
			if n > 1 { // net/http gives up a connection if the machine lets it wait for 50 ms after an answer
				n = connectionsOf(t, handler)
			}
			if n != 1 {
				t.Errorf("%d connections for 5 calls", n)
			}
		})
	}
}

// connectionsOf makes 5 calls, and returns over how many connections they came.
func connectionsOf(t *testing.T, handler http.HandlerFunc) int32 {
	t.Helper()
	var connections atomic.Int32
	srv := httptest.NewUnstartedServer(handler)
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	c := newClient(t, local())
	for range 5 {
		call(t, c, srv.URL)
	}
	return connections.Load()
}
