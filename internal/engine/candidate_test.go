package engine_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/compare"
	"github.com/txn2/amp/internal/engine"
	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/proxy"
	"github.com/txn2/amp/internal/review"
)

// results are what came of candidates.
type results struct {
	mu  sync.Mutex
	all []*compare.Candidate
}

func (r *results) take(_ context.Context, c *compare.Candidate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, c)
}

// withCandidate is a proxy for a namespace with an endpoint and a candidate.
func withCandidate(t *testing.T, endpoint, candidate string, change func(c *engine.Config)) (*proxy.Proxy, *results) {
	t.Helper()
	loopback, err := callout.ParseRules("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	policy := namespaces.Parse("x", map[string]string{namespaces.LabelEnabled: "true"},
		map[string]string{namespaces.AnnotationEndpoint: endpoint, namespaces.AnnotationCandidate: candidate})
	if policy.Err != nil {
		t.Fatal(policy.Err)
	}
	found := &results{}
	config := engine.Config{
		Policies: named{"x": policy}, Recorder: &quiet{}, Log: slog.New(slog.DiscardHandler), Patches: checker(t), Timeout: 5 * time.Second, FailurePolicy: review.Fail,
		Endpoints: callout.Config{Allow: loopback, MaxBytes: 1 << 20, Source: "https://amp.example"}, EventsLevel: review.LevelFull, Compared: found.take,
	}
	if change != nil {
		change(&config)
	}
	p, err := engine.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return p, found
}

func reviewed(t *testing.T, p *proxy.Proxy) *review.Record {
	t.Helper()
	rec, _ := p.Review(t.Context(), &review.Review{UID: "uid-1", Phase: review.Mutate, Namespace: "x", Name: "web", User: "jane",
		Pod: json.RawMessage(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"b"}]}}`)}, time.Now(), 0)
	return rec
}

// TestCandidatesHaveTheRulesOfEndpoints: the request, the address rules, the credentials, the size of an answer.
func TestCandidatesHaveTheRulesOfEndpoints(t *testing.T) {
	var mu sync.Mutex
	requests := map[string]*http.Request{}
	bodies := map[string]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		requests[r.URL.Path], bodies[r.URL.Path] = r, string(body)
		mu.Unlock()
		if r.URL.Path == "/long" {
			_, _ = io.WriteString(w, `[{"op":"add","path":"/metadata/labels/long","value":"`+strings.Repeat("x", 2000)+`"}]`)
			return
		}
		_, _ = io.WriteString(w, `[{"op":"add","path":"/metadata/labels/team","value":"red"}]`)
	}))
	t.Cleanup(server.Close)
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for sentence, test := range map[string]struct {
		candidate string
		change    func(c *engine.Config)
		want      compare.Result
		cause     string
	}{
		"the same answer":                  {server.URL + "/new", nil, compare.ResultSame, ""},
		"an address that amp may not call": {"http://[::1]" + port + "/new", nil, compare.ResultFailed, "amp may not call ::1 (loopback)"},
		"an answer that is too long":       {server.URL + "/long", func(c *engine.Config) { c.Endpoints.MaxBytes = 1000 }, compare.ResultFailed, "answered more than 1000 bytes"},
	} {
		t.Run(sentence, func(t *testing.T) {
			p, found := withCandidate(t, server.URL+"/old", strings.Replace(test.candidate, "127.0.0.1", "jane:s3cret@127.0.0.1", 1), test.change)
			rec := reviewed(t, p)
			if rec.Verdict.Outcome != review.OutcomeMutated {
				t.Fatalf("%s: %s", rec.Verdict.Outcome, rec.Verdict.Message)
			}
			p.Candidates.Call(rec)
			p.Candidates.Drain(t.Context())
			c := found.all[0]
			if c.Result != test.want || (c.Step.Err == nil) != (test.cause == "") || c.Step.Err != nil && !strings.Contains(c.Step.Err.Error(), test.cause) {
				t.Fatalf("%s, %v; want %s, %q", c.Result, c.Step.Err, test.want, test.cause)
			}
			if test.want != compare.ResultSame {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			before, after := requests["/old"].Header.Clone(), requests["/new"].Header.Clone()
			if user, password, _ := requests["/new"].BasicAuth(); user != "jane" || password != "s3cret" || after.Get("Ce-Dryrun") != "true" || after.Get("Ce-Candidate") != "true" || before.Get("Ce-Candidate") != "" {
				t.Errorf("the candidate got %v as %s", after, user)
			}
			after.Del("Ce-Candidate")
			after.Del("Authorization")
			after.Set("Ce-Dryrun", "false")
			for key := range before {
				if after.Get(key) != before.Get(key) || len(after) != len(before) {
					t.Errorf("the candidate got %v, the endpoint %v", after, before)
				}
			}
			if bodies["/new"] != bodies["/old"] {
				t.Errorf("the candidate got %s, the endpoint %s", bodies["/new"], bodies["/old"])
			}
		})
	}
}

// TestACandidateThatHangsDoesNoHarm: on the host of the endpoint, calls of a candidate end without an answer. The endpoint's
// circuit stays closed, its one connection is kept, and the candidate's own circuit opens.
func TestACandidateThatHangsDoesNoHarm(t *testing.T) {
	t.Parallel() // it waits for most of its time
	n := besideOneThatHangs(t)
	if n > 1 { // net/http gives up a connection if the machine lets it wait for 50 ms after an answer
		n = besideOneThatHangs(t)
	}
	if n > 1 {
		t.Errorf("%d connections for the endpoint", n)
	}
}

// besideOneThatHangs calls a candidate that hangs until its circuit opens. It returns how many connections the endpoint got, 0
// if it was late itself.
func besideOneThatHangs(t *testing.T) (connections int) {
	t.Helper()
	var hung atomic.Int64
	var used sync.Map // the connections of the endpoint, by the caller's port
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/new" {
			hung.Add(1)
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return
		}
		used.Store(r.RemoteAddr, true)
		_, _ = io.WriteString(w, `[]`)
	}))
	t.Cleanup(server.Close)
	p, found := withCandidate(t, server.URL+"/old", server.URL+"/new", func(c *engine.Config) {
		c.Timeout = time.Second
		c.CircuitChanged = func(host string, open bool) { t.Errorf("the circuit of %s changed: %t", host, open) }
	})
	const failures, atOnce = 10, proxy.CandidatePlaces / 2 // those that open a circuit; and what one namespace gets
	answered, opened := true, false
	for begun := 0; !opened && begun < 10*failures; {
		for range atOnce {
			rec := reviewed(t, p)
			if rec.Run.Steps[0].Result == review.ResultCircuit {
				t.Fatal("the endpoint's circuit is open")
			}
			answered = answered && rec.Verdict.Outcome == review.OutcomeUnchanged // on a busy machine, the endpoint may be late
			p.Candidates.Call(rec)
			begun++
		}
		for ended := 0; ended < begun; time.Sleep(time.Millisecond) {
			found.mu.Lock()
			if ended = len(found.all); ended > 0 {
				last := found.all[ended-1]
				opened = last.Step.Result == review.ResultCircuit
			}
			found.mu.Unlock()
		}
	}
	p.Candidates.Drain(t.Context())
	// When the tenth fails, others are under way. On a busy machine, one may not even connect.
	if n := hung.Load(); !opened || n == 0 || n >= failures+atOnce {
		t.Errorf("%d calls went out, and the circuit is open: %t", n, opened)
	}
	if !answered {
		return 0
	}
	used.Range(func(any, any) bool { connections++; return true })
	return connections
}
