package conform_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/txn2/amp/internal/conform"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/shapes"
)

// TestBlamesNoGoodEndpoint sends reviews to endpoints that keep the contract in ways that are easily taken for faults.
func TestBlamesNoGoodEndpoint(t *testing.T) {
	var known sync.Map
	own := func(name string) shapes.Shape {
		s, err := shapes.Read(name, []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"`+name+`","annotations":{"a":"b"}},"spec":{"containers":[{"name":"`+name+`","image":"a"}]}}`), review.Mutate)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, c := range map[string]struct {
		endpoint http.HandlerFunc
		config   conform.Config
		user     *url.Userinfo
	}{
		"it answers a review that it knows by its ce-id as before": {endpoint: func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			container := "one"
			if strings.Contains(string(text), `"two"`) {
				container = "two"
			}
			body := `[{"op":"test","path":"/spec/containers/0/name","value":"` + container + `"},{"op":"add","path":"/metadata/annotations/a","value":"c"}]`
			if id := r.Header.Get("Ce-Id"); id != "" {
				before, _ := known.LoadOrStore(id, body)
				body = before.(string)
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		}, config: conform.Config{Shapes: []shapes.Shape{}, More: []shapes.Shape{own("one"), own("two")}}},
		"it wants the password of the URL": {endpoint: func(w http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user != "u" || password != "p" {
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			json(add)(w, r)
		}, user: url.UserPassword("u", "p")},
		"it denies with a text that has a remark in brackets": {endpoint: json(`{"allowed":false,"status":{"message":"no\nGPUs (amp: the team of that name)"}}`)},
		"it denies with a text that begins as amp's":          {endpoint: json(`{"allowed":false,"status":{"message":"amp: the endpoint denied it"}}`)},
		"it denies with a reason only":                        {endpoint: json(`{"allowed":false,"status":{"reason":"no (amp: ask)"}}`)},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.Endpoint = serve(t, c.endpoint)
			c.config.Endpoint.User = c.user
			c.config.Budget = patience
			if c.config.Shapes == nil {
				c.config.Shapes = all(t, review.Mutate)[:2]
			}
			report, err := conform.Run(t.Context(), c.config)
			if err != nil {
				t.Fatal(err)
			}
			of := func(f *conform.Finding) bool { return f.Rule != "wrong-requests" || strings.Contains(f.Sent, "a Pod") }
			if slices.ContainsFunc(report.Findings, of) {
				_ = report.WriteText(t.Output())
				t.Error("it is blamed")
			}
		})
	}
}

// TestFaultsOfTLS promises that a fault of TLS is none of an answer: the endpoint was not asked.
func TestFaultsOfTLS(t *testing.T) {
	closes, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer closes.Close()
	go func() {
		for {
			conn, err := closes.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	for name, c := range map[string]struct {
		secure bool
		client tls.ClientAuthType
		known  bool   // its CA
		host   string // another one than the server's
		want   string // a part of the error; empty for none
	}{
		"all is well":                       {secure: true, known: true},
		"an unknown authority":              {secure: true, want: "an authority that amp does not know"},
		"it wants a client's certificate":   {secure: true, known: true, client: tls.RequireAnyClientCert, want: "certificate required"},
		"it speaks no TLS":                  {want: "it does not speak TLS there"},
		"it closes each connection at once": {host: closes.Addr().String(), want: "TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(json(add))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			config := conform.Config{Endpoint: &url.URL{Scheme: "https", Host: server.Listener.Addr().String(), Path: "/"}, Shapes: all(t, review.Mutate)[:1], Budget: patience}
			if c.secure {
				server.TLS = &tls.Config{ClientAuth: c.client}
				server.StartTLS()
			} else {
				server.Start()
			}
			t.Cleanup(server.Close)
			if c.known {
				config.CAFile = filepath.Join(t.TempDir(), "ca.pem")
				ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
				if err := os.WriteFile(config.CAFile, ca, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if c.host != "" {
				config.Endpoint.Host = c.host
			}
			report, err := conform.Run(t.Context(), config)
			var not *conform.NotAsked
			switch {
			case c.want == "" && (err != nil || len(report.Findings) > 0):
				t.Errorf("%v, %+v", err, report)
			case c.want != "" && (!errors.As(err, &not) || !strings.Contains(not.Cause, c.want)):
				t.Errorf("%v", err)
			}
		})
	}
}

// TestInterrupted promises that what is known by then is reported, and that nothing is said of the answer that was waited for.
func TestInterrupted(t *testing.T) {
	for name, at := range map[string]int64{"the Pod again": 2, "the dry run": 3, "the patched Pod": 4, "the second Pod": 5, "one among others": 17, "a wrong request": 25} {
		t.Run(name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var n atomic.Int64
			u := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) < at {
					json(add)(w, r)
					return
				}
				_, _ = io.ReadAll(r.Body)
				interrupt()
				<-r.Context().Done()
			}))
			report, err := conform.Run(ctx, conform.Config{Endpoint: u, Shapes: all(t, review.Mutate)[:4], Budget: time.Minute})
			if !errors.Is(err, context.Canceled) || report == nil {
				t.Fatalf("%v, %v", report, err)
			}
			if len(report.Findings) > 0 || report.Answers.Patched != min(4, int(at+2)/4) || report.Answers.Failed > 0 || !strings.Contains(report.Note, "interrupted") {
				_ = report.WriteText(t.Output())
				t.Errorf("%+v", report.Answers)
			}
			for _, rule := range report.Rules {
				if at == 2 && (rule.Rule == "repeatable" || rule.Rule == "dry-run") && rule.Result != "not tried" {
					t.Errorf("%s: %s", rule.Rule, rule.Result)
				}
			}
		})
	}
}
