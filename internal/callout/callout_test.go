package callout_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/review"
)

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
			name:   "a candidate",
			review: review.Review{UID: "u", Phase: review.Mutate, Namespace: "n", Name: "p", User: "jane", DryRun: true, Candidate: true},
			step:   1,
			want: http.Header{
				"Ce-Id": {"u/1"}, "Ce-Subject": {"n/p"}, "Ce-Namespace": {"n"}, "Ce-Operation": {"mutate"}, "Ce-Dryrun": {"true"}, "Ce-Candidate": {"true"},
				"Ce-Authtype": {"user"}, "Ce-Authid": {"jane"},
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
