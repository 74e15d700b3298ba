package proxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/txn2/amp/internal/compare"
	check "github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/proxy"
	"github.com/txn2/amp/internal/review"
)

// lab is a Proxy with candidates, and what they were asked and made.
type lab struct {
	*world
	candidate func(ctx context.Context, r *review.Review) (review.Answer, error)
	config    proxy.CandidatesConfig

	mu    sync.Mutex
	asked []review.Review
	told  []*compare.Candidate
}

// Call answers for the endpoints and for the candidate.
func (l *lab) Call(ctx context.Context, e review.Endpoint, r *review.Review, step int, at time.Time, pod json.RawMessage) (review.Answer, error) {
	if e.Name != "http://new" {
		return l.world.Call(ctx, e, r, step, at, pod)
	}
	if step != 1 || !bytes.Equal(pod, r.Pod) {
		panic("the candidate gets what the first endpoint got")
	}
	l.mu.Lock()
	l.asked = append(l.asked, *r)
	l.mu.Unlock()
	return l.candidate(ctx, r)
}

func (l *lab) proxy(t *testing.T) *proxy.Proxy {
	checker, err := check.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := l.world.proxy()
	p.Endpoints = l
	p.Check, p.CheckStrictly, p.CheckWhole, p.Annotate, p.Unannotate = checker.Check, checker.Strict().Check, checker.CheckWhole, check.Annotate, check.Unannotate
	calls := *p
	l.config.Calls, l.config.Apply = &calls, check.Apply
	l.config.Compared = func(_ context.Context, c *compare.Candidate) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.told = append(l.told, c)
	}
	p.Candidates = proxy.NewCandidates(l.config)
	return p
}

// results are what was told of the candidates, in any order.
func (l *lab) results() (all []compare.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.told {
		all = append(all, c.Result)
	}
	return all
}

// underWay is how often the candidate was asked.
func (l *lab) underWay() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.asked)
}

// sets is the answer of an endpoint that sets a label.
func sets(value string) review.Answer {
	return review.Answer{Status: 200, Ops: []review.Op{{Op: "add", Path: "/metadata/labels/a", Value: json.RawMessage(`"` + value + `"`)}}}
}

const aPod = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web"},"spec":{"containers":[{"name":"c","image":"i"}]}}`

func TestCandidate(t *testing.T) {
	const a, b = "http://a", "http://b"
	endpoint := endpoints(t, "http://new")[0]
	policy := func(change func(p *review.Policy)) *review.Policy {
		p := &review.Policy{Enabled: true, Mutate: endpoints(t, a), Candidate: &endpoint}
		if change != nil {
			change(p)
		}
		return p
	}
	opted, chain := policy(nil), policy(func(p *review.Policy) { p.Mutate = endpoints(t, a, b) })
	one := map[string]review.Answer{a: sets("1")}
	down, refused := errors.New("down"), review.Answer{Status: 200, Refused: true, Message: "no"}
	other := review.Answer{Status: 200, Ops: []review.Op{{Op: "add", Path: "/metadata/labels/b", Value: json.RawMessage(`"2"`)}}}
	both := review.Answer{Status: 200, Ops: []review.Op{sets("1").Ops[0], other.Ops[0]}}
	mutate := review.Review{UID: "u", Namespace: "x", Phase: review.Mutate, User: "jane", Pod: json.RawMessage(aPod)}
	with := func(change func(r *review.Review)) review.Review {
		r := mutate
		change(&r)
		return r
	}

	const none compare.Result = ""
	for sentence, test := range map[string]struct {
		world     world
		r         review.Review
		candidate review.Answer
		err       error
		want      compare.Result
		differs   string
		outcome   review.Outcome
	}{
		"the same patch makes the same Pod":                     {world{policy: opted, answers: one}, mutate, sets("1"), nil, compare.ResultSame, "", review.OutcomeMutated},
		"amp's stamp on the Pod makes no difference":            {world{policy: opted, answers: one, events: review.LevelPatch}, mutate, sets("1"), nil, compare.ResultSame, "", review.OutcomeMutated},
		"another value makes another Pod":                       {world{policy: opted, answers: one}, mutate, sets("2"), nil, compare.ResultDifferent, "/metadata/labels/a: other value", review.OutcomeMutated},
		"a candidate that changes nothing":                      {world{policy: opted, answers: one}, mutate, review.Answer{Status: 200}, nil, compare.ResultDifferent, "/metadata/labels: only first", review.OutcomeMutated},
		"an endpoint that changes nothing":                      {world{policy: opted}, mutate, sets("1"), nil, compare.ResultDifferent, "/metadata/labels: only second", review.OutcomeUnchanged},
		"both change nothing":                                   {world{policy: opted}, mutate, review.Answer{Status: 200}, nil, compare.ResultSame, "", review.OutcomeUnchanged},
		"both deny":                                             {world{policy: opted, answers: map[string]review.Answer{a: refused}}, mutate, refused, nil, compare.ResultSame, "", review.OutcomeDenied},
		"only the endpoint denies":                              {world{policy: opted, answers: map[string]review.Answer{a: refused}}, mutate, sets("1"), nil, compare.ResultDifferent, "", review.OutcomeDenied},
		"only the candidate denies":                             {world{policy: opted, answers: one}, mutate, refused, nil, compare.ResultDifferent, "", review.OutcomeMutated},
		"the candidate fails":                                   {world{policy: opted, answers: one}, mutate, review.Answer{}, down, compare.ResultFailed, "", review.OutcomeMutated},
		"the candidate's patch does not apply":                  {world{policy: opted, answers: one}, mutate, review.Answer{Ops: []review.Op{{Op: "remove", Path: "/spec/nothing"}}}, nil, compare.ResultFailed, "", review.OutcomeMutated},
		"the candidate's patch changes what it may not":         {world{policy: opted, answers: one}, mutate, review.Answer{Ops: []review.Op{{Op: "replace", Path: "/metadata/name", Value: json.RawMessage(`"x"`)}}}, nil, compare.ResultFailed, "", review.OutcomeMutated},
		"an unknown field fails where the Namespace wants that": {world{policy: policy(func(p *review.Policy) { p.FailUnknownFields = true }), answers: one}, mutate, review.Answer{Ops: []review.Op{{Op: "add", Path: "/spec/nothing", Value: json.RawMessage(`1`)}}}, nil, compare.ResultFailed, "", review.OutcomeMutated},
		"the endpoint fails, under Fail":                        {world{policy: opted, failures: map[string]error{a: down}}, mutate, sets("1"), nil, compare.ResultAlone, "", review.OutcomeRejected},
		"the endpoint fails, under Ignore":                      {world{policy: policy(func(p *review.Policy) { p.FailurePolicy = review.Ignore }), failures: map[string]error{a: down}}, mutate, sets("1"), nil, compare.ResultAlone, "", review.OutcomeFailedOpen},
		"both fail":                                             {world{policy: opted, failures: map[string]error{a: down}}, mutate, review.Answer{}, down, compare.ResultFailed, "", review.OutcomeRejected},
		"one candidate stands against a whole chain":            {world{policy: chain, answers: map[string]review.Answer{a: sets("1"), b: other}}, mutate, both, nil, compare.ResultSame, "", review.OutcomeMutated},
		"a part of what a chain makes is another Pod":           {world{policy: chain, answers: map[string]review.Answer{a: sets("1"), b: other}}, mutate, sets("1"), nil, compare.ResultDifferent, "/metadata/labels/b: only first", review.OutcomeMutated},
		"shadow mode compares what would have been":             {world{policy: policy(func(p *review.Policy) { p.Shadow = true }), answers: one}, mutate, sets("1"), nil, compare.ResultSame, "", review.OutcomeShadowed},
		"a sink that fails makes no difference":                 {world{policy: opted, answers: one, events: review.LevelPatch, required: true, undelivered: down}, mutate, sets("1"), nil, compare.ResultSame, "", review.OutcomeRejected},
		"a dry run calls no candidate":                          {world{policy: opted, answers: one}, with(func(r *review.Review) { r.DryRun = true }), sets("1"), nil, none, "", review.OutcomeMutated},
		"nor does a validation":                                 {world{policy: policy(func(p *review.Policy) { p.Validate = p.Mutate })}, with(func(r *review.Review) { r.Phase = review.Validate }), sets("1"), nil, none, "", review.OutcomeValidated},
		"nor a Pod of a node":                                   {world{policy: opted}, with(func(r *review.Review) { r.FromNode = true }), sets("1"), nil, none, "", review.OutcomeSkipped},
		"nor a Pod outside the selector":                        {world{policy: policy(func(p *review.Policy) { p.Pods = selector(t, "a=b") })}, mutate, sets("1"), nil, none, "", review.OutcomeSkipped},
		"nor a Pod of a user who may not create it":             {world{policy: policy(func(p *review.Policy) { p.Creators = review.Globs{"hub"} })}, mutate, sets("1"), nil, none, "", review.OutcomeRejected},
		"nor a Namespace with a bad value":                      {world{policy: policy(func(p *review.Policy) { p.Err = errors.New("bad") })}, mutate, sets("1"), nil, none, "", review.OutcomeRejected},
		"nor a Namespace without a candidate":                   {world{policy: policy(func(p *review.Policy) { p.Candidate = nil }), answers: one}, mutate, sets("1"), nil, none, "", review.OutcomeMutated},
	} {
		run(t, sentence, func(t *testing.T) {
			l := &lab{world: &test.world, candidate: func(context.Context, *review.Review) (review.Answer, error) { return test.candidate, test.err }}
			p := l.proxy(t)
			rec, _ := p.Review(t.Context(), &test.r, time.Now(), 0)
			if len(l.asked) > 0 {
				t.Error("the candidate was asked before the answer")
			}
			if rec.Verdict.Outcome != test.outcome {
				t.Fatalf("the review is %s, not %s: %s", rec.Verdict.Outcome, test.outcome, rec.Verdict.Message)
			}
			p.Candidates.Call(rec)
			p.Candidates.Drain(t.Context())
			if test.want == none {
				if len(l.asked) > 0 || len(l.told) > 0 {
					t.Errorf("the candidate was called: %v", l.results())
				}
				return
			}
			if len(l.told) != 1 || l.told[0].Result != test.want {
				t.Fatalf("told %v, want %s", l.results(), test.want)
			}
			c := l.told[0]
			var groups string
			if len(c.Found.Differences) > 0 {
				groups = strings.Join(c.Found.Groups(), ", ")
			}
			if groups != test.differs {
				t.Errorf("differs in %q, not %q", groups, test.differs)
			}
			if asked := l.asked[0]; !asked.DryRun || !asked.Candidate || asked.User != "jane" || asked.UID != "u" {
				t.Errorf("asked about %+v", asked)
			}
			if rec.Review.DryRun || rec.Review.Candidate {
				t.Error("the review itself has changed")
			}
			event := ""
			if test.world.events != "" {
				event = "u/candidate"
			}
			if c.Event != event {
				t.Errorf("the event is %q, not %q", c.Event, event)
			}
		})
	}
}
