package callout_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/review"
)

const pod = `{"kind":"Pod", "metadata":{"generateName":"web-"},"future":1e400 }`

// local is a Config that allows the test's servers, all on the loopback.
func local() callout.Config { return allowing("127.0.0.0/8") }

// allowing is a Config that allows what AMP_ENDPOINT_ALLOW lists in entries, and otherwise holds the defaults.
func allowing(entries ...string) callout.Config {
	rules, err := callout.ParseRules(entries...)
	if err != nil {
		panic(err)
	}
	return callout.Config{Allow: rules, MaxBytes: 1 << 20, Source: "https://amp.txn2.com/proxy", UserAgent: "amp"}
}

func with(c callout.Config, change func(*callout.Config)) callout.Config {
	change(&c)
	return c
}

func newClient(t testing.TB, config callout.Config) *callout.Client {
	t.Helper()
	c, err := callout.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func endpoint(t testing.TB, rawURL string) review.Endpoint {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return review.NewEndpoint(u)
}

func mutation() *review.Review {
	return &review.Review{UID: "uid-1", Phase: review.Mutate, Namespace: "default", Name: "web", User: "jane"}
}

// callWith calls the endpoint for r with the time that a review usually has.
func callWith(t testing.TB, c *callout.Client, rawURL string, r *review.Review) (review.Answer, *review.Failure) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return callUnder(ctx, t, c, rawURL, r)
}

func callUnder(ctx context.Context, t testing.TB, c *callout.Client, rawURL string, r *review.Review) (review.Answer, *review.Failure) {
	t.Helper()
	a, err := c.Call(ctx, endpoint(t, rawURL), r, 1, time.Now(), json.RawMessage(pod))
	if err == nil {
		return a, nil
	}
	var f *review.Failure
	if !errors.As(err, &f) {
		t.Fatalf("error %T %v, want a *review.Failure", err, err)
	}
	return a, f
}

func call(t testing.TB, c *callout.Client, rawURL string) (review.Answer, *review.Failure) {
	t.Helper()
	return callWith(t, c, rawURL, mutation())
}

func wantFailure(t testing.TB, got *review.Failure, result review.Result, cause string) {
	t.Helper()
	// Err is for the log only; TestFailureKeepsItsCause looks at it.
	if want := (&review.Failure{Result: result, Cause: cause}); !cmp.Equal(want, got, ignoreErr) {
		t.Errorf("failure (-want +got):\n%s", cmp.Diff(want, got, ignoreErr))
	}
}

var ignoreErr = cmpopts.IgnoreFields(review.Failure{}, "Err")

func serve(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return srv
}

func TestRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Write([]byte("[]"))
	})
	config := local()
	config.Source, config.UserAgent = "https://amp.example/cluster one", "amp/1.2.3"
	c := newClient(t, config)
	at := time.Date(2026, 7, 1, 14, 30, 15, 123456789, time.FixedZone("", 2*3600))

	tests := []struct {
		name   string
		review review.Review
		step   int
		want   http.Header // of ce-* and trace headers, apart from those that are always the same
	}{
		{
			name: "a Pod of a Deployment",
			review: review.Review{UID: "u-1", Phase: review.Mutate, Namespace: "jhub", GenerateName: "web-",
				User: "system:serviceaccount:kube-system:replicaset-controller", TraceParent: "00-0af7-b7-01", TraceState: "a=1,b=2"},
			step: 1,
			want: http.Header{
				"Ce-Id": {"u-1/1"}, "Ce-Subject": {"jhub/web-"}, "Ce-Namespace": {"jhub"}, "Ce-Operation": {"mutate"}, "Ce-Dryrun": {"false"},
				"Ce-Authtype": {"service_account"}, "Ce-Authid": {"system:serviceaccount:kube-system:replicaset-controller"},
				"Traceparent": {"00-0af7-b7-01"}, "Tracestate": {"a=1,b=2"},
			},
		},
		{
			name: "what a header cannot hold is percent-encoded",
			review: review.Review{UID: "u 2", Phase: review.Validate, Namespace: "n", Name: "web", GenerateName: "web-", DryRun: true,
				User: "Euro € 😀 \"100%\"\r\nX: y\x7f\xff"},
			step: 12,
			want: http.Header{
				"Ce-Id": {"u%202/12"}, "Ce-Subject": {"n/web"}, "Ce-Namespace": {"n"}, "Ce-Operation": {"validate"}, "Ce-Dryrun": {"true"},
				"Ce-Authtype": {"user"}, "Ce-Authid": {"Euro%20%E2%82%AC%20%F0%9F%98%80%20%22100%25%22%0D%0AX:%20y%7F%EF%BF%BD"},
			},
		},
		{
			name:   "no user, and a trace that is not valid",
			review: review.Review{UID: "u", Phase: review.Mutate, Namespace: "n", Name: "p", TraceParent: "a\nb", TraceState: "a=1"},
			step:   1,
			want: http.Header{
				"Ce-Id": {"u/1"}, "Ce-Subject": {"n/p"}, "Ce-Namespace": {"n"}, "Ce-Operation": {"mutate"}, "Ce-Dryrun": {"false"},
				"Ce-Authtype": {"unknown"},
			},
		},
		{
			name:   "anonymous",
			review: review.Review{UID: "u", Phase: review.Mutate, Namespace: "n", Name: "p", User: "system:anonymous", TraceParent: "00", TraceState: "ü"},
			step:   1,
			want: http.Header{
				"Ce-Id": {"u/1"}, "Ce-Subject": {"n/p"}, "Ce-Namespace": {"n"}, "Ce-Operation": {"mutate"}, "Ce-Dryrun": {"false"},
				"Ce-Authtype": {"unauthenticated"}, "Ce-Authid": {"system:anonymous"}, "Traceparent": {"00"},
			},
		},
		{
			name:   "a component of the cluster",
			review: review.Review{UID: "u", Phase: review.Mutate, Namespace: "n", Name: "p", User: "system:kube-scheduler"},
			step:   1,
			want: http.Header{
				"Ce-Id": {"u/1"}, "Ce-Subject": {"n/p"}, "Ce-Namespace": {"n"}, "Ce-Operation": {"mutate"}, "Ce-Dryrun": {"false"},
				"Ce-Authtype": {"system"}, "Ce-Authid": {"system:kube-scheduler"},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got = nil
			_, err := c.Call(t.Context(), endpoint(t, srv.URL+"/a%2Fb?q=1"), &tt.review, tt.step, at, json.RawMessage(pod))
			if tt.review.Phase == review.Mutate && err != nil {
				t.Fatal(err)
			}
			if got.Method != "POST" || got.RequestURI != "/a%2Fb?q=1" || got.ContentLength != int64(len(pod)) {
				t.Errorf("%s %s of %d bytes", got.Method, got.RequestURI, got.ContentLength)
			}
			if string(body) != pod {
				t.Errorf("body %s\nwant %s", body, pod)
			}
			for key, value := range map[string]string{
				"Ce-Specversion": "1.0", "Ce-Type": "com.txn2.amp.pod.review.v1", "Ce-Source": "https://amp.example/cluster%20one",
				"Ce-Time": "2026-07-01T12:30:15.123456789Z", "Content-Type": "application/json", "User-Agent": "amp/1.2.3",
				"Accept-Encoding": "identity",
			} {
				tt.want.Set(key, value)
			}
			header := got.Header.Clone()
			header.Del("Content-Length")
			if diff := cmp.Diff(tt.want, header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	long := strings.Repeat(" ", 2000) + "[]"
	var target atomic.Int32
	mux := http.NewServeMux()
	for path, handler := range map[string]http.HandlerFunc{
		"/patch":  func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `[{"op":"remove","path":"/a"}]`) },
		"/none":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"/refuse": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"allowed":false}`) },
		"/empty":  func(http.ResponseWriter, *http.Request) {},
		"/target": func(w http.ResponseWriter, _ *http.Request) { target.Add(1); io.WriteString(w, "[]") },
		"/moved": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/target", http.StatusTemporaryRedirect)
		},
		"/error":   func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such user", 500) },
		"/fits":    func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, long[len(long)-1000:]) },
		"/long":    func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, long) },
		"/chunked": func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); io.WriteString(w, long) },
		"/endless": func(w http.ResponseWriter, _ *http.Request) {
			for _, err := io.WriteString(w, long); err == nil; _, err = io.WriteString(w, long) {
			}
		},
		"/header": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 100_000)) },
		"/panic":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"/longtext": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "first\n"+strings.Repeat("x", 100_000), 400)
		},
	} {
		mux.HandleFunc(path, handler)
	}
	srv := httptest.NewServer(mux)
	defer srv.Close()
	config := local()
	config.MaxBytes = 1000
	c := newClient(t, config)

	tooLong := &review.Failure{Result: review.ResultInvalid, Cause: "answered more than 1000 bytes (AMP_ENDPOINT_MAX_BYTES)"}
	for path, want := range map[string]struct {
		answer  review.Answer
		failure *review.Failure
	}{
		"/patch":  {answer: review.Answer{Status: 200, Ops: []review.Op{{Op: "remove", Path: "/a"}}}},
		"/none":   {answer: review.Answer{Status: 204}},
		"/refuse": {answer: review.Answer{Status: 200, Refused: true}},
		"/fits":   {answer: review.Answer{Status: 200}},
		"/empty": {answer: review.Answer{Status: 200}, failure: &review.Failure{Result: review.ResultInvalid,
			Cause: "answered 200 with an empty body; where nothing is to change, answer [], null or status 204"}},
		"/moved": {answer: review.Answer{Status: 307}, failure: &review.Failure{Result: review.ResultStatus,
			Cause: "answered 307: amp does not follow redirects; name the final URL in the annotation"}},
		"/error": {answer: review.Answer{Status: 500}, failure: &review.Failure{Result: review.ResultStatus,
			Cause: "answered 500 Internal Server Error: no such user"}},
		"/longtext": {answer: review.Answer{Status: 400}, failure: &review.Failure{Result: review.ResultStatus,
			Cause: "answered 400 Bad Request: first"}},
		"/long":    {answer: review.Answer{Status: 200}, failure: tooLong},
		"/chunked": {answer: review.Answer{Status: 200}, failure: tooLong},
		"/endless": {answer: review.Answer{Status: 200}, failure: tooLong},
		"/header":  {failure: &review.Failure{Result: review.ResultInvalid, Cause: "answered more than 65536 bytes of headers"}},
		"/panic":   {failure: &review.Failure{Result: review.ResultUnreachable, Cause: "the connection was closed before an answer; did its handler crash? its log says why"}},
	} {
		t.Run(path[1:], func(t *testing.T) {
			answer, failure := call(t, c, srv.URL+path)
			if diff := cmp.Diff(want.answer, answer); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want.failure, failure, ignoreErr); diff != "" {
				t.Errorf("failure (-want +got):\n%s", diff)
			}
		})
	}
	if n := target.Load(); n != 0 {
		t.Errorf("the redirect was followed %d times", n)
	}
}

// script is a server that runs one step for each connection, and the last step for all further ones.
func script(t *testing.T, steps ...func(net.Conn)) (address string, connections *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = new(atomic.Int32)
	var open sync.WaitGroup
	t.Cleanup(func() { listener.Close(); open.Wait() })
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			step := steps[min(int(connections.Add(1)), len(steps))-1]
			open.Go(func() { defer conn.Close(); step(conn) })
		}
	})
	return listener.Addr().String(), connections
}

// answer reads a request and sends text.
func answer(text string) func(net.Conn) {
	return func(conn net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		io.WriteString(conn, text)
	}
}

func reset(conn net.Conn) {
	answer("")(conn)
	conn.(*net.TCPConn).SetLinger(0)
}

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

func TestLate(t *testing.T) {
	done := make(chan struct{})
	var tries atomic.Int32
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
	defer close(done)
	c := newClient(t, local())

	for path, want := range map[string]struct {
		status int
		result review.Result
		cause  string
	}{
		"/":     {0, review.ResultLate, "no answer within "},
		"/half": {200, review.ResultLate, "its answer was not complete within "},
	} {
		t.Run(path, func(t *testing.T) {
			tries.Store(0)
			// A context whose deadline is a round number from where Call looks at it, give or take a little.
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond+300*time.Microsecond)
			defer cancel()
			got, failure := callUnder(ctx, t, c, srv.URL+path, mutation())
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

	t.Run("no time for another try: the first one counts", func(t *testing.T) {
		tries.Store(0)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Millisecond)
		defer cancel()
		if _, failure := callUnder(ctx, t, c, srv.URL+"/busy", mutation()); failure == nil {
			t.Error("no failure")
		}
		if n := tries.Load(); n > 1 {
			t.Errorf("%d tries", n)
		}
	})

	t.Run("the time is over before the call", func(t *testing.T) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		_, failure := callUnder(ctx, t, c, srv.URL, mutation())
		wantFailure(t, failure, review.ResultLate, "no time was left to call it")
	})

	t.Run("the caller is gone", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, failure := callUnder(ctx, t, c, srv.URL, mutation())
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
			if n := connections.Load(); n != 1 {
				t.Errorf("%d connections for 5 calls", n)
			}
		})
	}
}

func TestNoProxyFromEnvironment(t *testing.T) {
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") })
	// net/http reads these once per process, and never uses a proxy for a loopback address: this proves
	// little, but would catch a proxy that is set for all.
	t.Setenv("HTTP_PROXY", proxy.URL)
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	if _, failure := call(t, newClient(t, local()), srv.URL); failure != nil {
		t.Error(failure)
	}
}

func TestForbidden(t *testing.T) {
	var asked atomic.Int32
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); w.WriteHeader(204) })
	address := srv.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	const loopback = "amp may not call 127.0.0.1 (loopback); AMP_ENDPOINT_ALLOW lists what it may call"
	apiServer := "amp may not call " + address + " (the API server); in AMP_ENDPOINT_ALLOW only an entry with this address and port opens it"

	for name, tt := range map[string]struct {
		config callout.Config
		url    string
		cause  string // empty: allowed
	}{
		"by default no loopback": {url: srv.URL, cause: loopback},
		"nor metadata": {url: "http://169.254.169.254/latest/meta-data",
			cause: "amp may not call 169.254.169.254 (cloud metadata); AMP_ENDPOINT_ALLOW lists what it may call"},
		"a name is not its address": {config: allowing("localhost"), url: "http://localhost:" + port, cause: loopback},
		"an address with its port":  {config: allowing(address), url: srv.URL},
		"another port":              {config: allowing("127.0.0.1:1"), url: srv.URL, cause: loopback},
		"a range":                   {config: local(), url: srv.URL},
		"mapped to IPv6":            {config: local(), url: "http://[::ffff:127.0.0.1]:" + port},
		"the API server":            {config: with(local(), func(c *callout.Config) { c.APIServer = []string{address} }), url: srv.URL, cause: apiServer},
		"another API server": {config: with(local(), func(c *callout.Config) {
			c.APIServers = func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort(address)} }
		}), url: srv.URL, cause: apiServer},
	} {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			_, failure := call(t, newClient(t, tt.config), tt.url)
			if tt.cause == "" {
				if failure != nil || asked.Load() != 1 {
					t.Errorf("failure %v, asked %d times", failure, asked.Load())
				}
				return
			}
			wantFailure(t, failure, review.ResultForbidden, tt.cause)
			if asked.Load() != 0 {
				t.Error("and it was asked nevertheless")
			}
		})
	}
}

// dns is a resolver that answers for IPv4 what lookup returns at that moment, and nothing for IPv6.
func dns(lookup func(name string) []string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe() // not a PacketConn: framed as over TCP
		go func() {
			defer server.Close()
			for {
				var size [2]byte
				if _, err := io.ReadFull(server, size[:]); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(server, query); err != nil {
					return
				}
				reply := dnsReply(query, lookup)
				server.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
			}
		}()
		return client, nil
	}}
}

// dnsReply answers the one question of a query (RFC 1035, 4.1).
func dnsReply(query []byte, lookup func(string) []string) []byte {
	var labels []string
	i := 12
	for ; query[i] != 0; i += int(query[i]) + 1 {
		labels = append(labels, string(query[i+1:i+1+int(query[i])]))
	}
	question := query[12 : i+5]
	var addresses []string
	if kind := binary.BigEndian.Uint16(query[i+1:]); kind == 1 {
		addresses = lookup(strings.Join(labels, "."))
	}
	reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0}, question...)
	for _, a := range addresses {
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		reply = append(reply, net.ParseIP(a).To4()...)
	}
	return reply
}

// A name whose address changes reaches only addresses that amp may call.
func TestRebinding(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(204)
	})
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	var now atomic.Value
	var asked atomic.Int32
	resolver := dns(func(name string) []string {
		if name == "ep.example" {
			asked.Add(1)
			return strings.Fields(now.Load().(string))
		}
		return nil
	})
	c := newClient(t, with(allowing("ep.example", "127.0.0.1"), func(c *callout.Config) { c.Resolver = resolver }))

	for _, step := range []struct{ address, cause string }{
		{"127.0.0.1", ""},
		{"127.0.0.2", "amp may not call 127.0.0.2 (loopback); AMP_ENDPOINT_ALLOW lists what it may call"},
		{"169.254.169.254", "amp may not call 169.254.169.254 (cloud metadata); AMP_ENDPOINT_ALLOW lists what it may call"},
		{"169.254.169.254 127.0.0.1", ""}, // the one that may be called is
		{"127.0.0.1", ""},
	} {
		now.Store(step.address)
		_, failure := call(t, c, "http://ep.example:"+port)
		switch {
		case step.cause == "" && failure != nil:
			t.Errorf("%s: %v", step.address, failure)
		case step.cause != "":
			wantFailure(t, failure, review.ResultForbidden, step.cause)
		}
	}
	if n := asked.Load(); n != 5 {
		t.Errorf("%d look-ups for 5 connections: one that is checked must be the one that is used", n)
	}

	_, failure := call(t, c, "http://no.example:"+port)
	wantFailure(t, failure, review.ResultUnreachable, "its name cannot be looked up: no such host")

	// The first address is refused; at the second, no server listens.
	now.Store("127.0.0.2 127.0.0.1")
	_, failure = call(t, c, "http://ep.example:1")
	wantFailure(t, failure, review.ResultUnreachable, "connecting: no answer at any address that amp may call")
}

// A kubeconfig may give the API server's name. amp calls its addresses under no other name either.
func TestAPIServerByName(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	c := newClient(t, with(local(), func(c *callout.Config) {
		c.APIServer = []string{"api.example:" + port}
		c.Resolver = dns(func(name string) []string {
			if name == "api.example" {
				return []string{"127.0.0.1"}
			}
			return nil
		})
	}))
	for _, host := range []string{"127.0.0.1", "api.example"} {
		_, failure := call(t, c, "http://"+host+":"+port)
		wantFailure(t, failure, review.ResultForbidden, "amp may not call 127.0.0.1:"+port+" (the API server); in AMP_ENDPOINT_ALLOW only an entry with this address and port opens it")
	}
}

func TestBasicAuthOfTheURL(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "jane" || password != "ge heim" {
			t.Errorf("Authorization %q", r.Header.Get("Authorization"))
		}
		w.WriteHeader(204)
	})
	if _, failure := call(t, newClient(t, local()), strings.Replace(srv.URL, "http://", "http://jane:ge%20heim@", 1)); failure != nil {
		t.Error(failure)
	}
}

func TestNewReportsAllFilesThatCannotBeUsed(t *testing.T) {
	_, err := callout.New(callout.Config{
		APIServer: []string{"10.96.0.1"}, CAFile: "/does/not/exist", CertFile: "/only/one", TokenFile: "/does/not/exist",
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`the API server's address "10.96.0.1" is not host:port`, "AMP_ENDPOINT_CA: ", "AMP_ENDPOINT_CERT, AMP_ENDPOINT_KEY: ", "AMP_ENDPOINT_TOKEN_FILE: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error without %q:\n%v", want, err)
		}
	}
}

// The failure's text never quotes the transport's error; the error itself stays for the log.
func TestFailureKeepsItsCause(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	_, failure := call(t, newClient(t, local()), "http://"+listener.Addr().String())
	if op := (*net.OpError)(nil); !errors.Is(failure, syscall.ECONNREFUSED) || !errors.As(failure, &op) || op.Op != "dial" {
		t.Errorf("the cause is %v", failure.Err)
	}

	// net/http has no type for this one, and its text quotes the answer.
	address, _ := script(t, answer("HTTP/1.1 200 OK\r\ns3cret\r\n\r\n"))
	_, failure = call(t, newClient(t, local()), "http://"+address)
	wantFailure(t, failure, review.ResultInvalid, "its answer has a header that is not one: does an empty line stand between the header and the body?")
	if failure.Err == nil || !strings.Contains(failure.Err.Error(), "s3cret") {
		t.Errorf("the cause is %v", failure.Err)
	}
}

// log collects the client's warnings.
type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// discard is the log of servers that would report the faults that a test causes on purpose.
var discard = stdlog.New(io.Discard, "", 0)

func (l *log) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func BenchmarkCall(b *testing.B) {
	srv := serve(b, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `[{"op":"add","path":"/metadata/labels/a","value":"b"}]`)
	})
	c := newClient(b, local())
	e := endpoint(b, srv.URL)
	r := mutation()
	body := json.RawMessage(strings.Repeat("x", 4600))
	at := time.Now()
	run := func(b *testing.B) {
		ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
		defer cancel()
		if _, err := c.Call(ctx, e, r, 1, at, body); err != nil {
			b.Error(err)
		}
	}
	b.Run("one after the other", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			run(b)
		}
	})
	b.Run("in parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				run(b)
			}
		})
	})
	// The time of net/http itself for such a request, for comparison.
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	bare := func(b *testing.B) {
		req, _ := http.NewRequest("POST", srv.URL, strings.NewReader(string(body)))
		resp, err := client.Do(req)
		if err != nil {
			b.Error(err)
			return
		}
		io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	b.Run("bare, one after the other", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			bare(b)
		}
	})
	b.Run("bare, in parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				bare(b)
			}
		})
	})
}
