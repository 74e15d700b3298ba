package proxy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/txn2/amp/internal/proxy"
	"github.com/txn2/amp/internal/review"
)

func handler(w *world) *proxy.Handler {
	return &proxy.Handler{Proxy: w.proxy(), Version: "v1", NotReady: func() error { return nil }}
}

func ask(h http.Handler, method, path, contentType string, body io.Reader) *http.Response {
	req := httptest.NewRequest(method, path, body)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Result()
}

func bodyOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(b), "\n")
}

// endless is a body that does not end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestWhatIsNoReview(t *testing.T) {
	const notFound = "expected a POST to /mutate/fail, /mutate/ignore, /mutate, /validate/fail, /validate/ignore, /validate or /, or a GET of /, /healthz or /readyz"
	for name, test := range map[string]struct {
		method, path, contentType string
		body                      io.Reader
		status                    int
		want                      string
	}{
		"the name":                     {"GET", "/", "", nil, 200, `{"service":"amp","version":"v1"}`},
		"alive":                        {"GET", "/healthz", "", nil, 200, "ok"},
		"ready":                        {"GET", "/readyz", "", nil, 200, "ok"},
		"a GET of a review path":       {"GET", "/mutate", "", nil, 405, "expected a POST of an AdmissionReview, not GET"},
		"a PUT":                        {"PUT", "/mutate/fail", "application/json", strings.NewReader("{}"), 405, "expected a POST of an AdmissionReview, not PUT"},
		"a HEAD of the name":           {"HEAD", "/", "", nil, 200, `{"service":"amp","version":"v1"}`},
		"a DELETE of the root":         {"DELETE", "/", "", nil, 405, "expected a POST of an AdmissionReview or a GET, not DELETE"},
		"a POST to a probe":            {"POST", "/readyz", "application/json", strings.NewReader("{}"), 405, "expected a GET, not POST"},
		"another path":                 {"POST", "/mutate/", "application/json", strings.NewReader("{}"), 404, notFound},
		"a path with an empty segment": {"POST", "//mutate", "application/json", strings.NewReader("{}"), 404, notFound},
		"a path with dots":             {"POST", "/validate/../mutate", "application/json", strings.NewReader("{}"), 404, notFound},
		"a probe with a slash":         {"GET", "/readyz/", "", nil, 404, notFound},
		"a path below a probe":         {"GET", "/healthz/x", "", nil, 404, notFound},
		"no path":                      {"OPTIONS", "*", "", nil, 404, notFound},
		"a GET of an unknown path":     {"GET", "/favicon.ico", "", nil, 404, notFound},
		"a HEAD of a probe":            {"HEAD", "/healthz", "", nil, 200, "ok"},
		"a HEAD of a review path":      {"HEAD", "/validate/ignore", "", nil, 405, "expected a POST of an AdmissionReview, not HEAD"},
		"a form, as curl -d sends it":  {"POST", "/mutate", "application/x-www-form-urlencoded", strings.NewReader("{}"), 415, `expected Content-Type application/json, not "application/x-www-form-urlencoded"`},
		"no content type":              {"POST", "/mutate", "", strings.NewReader("{}"), 415, `expected Content-Type application/json, not ""`},
		"no JSON":                      {"POST", "/mutate", "application/json", strings.NewReader("hello"), 400, "expected an AdmissionReview as JSON: the body is not valid JSON"},
		"no request":                   {"POST", "/mutate", "application/json; charset=utf-8", strings.NewReader(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}`), 400, "expected an AdmissionReview with a request: there is none"},
		"a body without end":           {"POST", "/mutate", "application/json", endless{}, 413, "expected an AdmissionReview of at most 7 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{}
			resp := ask(handler(w), test.method, test.path, test.contentType, test.body)
			if got := bodyOf(t, resp); resp.StatusCode != test.status || got != test.want {
				t.Errorf("%d %s\nwant %d %s", resp.StatusCode, got, test.status, test.want)
			}
			allow := ""
			if test.status == 405 {
				allow = "POST"
				if strings.HasSuffix(test.path, "z") { // a probe
					allow = "GET, HEAD"
				} else if test.path == "/" {
					allow = "GET, HEAD, POST"
				}
			}
			if got := resp.Header.Get("Allow"); got != allow {
				t.Errorf("Allow: %q, want %q", got, allow)
			}
			if len(w.records) != 0 {
				t.Error("it left a record")
			}
			if test.status == 200 {
				if len(w.badRequests) != 0 || w.log.Len() != 0 {
					t.Errorf("counted as %v, logged %s", w.badRequests, w.log.String())
				}
			} else if !slices.Equal(w.badRequests, []int{test.status}) || strings.Count(w.log.String(), "\n") != 1 ||
				!strings.Contains(w.log.String(), fmt.Sprintf(`level=DEBUG msg="not an AdmissionReview" status=%d method=%s path=%s`, test.status, test.method, test.path)) {
				t.Errorf("counted as %v, logged %s", w.badRequests, w.log.String())
			}
		})
	}
}

func TestReviewPaths(t *testing.T) {
	body, err := os.ReadFile("testdata/jupyterhub-user.review.json")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		phase  review.Phase
		policy review.FailurePolicy
	}{
		"/":                 {review.Mutate, ""},
		"/mutate":           {review.Mutate, ""},
		"/mutate/fail":      {review.Mutate, review.Fail},
		"/mutate/ignore":    {review.Mutate, review.Ignore},
		"/validate":         {review.Validate, ""},
		"/validate/fail":    {review.Validate, review.Fail},
		"/validate/ignore":  {review.Validate, review.Ignore},
		"/mutate?timeout=x": {review.Mutate, ""},
	} {
		t.Run(path, func(t *testing.T) {
			w := &world{policy: &review.Policy{}}
			resp := ask(handler(w), "POST", path, "application/json", bytes.NewReader(body))
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" {
				t.Fatalf("%s, Content-Type %s", resp.Status, resp.Header.Get("Content-Type"))
			}
			var answer admissionv1.AdmissionReview
			if err := json.Unmarshal([]byte(bodyOf(t, resp)), &answer); err != nil {
				t.Fatal(err)
			}
			if answer.Response.UID != "6dd84eb1-9610-42c8-9379-4f4257fa319f" || !answer.Response.Allowed {
				t.Errorf("answered %+v", answer.Response)
			}
			r := w.records[0].Review
			if r.Phase != want.phase || r.FailurePolicy != want.policy {
				t.Errorf("read as %s, policy %q", r.Phase, r.FailurePolicy)
			}
		})
	}
}

func TestReadyOnlyOnceNamespacesCanBeRead(t *testing.T) {
	h := handler(&world{})
	h.NotReady = func() error {
		return errors.New("no Namespace could be read yet:\n" + strings.Repeat("no answer, ", 100))
	}
	resp := ask(h, "GET", "/readyz", "", nil)
	if body := bodyOf(t, resp); resp.StatusCode != 503 || !strings.HasPrefix(body, "no Namespace could be read yet: no answer, no answer, ") || len(body) > 310 {
		t.Errorf("/readyz %s: %s", resp.Status, body)
	}
	if resp := ask(h, "GET", "/healthz", "", nil); resp.StatusCode != 200 {
		t.Errorf("/healthz %s", resp.Status)
	}
}

// TestDrain holds a review in flight while the function drains: the drain waits for it, new ones are still
// answered, everything is told to close its connection, and /readyz sends new callers elsewhere.
func TestDrain(t *testing.T) { synctest.Test(t, testDrain) }

func testDrain(t *testing.T) {
	body, err := os.ReadFile("testdata/jupyterhub-user.review.json")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{policy: &review.Policy{}}
	gate := make(chan struct{})
	h := handler(w)
	held := &slowBody{Reader: bytes.NewReader(body), gate: gate, reading: make(chan struct{})}

	var wg sync.WaitGroup
	wg.Go(func() {
		if resp := ask(h, "POST", "/mutate", "application/json", held); resp.StatusCode != 200 {
			t.Errorf("the review in flight got %s", resp.Status)
		}
	})
	<-held.reading
	if n := h.InFlight(); n != 1 {
		t.Errorf("%d reviews in flight, want 1", n)
	}

	drained := make(chan struct{})
	start := time.Now()
	go func() { h.Drain(t.Context()); close(drained) }()
	synctest.Wait() // until the drain has begun
	if resp := ask(h, "GET", "/readyz", "", nil); resp.StatusCode != 503 {
		t.Errorf("/readyz while draining: %s", resp.Status)
	}
	if resp := ask(h, "POST", "/mutate", "application/json", bytes.NewReader(body)); resp.StatusCode != 200 || resp.Header.Get("Connection") != "close" {
		t.Errorf("a review that comes while draining: %s, Connection %q", resp.Status, resp.Header.Get("Connection"))
	}
	if resp := ask(h, "GET", "/healthz", "", nil); resp.StatusCode != 200 || resp.Header.Get("Connection") != "close" {
		t.Errorf("a probe while draining: %s, Connection %q", resp.Status, resp.Header.Get("Connection"))
	}
	select {
	case <-drained:
		t.Error("drained with a review in flight")
	default:
	}
	close(gate)
	wg.Wait()
	<-drained
	if took := time.Since(start); took != 2*time.Second {
		t.Errorf("drained %v after the last review, want 2s", took)
	}
}

// slowBody begins when it is first read and ends when its gate opens.
type slowBody struct {
	io.Reader
	gate, reading chan struct{}
	once          sync.Once
}

func (b *slowBody) Read(p []byte) (int, error) {
	b.once.Do(func() { close(b.reading) })
	<-b.gate
	return b.Reader.Read(p)
}
