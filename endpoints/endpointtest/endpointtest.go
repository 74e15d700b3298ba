// Package endpointtest is a test kit for authors of endpoints in Go. [Conformance] sends a handler Pods of all shapes and
// judges the answers as amp does. [Golden] compares the answers about an author's own Pods with files.
//
//	func TestEndpoint(t *testing.T) {
//		endpointtest.Conformance(t, mine.Handler)
//		endpointtest.Golden(t, mine.Handler, "testdata")
//	}
//
// It calls the handler over HTTP on loopback, with the client and the checks of the proxy itself. So a program that imports
// it links them: import it in tests only. `kubectl amp conform` does the same for an endpoint in any language.
package endpointtest

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/internal/conform"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/shapes"
)

// Option changes what [Conformance] and [Golden] do.
type Option func(testing.TB, *options)

type options struct {
	phase   review.Phase
	budget  time.Duration
	pods    map[string]json.RawMessage
	without map[string]string
}

// Validating sends validating reviews. By default the reviews are mutating.
func Validating() Option { return func(_ testing.TB, o *options) { o.phase = review.Validate } }

// Budget sets the time for one answer. The default is amp's: 1500 ms, or half of it for a validating review.
func Budget(d time.Duration) Option { return func(_ testing.TB, o *options) { o.budget = d } }

// WithPod sends one more Pod, or AdmissionReview, as JSON. The name stands for it in messages.
func WithPod(name string, pod []byte) Option {
	return func(_ testing.TB, o *options) {
		if o.pods == nil {
			o.pods = map[string]json.RawMessage{}
		}
		o.pods[name] = pod
	}
}

// Without leaves a rule out, and says why. The name of the rule is that of its subtest. An unknown name fails the test.
func Without(rule, because string) Option {
	return func(t testing.TB, o *options) {
		t.Helper()
		if !slices.Contains(conform.Rules(), rule) {
			t.Fatalf("endpointtest.Without: there is no rule %q: allowed are %s", rule, strings.Join(conform.Rules(), ", "))
		}
		if o.without == nil {
			o.without = map[string]string{}
		}
		o.without[rule] = because
	}
}

func collect(t testing.TB, all []Option) options {
	t.Helper()
	o := options{phase: review.Mutate}
	for _, option := range all {
		option(t, &o)
	}
	return o
}

// Conformance sends the handler Pods of all shapes that an API server sends, and judges the answers. Each rule is a subtest.
// It fails if an answer breaks the contract of endpoints, and its message says what to do. What is only advice is logged.
//
// The reviews are real and dry runs, because both must get the same answer: the handler must not be connected to anything
// that a test must not change.
func Conformance(t *testing.T, handler http.Handler, opts ...Option) {
	t.Helper()
	o := collect(t, opts)
	report := run(t, handler, o)
	if report.Note != "" {
		t.Log("note: " + report.Note)
	}
	for _, rule := range report.Rules {
		t.Run(rule.Rule, func(t *testing.T) {
			if because, left := o.without[rule.Rule]; left {
				t.Logf("left out: %s", because)
				return
			}
			if rule.Result == "not tried" {
				t.Log("not tried: no answer was of that kind")
			}
			for _, f := range report.Findings {
				switch {
				case f.Rule != rule.Rule:
				case f.Severity == conform.Error:
					t.Errorf("%s: %s", rule.Asks, f.Text())
				default:
					t.Logf("advice: %s", f.Text())
				}
			}
		})
	}
}

func run(t *testing.T, handler http.Handler, o options) *conform.Report {
	t.Helper()
	config := conform.Config{Endpoint: serve(t, handler), Phase: o.phase, Budget: o.budget, UserAgent: "amp-endpointtest"}
	for name, pod := range o.pods {
		shape, err := shapes.Read(name, pod, o.phase)
		if err != nil {
			t.Fatalf("endpointtest.WithPod: %v", err)
		}
		config.More = append(config.More, shape)
	}
	slices.SortFunc(config.More, func(a, b shapes.Shape) int { return strings.Compare(a.Name, b.Name) })
	// Not t.Context(): a test that panics would wait for the handler.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	report, err := conform.Run(ctx, config)
	var not *conform.NotAsked
	switch {
	case errors.As(err, &not):
		t.Fatalf("endpointtest could not ask the handler: %s", not.Cause)
	case err != nil:
		t.Fatalf("endpointtest: %v", err)
	}
	return report
}

// serve serves the handler until the test ends. It does not wait for a handler that hangs, as httptest does.
func serve(t testing.TB, handler http.Handler) *url.URL {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{Handler: handler, BaseContext: func(net.Listener) context.Context { return ctx }, ReadHeaderTimeout: 5 * time.Second}
	t.Cleanup(func() {
		cancel()
		_ = server.Close()
	})
	go func() { _ = server.Serve(listener) }()
	return &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/"}
}
