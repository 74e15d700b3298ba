package circuit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/txn2/amp/internal/circuit"
	"github.com/txn2/amp/internal/review"
)

// timeout is that of the Breakers here.
const timeout = 2 * time.Second

// world is a Breaker over calls that end as the test says.
type world struct {
	*circuit.Breaker
	t   testing.TB
	log bytes.Buffer

	mu    sync.Mutex
	calls int
	state []string                                                // what Changed was told
	do    func(context.Context) (review.Answer, error)            // of the next calls
	on    map[string]func(context.Context) (review.Answer, error) // of the next calls of a namespace; goes first
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, on: map[string]func(context.Context) (review.Answer, error){}}
	w.Breaker = circuit.New(circuit.Config{Next: w.caller(), Timeout: timeout,
		Log: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})),
		Changed: func(host string, open bool) {
			w.mu.Lock() // a timer closes idle circuits
			defer w.mu.Unlock()
			w.state = append(w.state, fmt.Sprint(host, " ", open))
		}})
	return w
}

type caller func(context.Context, *review.Review) (review.Answer, error)

func (c caller) Call(ctx context.Context, _ review.Endpoint, r *review.Review, _ int, _ time.Time, _ json.RawMessage) (review.Answer, error) {
	return c(ctx, r)
}

func (w *world) caller() caller {
	return func(ctx context.Context, r *review.Review) (review.Answer, error) {
		w.mu.Lock()
		w.calls++
		do := w.do
		if on := w.on[r.Namespace]; on != nil {
			do = on
		}
		w.mu.Unlock()
		return do(ctx)
	}
}

// made is the number of calls that reached the endpoint since it was last asked.
func (w *world) made() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.calls
	w.calls = 0
	return n
}

func endpoint(t testing.TB, text string) review.Endpoint {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return review.NewEndpoint(u)
}

const hook = "http://jane:geheim@hook.team.svc/mutate?key=geheim"

// review calls hook for a namespace, with a whole timeout.
func (w *world) review(namespace string) error { return w.within(namespace, timeout) }

func (w *world) within(namespace string, left time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), left)
	defer cancel()
	return w.under(ctx, namespace, hook)
}

func (w *world) under(ctx context.Context, namespace, at string) error {
	_, err := w.Call(ctx, endpoint(w.t, at), &review.Review{Namespace: namespace}, 1, time.Now(), nil)
	return err
}

// fails makes n calls of a namespace, which must reach the endpoint.
func (w *world) fails(namespace string, n int) {
	w.t.Helper()
	w.made()
	for range n {
		if err := w.review(namespace); err == nil || refused(err) {
			w.t.Fatalf("error %v, want a failure of the endpoint", err)
		}
	}
	if got := w.made(); got != n {
		w.t.Fatalf("%d calls, want %d", got, n)
	}
}

// open makes the circuit open by ten failures of a namespace.
func (w *world) open(namespace string) {
	w.t.Helper()
	w.do = unreachable
	w.fails(namespace, 10)
	w.wantRefused(namespace)
}

func (w *world) wantRefused(namespace string) {
	w.t.Helper()
	w.made()
	err := w.review(namespace)
	if !refused(err) || w.made() != 0 {
		w.t.Fatalf("%s: error %v, want that of an open circuit, and no call", namespace, err)
	}
}

func (w *world) wantCalled(namespace string) {
	w.t.Helper()
	w.made()
	if err := w.review(namespace); w.made() != 1 {
		w.t.Fatalf("%s: not called: %v", namespace, err)
	}
}

func (w *world) wantState(want ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.state, ", "); got != strings.Join(want, ", ") {
		w.t.Errorf("told %q, want %q", got, want)
	}
}

// refused reports whether the circuit was the reason.
func refused(err error) bool {
	var f *review.Failure
	return errors.As(err, &f) && f.Result == review.ResultCircuit
}

// How the calls end.

func failure(status int, result review.Result, cause string) (review.Answer, error) {
	return review.Answer{Status: status}, &review.Failure{Result: result, Cause: cause}
}

func fine(context.Context) (review.Answer, error) { return review.Answer{Status: 200}, nil }

func unreachable(context.Context) (review.Answer, error) {
	return failure(0, review.ResultUnreachable, "connection refused: is the endpoint running, on that port?")
}

func silent(ctx context.Context) (review.Answer, error) {
	<-ctx.Done()
	return failure(0, review.ResultLate, "no answer")
}

func status(code int) func(context.Context) (review.Answer, error) {
	return func(context.Context) (review.Answer, error) {
		return failure(code, review.ResultStatus, fmt.Sprintf("answered %d: the Pod's secret is geheim", code))
	}
}
