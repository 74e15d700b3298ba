package proxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

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
	rec     *review.Record
}

// world is everything around a Proxy, with what happened in it.
type world struct {
	policy    *review.Policy
	policyErr error
	answers   map[string]review.Answer // by endpoint
	failures  map[string]error
	refused   map[string]error // by the path of a patch's first op
	together  map[string]error // by the path of the last patch's first op
	panics    string           // where it panics: policy, call, check, whole, annotate, deliver or record
	events    review.Level
	required  bool
	// sent and undelivered are what Deliver returns.
	sent        bool
	undelivered error

	calls       []call
	delivered   []delivery
	records     []*review.Record
	panicked    int
	badRequests []int
	shed        []review.ShedReason
	log         bytes.Buffer
}

func (w *world) at(place string) {
	if w.panics == place {
		panic("the Pod's secret")
	}
}

func (w *world) Policy(context.Context, string) (*review.Policy, error) {
	w.at("policy")
	return w.policy, w.policyErr
}

func (w *world) Call(ctx context.Context, e review.Endpoint, r *review.Review, step int, _ time.Time, pod json.RawMessage) (review.Answer, error) {
	w.at("call")
	deadline, _ := ctx.Deadline()
	w.calls = append(w.calls, call{e.Name, step, string(pod), time.Until(deadline)})
	return w.answers[e.Name], w.failures[e.Name]
}

// Check pretends that a patch appends the path of its first op to the Pod; "-" takes the last one off.
func (w *world) Check(_ context.Context, _ string, pod json.RawMessage, ops []review.Op) (review.Checked, error) {
	w.at("check")
	if err := w.refused[ops[0].Path]; err != nil {
		return review.Checked{}, err
	}
	if ops[0].Path == "-" {
		return review.Checked{Ops: ops, Pod: pod[:len(pod)-2]}, nil
	}
	return review.Checked{Ops: ops, Pod: append(bytes.Clone(pod), ops[0].Path...), Warnings: []string{"checked"}}, nil
}

// CheckWhole pretends that the path of the last patch says what is wrong with all of them together.
func (w *world) CheckWhole(_ context.Context, _ string, _ json.RawMessage, steps []review.Step, _ []review.Op) (undone bool, step int, err error) {
	w.at("whole")
	last := len(steps) - 1
	path := steps[last].Ops[0].Path
	return path == "-", 1, w.together[path]
}

func (w *world) Annotate(_ json.RawMessage, key, value string) []review.Op {
	w.at("annotate")
	return []review.Op{{Op: "add", Path: key + "=" + value}}
}

func (w *world) Unannotate(pod json.RawMessage, key string) []review.Op {
	if !bytes.Contains(pod, []byte("stamped")) {
		return nil
	}
	return []review.Op{{Op: "remove", Path: key}}
}

func (w *world) Deliver(ctx context.Context, rec *review.Record) (bool, error) {
	deadline, _ := ctx.Deadline()
	w.delivered = append(w.delivered, delivery{rec.Plan.Event, rec.Verdict.Outcome, time.Until(deadline), rec})
	w.at("deliver")
	return w.sent, w.undelivered
}

func (w *world) Record(_ context.Context, rec *review.Record) {
	w.records = append(w.records, rec)
	w.at("record")
}

func (w *world) Panicked() { w.panicked++ }

func (w *world) Shed(reason review.ShedReason) { w.shed = append(w.shed, reason) }

func (w *world) BadRequest(status int) { w.badRequests = append(w.badRequests, status) }

func (w *world) proxy() *proxy.Proxy {
	return &proxy.Proxy{Policies: w, Endpoints: w, Check: w.Check, CheckWhole: w.CheckWhole, Annotate: w.Annotate, Unannotate: w.Unannotate, Recorder: w,
		Events: w.events, EventsRequired: w.required, Timeout: 1500 * time.Millisecond, FailurePolicy: review.Fail,
		Log: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
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
