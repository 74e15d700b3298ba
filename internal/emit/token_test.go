package emit

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestTheTokenOfTheSink: each request has the token as it is then, over https and over http to this machine.
func TestTheTokenOfTheSink(t *testing.T) {
	for _, scheme := range []string{"https", "http"} {
		t.Run(scheme, func(t *testing.T) {
			got := make(chan string, 10)
			script := func(code int) func(http.ResponseWriter, *http.Request) {
				return func(w http.ResponseWriter, req *http.Request) {
					got <- req.Header.Get("Authorization")
					w.WriteHeader(code)
				}
			}
			// The sink does not know the new token yet.
			r := &receiver{script: []func(http.ResponseWriter, *http.Request){script(200), script(401), script(200)}}
			config := EventsConfig{}
			if r.Server = httptest.NewUnstartedServer(r.handler(t)); scheme == "https" {
				r.StartTLS()
				config.Roots = x509.NewCertPool()
				config.Roots.AddCert(r.Certificate())
			} else {
				t.Setenv("HTTP_PROXY", "http://192.0.2.1:1")
				r.Start()
			}
			defer r.Close()
			var token atomic.Value
			token.Store("Bearer t0ken-1")
			config.Sink = parseURL(t, r.URL)
			config.Token = func() (string, error) { return token.Load().(string), nil }
			w := open(t, config)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := w.Deliver(ctx, required(t, 0)); err != nil {
				t.Fatal(err)
			}
			token.Store("Bearer t0ken-2")
			w.Record(ctx, numbered(t, 1))
			w.flush(t)
			w.want(t, 2, 1, 0, 0)
			if a, b, c := <-got, <-got, <-got; a != "Bearer t0ken-1" || b != "Bearer t0ken-2" || c != b {
				t.Errorf("the requests had %q, %q, %q", a, b, c)
			}
			if strings.Contains(w.log.String(), "t0ken") {
				t.Error(w.log)
			}
		})
	}
}

// TestTheTokenStaysInTheNetwork: over http it is not sent to a public address, which is noticed before a connection is made. The
// error is that of the last try: of 5 s, also a slow machine has enough left for it.
func TestTheTokenStaysInTheNetwork(t *testing.T) {
	for _, url := range []string{"http://203.0.113.1:9", "http://[2001:db8::1]:9", "http://169.254.169.254:9", "http://[64:ff9b::a00:1]:9"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			w := open(t, EventsConfig{Sink: parseURL(t, url), Token: func() (string, error) { return "Bearer t0ken", nil }})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := w.Deliver(ctx, required(t, 0))
			if err == nil || !strings.Contains(err.Error(), "AMP_EVENTS_TOKEN_FILE goes over http to private addresses only") || strings.Contains(err.Error(), "t0ken") {
				t.Error(err)
			}
		})
	}
}

// TestWithoutAGoodTokenNothingIsSent: the file of the token is gone, and the event waits for it.
func TestWithoutAGoodTokenNothingIsSent(t *testing.T) {
	r := newReceiver(t)
	var tries atomic.Int32
	w := open(t, EventsConfig{Sink: parseURL(t, r.URL), Token: func() (string, error) {
		if tries.Add(1) == 1 {
			return "Bearer old", errors.New("open /x/token: no such file")
		}
		return "Bearer new", nil
	}})
	w.Record(t.Context(), numbered(t, 0))
	w.flush(t)
	w.want(t, 1, 1, 0, 0)
	if r.tries.Load() != 1 || !strings.Contains(w.log.String(), "was not called: open /x/token: no such file") {
		t.Errorf("%d requests, log:\n%s", r.tries.Load(), w.log)
	}
}
