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

// TestACandidateThatHangsDoesNoHarm: on the host of the endpoint, twenty calls of a candidate end without an answer. The
// endpoint's circuit stays closed, its one connection is kept, and the candidate's own circuit opens.
func TestACandidateThatHangsDoesNoHarm(t *testing.T) {
	var hung, answered atomic.Int64
	var connections sync.Map // of the endpoint, by the caller's port
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/new" {
			hung.Add(1)
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return
		}
		connections.Store(r.RemoteAddr, true)
		_, _ = io.WriteString(w, `[]`)
	}))
	t.Cleanup(server.Close)
	p, found := withCandidate(t, server.URL+"/old", server.URL+"/new", func(c *engine.Config) {
		c.Timeout = 100 * time.Millisecond
		c.CircuitChanged = func(host string, open bool) { t.Errorf("the circuit of %s changed: %t", host, open) }
	})
	const calls = 20
	for len(found.all) < calls {
		rec := reviewed(t, p)
		if rec.Run.Steps[0].Result == review.ResultCircuit {
			t.Fatal("the endpoint's circuit is open")
		}
		if rec.Verdict.Outcome == review.OutcomeUnchanged { // on a busy machine, the endpoint may be late
			answered.Add(1)
		}
		p.Candidates.Call(rec)
		for n := 0; n == 0; time.Sleep(time.Millisecond) {
			found.mu.Lock()
			if len(found.all) > 0 && found.all[len(found.all)-1].Review == rec {
				n = 1
			}
			found.mu.Unlock()
		}
	}
	p.Candidates.Drain(t.Context())
	if last := found.all[calls-1]; last.Step.Result != review.ResultCircuit || hung.Load() > 10 || hung.Load() == 0 { // on a busy machine, one may not even connect
		t.Errorf("%d calls went out, and the last one is %s", hung.Load(), last.Step.Result)
	}
	n := 0
	connections.Range(func(any, any) bool { n++; return true })
	if answered.Load() == calls && n != 1 {
		t.Errorf("%d connections for the endpoint", n)
	}
}
