package engine_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/engine"
	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/review"
)

// silent is a server that reads requests and does not answer. It counts the connections.
type silent struct {
	net.Listener
	connects atomic.Int64
	answers  atomic.Bool // from now on it answers
}

func newSilent(t *testing.T) *silent {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &silent{Listener: listener}
	var open sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { listener.Close(); cancel(); open.Wait() })
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.connects.Add(1)
			open.Go(func() {
				defer context.AfterFunc(ctx, func() { conn.Close() })() // amp keeps its connections
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					if s.answers.Load() {
						_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
					}
				}
			})
		}
	})
	return s
}

// quiet takes the records of many reviews at a time.
type quiet struct{ printer }

func (*quiet) Record(context.Context, *review.Record) {}

// TestManyReviewsOfAnEndpointThatHangs: 1,600 reviews, 64 at a time. Without a circuit, each of them connects and waits
// for the whole timeout.
func TestManyReviewsOfAnEndpointThatHangs(t *testing.T) {
	t.Parallel() // it waits for most of its time
	const reviews, workers, timeout = 1600, 64, 2 * time.Second
	hook := newSilent(t)
	loopback, err := callout.ParseRules("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	var open atomic.Int64
	policies := named{}
	for _, namespace := range []string{"a", "b", "c", "d"} {
		policies[namespace] = namespaces.Parse(namespace, map[string]string{"amp.txn2.com/enabled": "true"},
			map[string]string{"amp.txn2.com/ep": "http://jane:geheim@" + hook.Addr().String() + "/" + namespace + "?key=geheim"})
	}
	proxy, err := engine.New(engine.Config{
		Policies: policies, Recorder: &quiet{}, Log: slog.New(slog.DiscardHandler), Timeout: timeout, Patches: checker(t),
		Endpoints: callout.Config{Allow: loopback, MaxBytes: 1 << 20, Source: "https://amp.example"},
		CircuitChanged: func(host string, is bool) {
			if host != hook.Addr().String() {
				t.Errorf("host %q", host)
			}
			if open.Add(-1); is {
				open.Add(2)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	one := func(namespace string) *review.Record {
		rec, _ := proxy.Review(t.Context(), &review.Review{UID: "uid-1", Phase: review.Mutate, Namespace: namespace, Name: "web", User: "jane",
			Pod: json.RawMessage(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"containers":[{"name":"a","image":"b"}]}}`)}, time.Now(), 0)
		return rec
	}

	var done sync.WaitGroup
	var refused, other atomic.Int64
	next := make(chan string)
	for range workers {
		done.Go(func() {
			for namespace := range next {
				rec := one(namespace)
				switch step := rec.Run.Steps[0]; {
				case step.Result == review.ResultCircuit:
					refused.Add(1)
					if rec.Verdict.Outcome != review.OutcomeRejected || step.Status != 0 || strings.Contains(rec.Verdict.Message, "geheim") ||
						!strings.HasPrefix(rec.Verdict.Message, "amp: endpoint http://"+hook.Addr().String()+"/"+namespace+": not called: its circuit is open since ") {
						t.Errorf("%s, %d: %q", rec.Verdict.Outcome, step.Status, rec.Verdict.Message)
					}
				case step.Result != review.ResultLate && step.Result != review.ResultUnreachable:
					t.Errorf("%s: %v", step.Result, step.Err)
				default:
					other.Add(1)
				}
			}
		})
	}
	for i := range reviews {
		next <- string("abcd"[i%4])
	}
	close(next)
	done.Wait()
	t.Logf("%d connects, %d of %d reviews decided at once", hook.connects.Load(), refused.Load(), reviews)
	// Those that were under way when it opened, and here and there one that tries.
	if n := hook.connects.Load(); n < 10 || n > 2*workers {
		t.Errorf("%d connects for %d reviews", n, reviews)
	}
	if n := other.Load(); n > 2*workers {
		t.Errorf("%d reviews were not decided at once", n)
	}
	if open.Load() != 1 {
		t.Fatalf("%d circuits are open", open.Load())
	}

	hook.answers.Store(true)
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if rec := one("a"); rec.Verdict.Outcome == review.OutcomeUnchanged {
			break
		}
		if time.Since(begin) > time.Minute {
			t.Fatal("the endpoint answers again, and is not called")
		}
	}
	if rec := one("b"); rec.Verdict.Outcome != review.OutcomeUnchanged || open.Load() != 0 {
		t.Errorf("then %s, and %d circuits are open", rec.Verdict.Outcome, open.Load())
	}
}
