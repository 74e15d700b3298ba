package proxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/txn2/amp/internal/proxy"
	"github.com/txn2/amp/internal/review"
)

// call is what an endpoint was asked.
type call struct {
	Endpoint string
	Step     int
	Pod      string
	Budget   time.Duration
}

// delivery is a record as Deliver saw it.
type delivery struct {
	Event   string
	Outcome review.Outcome
	Budget  time.Duration
}

// world is everything around a Proxy, with what happened in it.
type world struct {
	policy    *review.Policy
	policyErr error
	answers   map[string]review.Answer // by endpoint
	failures  map[string]error
	refused   map[string]error // by the path of a patch's first op
	panicking bool
	events    review.Level
	required  bool
	// undelivered is what Deliver returns.
	undelivered error

	calls     []call
	delivered []delivery
	records   []*review.Record
	panicked  int
	log       bytes.Buffer
}

func (w *world) Policy(context.Context, string) (*review.Policy, error) { return w.policy, w.policyErr }

func (w *world) Call(ctx context.Context, e review.Endpoint, r *review.Review, step int, _ time.Time, pod json.RawMessage) (review.Answer, error) {
	if w.panicking {
		panic("the Pod's secret")
	}
	deadline, _ := ctx.Deadline()
	w.calls = append(w.calls, call{e.Name, step, string(pod), time.Until(deadline)})
	return w.answers[e.Name], w.failures[e.Name]
}

// Check pretends that a patch appends the path of its first op to the Pod; "-" takes the last one off.
func (w *world) Check(pod json.RawMessage, ops []review.Op) (review.Checked, error) {
	if err := w.refused[ops[0].Path]; err != nil {
		return review.Checked{}, err
	}
	if ops[0].Path == "-" {
		return review.Checked{Ops: ops, Pod: pod[:len(pod)-2]}, nil
	}
	return review.Checked{Ops: ops, Pod: append(bytes.Clone(pod), ops[0].Path...), Warnings: []string{"checked"}}, nil
}

func (w *world) Annotate(_ json.RawMessage, key, value string) []review.Op {
	return []review.Op{{Op: "add", Path: key + "=" + value}}
}

func (w *world) Record(_ context.Context, rec *review.Record) { w.records = append(w.records, rec) }
func (w *world) Deliver(ctx context.Context, rec *review.Record) error {
	deadline, _ := ctx.Deadline()
	w.delivered = append(w.delivered, delivery{rec.Event, rec.Verdict.Outcome, time.Until(deadline)})
	return w.undelivered
}

func (w *world) Panicked() { w.panicked++ }

func (w *world) proxy() *proxy.Proxy {
	return &proxy.Proxy{Policies: w, Endpoints: w, Check: w.Check, Same: func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }, Annotate: w.Annotate, Recorder: w, Events: w.events, EventsRequired: w.required, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		Timeout: 1500 * time.Millisecond, FailurePolicy: review.Fail}
}

func endpoints(t testing.TB, texts ...string) []review.Endpoint {
	t.Helper()
	var all []review.Endpoint
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, review.NewEndpoint(u))
	}
	return all
}

func selector(t testing.TB, s string) labels.Selector {
	t.Helper()
	parsed, err := labels.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func patch(path string) review.Answer {
	return review.Answer{Status: 200, Ops: []review.Op{{Op: "remove", Path: path}}}
}

// run runs a subtest whose clock stands still while it computes.
func run(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func TestReview(t *testing.T) {
	const a, b, v = "http://a", "http://b", "http://v"
	full := &review.Policy{Enabled: true, Mutate: endpoints(t, a, b), Validate: endpoints(t, v)}
	with := func(change func(p *review.Policy)) *review.Policy {
		p := *full
		change(&p)
		return &p
	}
	mutate := review.Review{Phase: review.Mutate, Namespace: "x", User: "bob", Pod: json.RawMessage("pod"), Labels: map[string]string{"component": "hub"}}
	validate := mutate
	validate.Phase = review.Validate

	for name, test := range map[string]struct {
		world world
		r     review.Review
		left  time.Duration

		outcome  review.Outcome
		message  string
		warnings []string
		patch    string // the paths of its ops
		calls    []call
	}{
		"a chain: each endpoint sees what the last one made": {
			world: world{policy: full, answers: map[string]review.Answer{a: patch("/1"), b: patch("/2")}}, r: mutate,
			outcome: review.OutcomeMutated, patch: "/1 /2", warnings: []string{"amp: checked", "amp: checked"},
			calls: []call{{a, 1, "pod", 1500 * time.Millisecond}, {b, 2, "pod/1", 1500 * time.Millisecond}}},
		"a chain that ends where it began": {
			world: world{policy: full, answers: map[string]review.Answer{a: patch("/1"), b: patch("-")}}, r: mutate,
			outcome: review.OutcomeUnchanged, warnings: []string{"amp: checked"},
			calls: []call{{a, 1, "pod", 1500 * time.Millisecond}, {b, 2, "pod/1", 1500 * time.Millisecond}}},
		"no endpoint wants a change": {
			world: world{policy: full}, r: mutate, outcome: review.OutcomeUnchanged,
			calls: []call{{a, 1, "pod", 1500 * time.Millisecond}, {b, 2, "pod", 1500 * time.Millisecond}}},
		"a failed endpoint ends the chain and voids its patch": {
			world: world{policy: full, answers: map[string]review.Answer{a: patch("/1")}, failures: map[string]error{b: &review.Failure{Result: review.ResultLate, Cause: "no answer"}}}, r: mutate,
			outcome: review.OutcomeRejected, message: "amp: endpoint http://b: no answer", warnings: []string{"amp: checked"},
			calls: []call{{a, 1, "pod", 1500 * time.Millisecond}, {b, 2, "pod/1", 1500 * time.Millisecond}}},
		"a patch that is refused is its endpoint's failure": {
			world: world{policy: full, answers: map[string]review.Answer{a: patch("/1")}, refused: map[string]error{"/1": &review.Failure{Result: review.ResultPatch, Cause: `op 1 (remove "/1"): no`}}}, r: mutate,
			outcome: review.OutcomeRejected, message: `amp: endpoint http://a: op 1 (remove "/1"): no`,
			calls: []call{{a, 1, "pod", 1500 * time.Millisecond}}},
		"a refusal ends the chain": {
			world: world{policy: full, answers: map[string]review.Answer{a: {Status: 200, Refused: true, Message: "no"}}}, r: mutate,
			outcome: review.OutcomeDenied, message: "no",
			calls: []call{{a, 1, "pod", 1500 * time.Millisecond}}},
		"a validation has half the time": {
			world: world{policy: full}, r: validate, outcome: review.OutcomeValidated,
			calls: []call{{v, 1, "pod", 750 * time.Millisecond}}},
		"the API server's time, less a margin": {
			world: world{policy: full}, r: mutate, left: time.Second, outcome: review.OutcomeUnchanged,
			calls: []call{{a, 1, "pod", 900 * time.Millisecond}, {b, 2, "pod", 900 * time.Millisecond}}},
		"the namespace's time": {
			world: world{policy: with(func(p *review.Policy) { p.Timeout = 300 * time.Millisecond })}, r: mutate, outcome: review.OutcomeUnchanged,
			calls: []call{{a, 1, "pod", 300 * time.Millisecond}, {b, 2, "pod", 300 * time.Millisecond}}},
		"the namespace's time is cut to amp's": {
			world: world{policy: with(func(p *review.Policy) { p.Timeout = time.Minute })}, r: mutate, outcome: review.OutcomeUnchanged,
			warnings: []string{"amp: namespace x: annotation amp.txn2.com/timeout 1m0s is more than amp gives: cut to 1.5s"},
			calls:    []call{{a, 1, "pod", 1500 * time.Millisecond}, {b, 2, "pod", 1500 * time.Millisecond}}},

		"a namespace that has not opted in": {
			world: world{policy: &review.Policy{}}, r: mutate, outcome: review.OutcomeSkipped},
		"a namespace that cannot be read": {
			world: world{policyErr: errors.New("reading namespace x: gone")}, r: mutate,
			outcome: review.OutcomeRejected, message: "amp: reading namespace x: gone"},
		"a namespace with a bad value": {
			world: world{policy: with(func(p *review.Policy) { p.Err = errors.New("namespace x: bad") })}, r: mutate,
			outcome: review.OutcomeRejected, message: "amp: namespace x: bad"},
		"a bad value and no endpoint": {
			world: world{policy: &review.Policy{Enabled: true, Err: errors.New("namespace x: bad")}}, r: mutate,
			outcome: review.OutcomeRejected, message: "amp: namespace x: bad"},
		"a namespace without an endpoint": {
			world: world{policy: &review.Policy{Enabled: true}}, r: mutate,
			outcome: review.OutcomeSkipped, warnings: []string{"amp: namespace x names no endpoint: set annotation amp.txn2.com/ep"}},
		"a namespace with endpoints for validation only": {
			world: world{policy: with(func(p *review.Policy) { p.Mutate = nil })}, r: mutate, outcome: review.OutcomeSkipped},
		"a namespace with endpoints for mutation only": {
			world: world{policy: with(func(p *review.Policy) { p.Validate = nil })}, r: validate, outcome: review.OutcomeSkipped},
		"a Pod outside the selector is left alone whatever else is wrong": {
			world: world{policy: with(func(p *review.Policy) {
				p.Pods, p.Err = selector(t, "component=singleuser-server"), errors.New("bad")
			})}, r: mutate, outcome: review.OutcomeSkipped},
		"a Pod within the selector": {
			world: world{policy: with(func(p *review.Policy) { p.Pods, p.Mutate = selector(t, "component=hub"), p.Mutate[:1] })}, r: mutate,
			outcome: review.OutcomeUnchanged, calls: []call{{a, 1, "pod", 1500 * time.Millisecond}}},
		"a creator who is not named": {
			world: world{policy: with(func(p *review.Policy) { p.Creators = review.Globs{"system:serviceaccount:jhub:*"} })}, r: mutate,
			outcome: review.OutcomeRejected,
			message: "amp: namespace x: bob may not create the Pods that amp forwards here; annotation amp.txn2.com/creators names who may"},
		"a creator who is named": {
			world: world{policy: with(func(p *review.Policy) { p.Creators, p.Mutate = review.Globs{"b*"}, p.Mutate[:1] })}, r: mutate,
			outcome: review.OutcomeUnchanged, calls: []call{{a, 1, "pod", 1500 * time.Millisecond}}},
		"a review that is none of amp's": {
			world: world{policy: full}, r: review.Review{Phase: review.Mutate, Unhandled: "not a Pod"},
			outcome: review.OutcomeSkipped, warnings: []string{"amp: not a Pod"}},
		"a mirror Pod": {
			world: world{policy: full}, r: review.Review{Phase: review.Mutate, FromNode: true}, outcome: review.OutcomeSkipped},
		"a review without its Pod": {
			world: world{policy: full}, r: review.Review{Phase: review.Mutate},
			outcome: review.OutcomeRejected, message: "amp: the review holds no Pod: request.object is to be one"},
		"shadow mode calls and checks, and answers nothing": {
			world: world{policy: with(func(p *review.Policy) { p.Shadow, p.Mutate = true, p.Mutate[:1] }), answers: map[string]review.Answer{a: patch("/1")}}, r: mutate,
			outcome: review.OutcomeShadowed, calls: []call{{a, 1, "pod", 1500 * time.Millisecond}}},
		"a panic is a failure": {
			world: world{policy: full, panicking: true}, r: mutate,
			outcome: review.OutcomeRejected, message: "amp: an error in amp itself; its log has the details"},
		"a panic in a namespace that ignores failures": {
			world: world{policy: with(func(p *review.Policy) { p.FailurePolicy = review.Ignore }), panicking: true}, r: mutate,
			outcome: review.OutcomeFailedOpen, message: "amp: an error in amp itself; its log has the details",
			warnings: []string{"amp: not mutated: an error in amp itself; its log has the details"}},
	} {
		run(t, name, func(t *testing.T) {
			w := &test.world
			rec := w.proxy().Review(t.Context(), &test.r, test.left)
			v := rec.Verdict
			if v.Outcome != test.outcome || v.Message != test.message {
				t.Errorf("%s %q, want %s %q", v.Outcome, v.Message, test.outcome, test.message)
			}
			if diff := cmp.Diff(test.warnings, v.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			var paths []string
			for _, op := range v.Patch {
				paths = append(paths, op.Path)
			}
			if got := strings.Join(paths, " "); got != test.patch {
				t.Errorf("patch %q, want %q", got, test.patch)
			}
			if diff := cmp.Diff(test.calls, w.calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if len(w.records) != 1 || w.records[0] != rec {
				t.Errorf("%d records, want this one", len(w.records))
			}
			if w.panicking && (w.panicked != 1 || strings.Contains(w.log.String(), "secret")) {
				t.Errorf("%d panics counted, log %s", w.panicked, w.log.String())
			}
		})
	}
}

func TestReviewOfALateAPIServerAsksNobody(t *testing.T) {
	w := &world{policy: &review.Policy{Enabled: true, Mutate: endpoints(t, "http://a")}, failures: map[string]error{"http://a": context.DeadlineExceeded}}
	rec := w.proxy().Review(t.Context(), &review.Review{Phase: review.Mutate, Pod: json.RawMessage("pod")}, 50*time.Millisecond)
	if len(w.calls) == 1 && w.calls[0].Budget > 0 {
		t.Errorf("the endpoint had %v", w.calls[0].Budget)
	}
	if rec.Verdict.Outcome != review.OutcomeRejected {
		t.Errorf("outcome %s", rec.Verdict.Outcome)
	}
}

func TestRecordNamesTheResultOfEachStep(t *testing.T) {
	const a, b = "http://a", "http://b"
	w := &world{policy: &review.Policy{Enabled: true, Mutate: endpoints(t, a, b)},
		answers:  map[string]review.Answer{a: patch("/1"), b: {Status: 503}},
		failures: map[string]error{b: &review.Failure{Result: review.ResultStatus, Cause: "answered 503"}}}
	rec := w.proxy().Review(t.Context(), &review.Review{Phase: review.Mutate, Pod: json.RawMessage("pod")}, 0)
	var got []review.Result
	for _, step := range rec.Run.Steps {
		got = append(got, step.Result)
	}
	if diff := cmp.Diff([]review.Result{review.ResultOK, review.ResultStatus}, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if rec.Run.Steps[1].Status != 503 {
		t.Errorf("status %d", rec.Run.Steps[1].Status)
	}
}

// TestEvents tells which reviews have an event, and what a mutated Pod carries of it.
func TestEvents(t *testing.T) {
	const a = "http://a"
	opted := &review.Policy{Enabled: true, Mutate: endpoints(t, a)}
	with := func(change func(p *review.Policy)) *review.Policy {
		p := *opted
		change(&p)
		return &p
	}
	changes := map[string]review.Answer{a: patch("/1")}
	mutate := review.Review{UID: "u", Phase: review.Mutate, Pod: json.RawMessage("pod")}
	dryRun, validate := mutate, mutate
	dryRun.DryRun = true
	validate.Phase, validate.Stamp = review.Validate, "earlier"

	for name, test := range map[string]struct {
		world   world
		r       review.Review
		event   string
		level   review.Level
		stamp   string
		outcome review.Outcome
	}{
		"a mutation is stamped":                 {world{policy: opted, answers: changes, events: review.LevelPatch}, mutate, "u", review.LevelPatch, "amp.txn2.com/event=u", review.OutcomeMutated},
		"no change is not":                      {world{policy: opted, events: review.LevelPatch}, mutate, "u", review.LevelPatch, "", review.OutcomeUnchanged},
		"shadow mode stamps nothing":            {world{policy: with(func(p *review.Policy) { p.Shadow = true }), answers: changes, events: review.LevelPatch}, mutate, "u", review.LevelPatch, "", review.OutcomeShadowed},
		"a dry run leaves no event":             {world{policy: opted, answers: changes, events: review.LevelPatch}, dryRun, "", review.LevelPatch, "", review.OutcomeMutated},
		"events are off":                        {world{policy: opted, answers: changes}, mutate, "", "", "", review.OutcomeMutated},
		"a namespace that wants no events":      {world{policy: with(func(p *review.Policy) { p.Events = review.LevelNone }), answers: changes, events: review.LevelPatch}, mutate, "", review.LevelNone, "", review.OutcomeMutated},
		"one that may not turn them off":        {world{policy: with(func(p *review.Policy) { p.Events = review.LevelNone }), answers: changes, events: review.LevelPatch, required: true}, mutate, "u", review.LevelMetadata, "amp.txn2.com/event=u", review.OutcomeMutated},
		"a namespace lowers the level":          {world{policy: with(func(p *review.Policy) { p.Events = review.LevelMetadata }), answers: changes, events: review.LevelFull}, mutate, "u", review.LevelMetadata, "amp.txn2.com/event=u", review.OutcomeMutated},
		"a namespace does not raise it":         {world{policy: with(func(p *review.Policy) { p.Events = review.LevelFull }), answers: changes, events: review.LevelMetadata}, mutate, "u", review.LevelMetadata, "amp.txn2.com/event=u", review.OutcomeMutated},
		"a failure has an event":                {world{policy: opted, failures: map[string]error{a: errors.New("down")}, events: review.LevelPatch}, mutate, "u", review.LevelPatch, "", review.OutcomeRejected},
		"a bad Namespace has one":               {world{policy: with(func(p *review.Policy) { p.Err = errors.New("bad") }), events: review.LevelPatch}, mutate, "u", review.LevelPatch, "", review.OutcomeRejected},
		"a Namespace that cannot be read":       {world{policyErr: errors.New("gone"), events: review.LevelPatch}, mutate, "u", review.LevelPatch, "", review.OutcomeRejected},
		"what amp leaves alone has none":        {world{policy: &review.Policy{}, events: review.LevelPatch}, mutate, "", "", "", review.OutcomeSkipped},
		"a stamped Pod that nobody validates":   {world{policy: opted, events: review.LevelPatch}, validate, "u", review.LevelPatch, "", review.OutcomeValidated},
		"the same, whoever created it":          {world{policy: with(func(p *review.Policy) { p.Creators = review.Globs{"hub"} }), events: review.LevelPatch}, validate, "u", review.LevelPatch, "", review.OutcomeValidated},
		"a stamped Pod, while events are off":   {world{policy: opted}, validate, "", "", "", review.OutcomeSkipped},
		"an unstamped Pod that nobody validate": {world{policy: opted, events: review.LevelPatch}, review.Review{UID: "u", Phase: review.Validate, Pod: json.RawMessage("pod")}, "", "", "", review.OutcomeSkipped},
	} {
		run(t, name, func(t *testing.T) {
			rec := test.world.proxy().Review(t.Context(), &test.r, 0)
			if rec.Event != test.event || rec.Level != test.level || rec.Verdict.Outcome != test.outcome {
				t.Errorf("%s, event %q at level %q; want %s, %q, %q", rec.Verdict.Outcome, rec.Event, rec.Level, test.outcome, test.event, test.level)
			}
			var paths []string
			for _, op := range rec.Verdict.Patch {
				paths = append(paths, op.Path)
			}
			want := strings.TrimSpace("/1 " + test.stamp)
			if test.outcome != review.OutcomeMutated {
				want = ""
			}
			if got := strings.Join(paths, " "); got != want {
				t.Errorf("patch %q, want %q", got, want)
			}
		})
	}
}

func TestDryRunThatAsksIsTold(t *testing.T) {
	const a = "http://a"
	w := world{policy: &review.Policy{Enabled: true, Mutate: endpoints(t, a)}, answers: map[string]review.Answer{a: patch("/1")}, events: review.LevelPatch}
	for name, test := range map[string]struct {
		dryRun, explain bool
		want            string
	}{
		"one that asks":                  {true, true, "amp: dry run, mutate: mutated, operations: 1"},
		"one that does not":              {true, false, ""},
		"a Pod that is created and asks": {false, true, ""},
	} {
		run(t, name, func(t *testing.T) {
			rec := w.proxy().Review(t.Context(), &review.Review{UID: "u", Phase: review.Mutate, DryRun: test.dryRun, Explain: test.explain, Pod: json.RawMessage("pod")}, 0)
			last := rec.Verdict.Warnings[len(rec.Verdict.Warnings)-1]
			if _, told := review.ParseExplanation(last); told != (test.want != "") || told && last != test.want {
				t.Errorf("the last warning is %q, not %q", last, test.want)
			}
		})
	}
}

// undelivered is the error of an event that the sink did not take.
type undelivered struct{ sent bool }

func (undelivered) Error() string { return "event sink http://sink answered 503" }
func (u undelivered) Sent() bool  { return u.sent }

func TestRequiredEvents(t *testing.T) {
	const a = "http://a"
	policy := func(p review.FailurePolicy) *review.Policy {
		return &review.Policy{Enabled: true, Mutate: endpoints(t, a), FailurePolicy: p}
	}
	const message = "amp: event sink http://sink answered 503"
	for name, test := range map[string]struct {
		policy  *review.Policy
		err     error
		outcome review.Outcome
		event   string
		message string
	}{
		"the sink takes it":                                             {policy(review.Fail), nil, review.OutcomeMutated, "u", ""},
		"the sink does not take it":                                     {policy(review.Fail), undelivered{}, review.OutcomeRejected, "u", message},
		"the sink does not take it, under Ignore":                       {policy(review.Ignore), undelivered{}, review.OutcomeFailedOpen, "u", message},
		"the sink may have it: what supersedes it has an id of its own": {policy(review.Ignore), undelivered{sent: true}, review.OutcomeFailedOpen, "u/final", message},
	} {
		run(t, name, func(t *testing.T) {
			w := &world{policy: test.policy, answers: map[string]review.Answer{a: patch("/1")}, events: review.LevelPatch, required: true, undelivered: test.err}
			rec := w.proxy().Review(t.Context(), &review.Review{UID: "u", Phase: review.Mutate, Pod: json.RawMessage("pod")}, 0)
			if v := rec.Verdict; v.Outcome != test.outcome || v.Message != test.message || rec.Event != test.event {
				t.Errorf("%s %q, event %q; want %s %q, %q", v.Outcome, v.Message, rec.Event, test.outcome, test.message, test.event)
			}
			if test.err != nil && (len(rec.Verdict.Patch) > 0 || len(rec.Run.Patch) > 0) {
				t.Errorf("a mutation without its event is answered: %v", rec.Verdict.Patch)
			}
			// The endpoint has four fifths of the time, the sink all that is left then.
			if want := []call{{a, 1, "pod", 1200 * time.Millisecond}}; !cmp.Equal(want, w.calls) {
				t.Errorf("calls %v", w.calls)
			}
			if want := []delivery{{"u", review.OutcomeMutated, 1500 * time.Millisecond}}; !cmp.Equal(want, w.delivered) {
				t.Errorf("deliveries %v", w.delivered)
			}
			if len(w.records) != 1 {
				t.Errorf("%d records, want one", len(w.records))
			}
		})
	}
}
