// Package proxy is the order of the steps: START HERE. [Proxy.Review] shows it on one screen. What a step does is in a
// package of its own. This package declares what it needs of the steps and imports none of them.
//
//	proxy.go     the order of the steps, and the barrier against panics
//	plan.go      the plan: the namespace's policy, what to call, until when, whether there is an event
//	run.go       the run: the calls of the endpoints and the checks of their patches
//	candidate.go what happens after the answer: the call of a candidate
//	http.go      HTTP: paths, limits, probes
//	arriving.go  HTTP: which bodies amp waits for
//	body.go      HTTP: how a body gets into memory
//	drain.go     how amp stops
package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// Policies tells what a Namespace says. An error means that the Namespace could not be read.
type Policies interface {
	Policy(ctx context.Context, namespace string) (*review.Policy, error)
}

// Endpoints calls one endpoint: step counts from 1, at is the time of the review, pod is the Pod that the endpoint
// sees. An error is a *[review.Failure]; a refusal is an answer.
type Endpoints interface {
	Call(ctx context.Context, e review.Endpoint, r *review.Review, step int, at time.Time, pod json.RawMessage) (review.Answer, error)
}

// Recorder takes the records of reviews. It must not change them.
type Recorder interface {
	// Deliver waits until the event sink has accepted rec's event. If ctx ends before that, it returns an error. Then
	// sent tells whether the sink may have the event anyway. The proxy calls Deliver only for records whose event must
	// come first: see [review.Record.EventFirst].
	Deliver(ctx context.Context, rec *review.Record) (sent bool, err error)
	// Record takes the record of what amp answers. It never waits.
	Record(ctx context.Context, rec *review.Record)
	// Panicked counts a panic that the proxy contained.
	Panicked()
	// BadRequest counts a request that is not an AdmissionReview, by the HTTP status of its answer.
	BadRequest(status int)
	// Shed counts a review for whose body amp had no memory.
	Shed(reason review.ShedReason)
}

// Proxy reviews Pods. Its fields must be set before it is used. Only FailurePolicy, Processors, Candidates, Events and
// EventsRequired may be zero.
type Proxy struct {
	Policies  Policies
	Endpoints Endpoints
	// Check completes a patch so that it applies to the Pod. Its error is a *[review.Failure].
	Check func(ctx context.Context, namespace string, pod json.RawMessage, ops []review.Op) (review.Checked, error)
	// CheckStrictly is Check for a Namespace whose policy has FailUnknownFields.
	CheckStrictly func(ctx context.Context, namespace string, pod json.RawMessage, ops []review.Op) (review.Checked, error)
	// CheckWhole checks that the patches of the steps and the stamp are also good as one, and reports whether the steps undo
	// each other. Its error is a *[review.Failure] of the step with that index.
	CheckWhole func(ctx context.Context, namespace string, pod json.RawMessage, steps []review.Step, stamp []review.Op) (undone bool, step int, err error)
	// Annotate returns the ops that set an annotation on the Pod.
	Annotate func(pod json.RawMessage, key, value string) []review.Op
	// Unannotate returns the ops that take an annotation off the Pod, none if the Pod does not have it.
	Unannotate func(pod json.RawMessage, key string) []review.Op
	Recorder   Recorder
	Log        *slog.Logger
	// Processors are shared fairly among the namespaces; nil means that no review waits for others.
	Processors *share.Processors

	Timeout       time.Duration        // of one mutating review, all endpoints together; half of it for a validating one
	FailurePolicy review.FailurePolicy // if neither the path nor the Namespace names one; empty means Fail
	Events        review.Level         // the most that an event tells; empty means that events are off
	// Candidates are called after the answers; nil: none is called.
	Candidates *Candidates
	// EventsRequired means that the sink must accept the event of a mutation before amp answers with it.
	EventsRequired bool
}

// Review decides about r, which came at start, and records the decision. It returns the record and the answer. left is the
// time that the API server had left then, 0 if it did not say.
//
// A failure of any step, a panic included, becomes a decision by the namespace's failure policy.
func (p *Proxy) Review(ctx context.Context, r *review.Review, start time.Time, left time.Duration) (rec *review.Record, answer []byte) {
	budget := p.budget(r.Phase, left)
	ctx, cancel := until(ctx, start.Add(budget))
	defer cancel()

	var plan review.Plan
	var sent bool
	var place *share.Hold
	defer func() { place.Release() }()
	err := p.contain(ctx, r, func() (err error) {
		plan = p.plan(ctx, r, start, budget)
		run := p.run(ctx, r, &plan)
		// If there is no time left for a place, the review must be decided all the same. This takes little.
		place, _ = p.Processors.Take(ctx, r.Namespace, 0)
		rec = review.NewRecord(r, plan, run, time.Now())
		answer = review.Write(rec)
		if rec.EventFirst() {
			place.Release()
			sent = true // in case that Deliver panics: then it may have sent the event
			sent, err = p.Recorder.Deliver(ctx, rec)
		}
		return err
	})
	if err != nil {
		if p.contain(ctx, r, func() error {
			if plan.Policy == nil { // planning itself panicked
				plan = p.planUnread(r, start, budget, err)
			}
			rec = superseding(r, plan, rec, sent, err)
			answer = review.Write(rec)
			return nil
		}) != nil {
			rec, answer = p.undecided(r, start, err)
		}
	}
	p.record(ctx, rec)
	return rec, answer
}

// Shed decides about r, which came at start, without the Pod: there is no memory for it. So it does not read what the
// Namespace says, and calls no endpoint. It is also cheap otherwise, because it happens when amp has much to do: the record
// becomes a line in the log and counts in the metrics, but has no event. Shed reviews would fill the queue of events, and amp
// cannot know whether there may be an event at all: an API server writes whether this is a dry run after the Pod.
func (p *Proxy) Shed(ctx context.Context, r *review.Review, start time.Time) (rec *review.Record, answer []byte) {
	cause := errors.New(r.NoMemory("the Pod"))
	if err := p.contain(ctx, r, func() error {
		plan := review.Plan{Policy: &unread, FailurePolicy: review.FailurePolicyFor(r, &unread, p.FailurePolicy), Start: start}
		if r.Unhandled != "" || r.FromNode { // for these, amp needs no Pod
			plan = p.planSkip(r, &unread, start, r.Unhandled)
		} else {
			p.Recorder.Shed(review.ShedBody)
		}
		rec = review.NewRecord(r, plan, review.Run{Err: cause}, time.Now())
		answer = review.Write(rec)
		return nil
	}); err != nil {
		rec, answer = p.undecided(r, start, err)
	}
	p.record(ctx, rec)
	return rec, answer
}

// undecided answers r by its failure policy alone, because deciding panicked.
func (p *Proxy) undecided(r *review.Review, start time.Time, err error) (*review.Record, []byte) {
	rec := review.Undecided(r, review.FailurePolicyFor(r, &unread, p.FailurePolicy), err, start, time.Now())
	return rec, review.Write(rec)
}

// record records what amp answers. After a panic in Record, the answer is still right.
func (p *Proxy) record(ctx context.Context, rec *review.Record) {
	_ = p.contain(ctx, rec.Review, func() error {
		p.Recorder.Record(ctx, rec)
		return nil
	})
}

// superseding makes the second record of a review, if the first answer cannot be given because of err. The first record is
// nil if there was none. If the sink may have its event, the second event has an id of its own.
func superseding(r *review.Review, plan review.Plan, first *review.Record, sent bool, err error) *review.Record {
	run := review.Run{Err: err}
	if first != nil {
		run.Steps = first.Run.Steps
	}
	if sent {
		plan.Event += "/final"
	}
	return review.NewRecord(r, plan, run, time.Now())
}

// errPanic is what the user and the event's reader see of a panic.
var errPanic = errors.New("an error in amp itself; its log has the details")

// contain calls f. It is the barrier against panics: it counts and logs a panic of f and returns errPanic.
func (p *Proxy) contain(ctx context.Context, r *review.Review, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errPanic
			p.Recorder.Panicked()
			p.Log.ErrorContext(ctx, "panic contained", "uid", r.UID, "namespace", r.Namespace, "panic", panicText(v), "stack", string(debug.Stack()))
		}
	}()
	return f()
}

// panicText is what the log may say of a panic's value: the runtime's own errors hold no data of a Pod, but other values
// may.
func panicText(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", v)
}
