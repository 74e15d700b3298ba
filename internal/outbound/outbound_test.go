package outbound_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/txn2/amp/internal/outbound"
)

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestPort(t *testing.T) {
	for text, want := range map[string]uint16{
		"http://a":           80,
		"https://a":          443,
		"https://a:8443/x":   8443,
		"http://[::1]:65535": 65535,
		"http://a:":          80,
		"https://a:65536":    443,
	} {
		if got := outbound.Port(parse(t, text)); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

func TestUserAgent(t *testing.T) {
	for version, want := range map[string]string{"": "amp", "v1.2.3": "amp/v1.2.3"} {
		if got := outbound.UserAgent(version); got != want {
			t.Errorf("%q: %q, want %q", version, got, want)
		}
	}
}

func TestPause(t *testing.T) {
	const wait, rest = 40 * time.Millisecond, 20 * time.Millisecond
	for name, test := range map[string]struct {
		left time.Duration // until the deadline; 0: there is none
		want bool
		took time.Duration
	}{
		"without a deadline":                     {0, true, wait},
		"enough time is left":                    {wait + rest, true, wait},
		"too little time would be left after it": {wait + rest - 1, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if test.left > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.left)
					defer cancel()
				}
				start := time.Now()
				if got := outbound.Pause(ctx, wait, rest); got != test.want {
					t.Errorf("%t, want %t", got, test.want)
				}
				if took := time.Since(start); took != test.took {
					t.Errorf("it took %s, want %s", took, test.took)
				}
			})
		})
	}
	t.Run("the context ends during the wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(wait/2, cancel)
			start := time.Now()
			if outbound.Pause(ctx, wait, rest) || time.Since(start) != wait/2 {
				t.Errorf("it waited %s", time.Since(start))
			}
		})
	})
}

// TestRequest sends one request twice, as a transport does that repeats it: the body is whole both times, and the
// userinfo goes as basic auth only if the caller asks for it.
func TestRequest(t *testing.T) {
	var got *http.Request
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		got, body = r, string(content)
	}))
	defer server.Close()
	u := parse(t, server.URL+"/a%2Fb?q=1")
	u.User = url.UserPassword("jane", "s3cret")
	transport := outbound.NewTransport(nil)
	defer transport.CloseIdleConnections()

	for name, withAuth := range map[string]bool{"without basic auth": false, "with basic auth": true} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{}
			outbound.SetBasicAuth(header, nil)
			if withAuth {
				outbound.SetBasicAuth(header, u.User)
			}
			req := outbound.NewRequest(t.Context(), u, header, []byte("the body"))
			for range 2 {
				resp, err := transport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if got.Method != http.MethodPost || got.RequestURI != "/a%2Fb?q=1" || got.Host != u.Host || got.ContentLength != 8 || body != "the body" {
					t.Errorf("%s %s of %s, %d bytes: %q", got.Method, got.RequestURI, got.Host, got.ContentLength, body)
				}
				user, password, ok := got.BasicAuth()
				if ok != withAuth || ok && (user != "jane" || password != "s3cret") {
					t.Errorf("basic auth %q %q %t", user, password, ok)
				}
				if req.Body, err = req.GetBody(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestEnded: also when a dialer notices the deadline before the context does.
func TestEnded(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	past := time.Now().Add(-time.Second)
	for name, test := range map[string]struct {
		ctx  context.Context
		want bool
	}{
		"no deadline":                            {t.Context(), false},
		"a deadline to come":                     {deadline{t.Context(), time.Now().Add(time.Hour)}, false},
		"a deadline that ctx has not noticed":    {deadline{t.Context(), past}, true},
		"given up before a deadline, or without": {cancelled, true},
	} {
		if got := outbound.Ended(test.ctx); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// deadline is a context with a deadline that it never notices.
type deadline struct {
	context.Context
	at time.Time
}

func (d deadline) Deadline() (time.Time, bool) { return d.at, true }
