// Package proxy is the order of the steps: START HERE. A review is read, its namespace's policy looked up,
// the endpoints called one after the other with each patch checked, and the verdict decided, recorded and
// written. What the steps do is in their own packages; this one declares what it needs of them.
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

	"k8s.io/apimachinery/pkg/labels"

	"github.com/txn2/amp/internal/review"
)

// Policies tells what a Namespace says. An error means that it could not be read.
type Policies interface {
	Policy(ctx context.Context, namespace string) (*review.Policy, error)
}

// Endpoints calls one endpoint: step counts from 1, at is the time of the review, pod what the endpoint is
// to see. An error is a *[review.Failure]; a refusal is an answer.
type Endpoints interface {
	Call(ctx context.Context, e review.Endpoint, r *review.Review, step int, at time.Time, pod json.RawMessage) (review.Answer, error)
}

// Recorder takes the record of a review once its verdict is fixed.
type Recorder interface {
	// Deliver has the event of a mutation accepted before that is answered, where that is required; of other
	// records it does nothing. An error means that the mutation must not be answered; if it has a method
	// Sent that returns true, the event may have arrived nevertheless.
	Deliver(ctx context.Context, rec *review.Record) error
	// Record takes the record of what is answered. It never waits, and nobody may change rec afterwards.
	Record(ctx context.Context, rec *review.Record)
	// Panicked counts a panic that was contained.
	Panicked()
}

// Proxy reviews Pods. All its fields must be set before it is used.
type Proxy struct {
	Policies  Policies
	Endpoints Endpoints
	// Check completes a patch so that it applies to the Pod. Its error is a *[review.Failure].
	Check func(pod json.RawMessage, ops []review.Op) (review.Checked, error)
	// Same reports whether two Pods are the same, however they are written.
	Same func(a, b json.RawMessage) bool
	// Annotate returns the ops that set an annotation on the Pod.
	Annotate func(pod json.RawMessage, key, value string) []review.Op
	Recorder Recorder
	Log      *slog.Logger

	Timeout       time.Duration        // for one mutating review, all endpoints together; half for a validating one
	FailurePolicy review.FailurePolicy // where neither the path nor the Namespace names one
	Events        review.Level         // the most that an event tells; empty: there are none
	// EventsRequired: no mutation without its event. The last fifth of the time is kept for that, and a
	// namespace cannot turn its events off.
	EventsRequired bool
}

// Review answers r within the time that the API server has left, 0 if it did not say.
func (p *Proxy) Review(ctx context.Context, r *review.Review, left time.Duration) *review.Record {
	rec := &review.Record{Review: r, Policy: &review.Policy{}, Time: time.Now()}
	start, budget := rec.Time, p.budget(r.Phase, left)
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	p.decide(ctx, rec, budget)
	rec.Time, rec.Took = now(start)
	if err := p.Recorder.Deliver(ctx, rec); err != nil {
		if late, ok := err.(interface{ Sent() bool }); ok && late.Sent() {
			// The sink may have the event of a mutation that is not to be: this one supersedes it.
			rec.Event += "/final"
		}
		p.fail(rec, err)
		rec.Time, rec.Took = now(start)
	}
	if r.DryRun && r.Explain {
		if e, ok := review.Explain(rec); ok {
			rec.Verdict.Warnings = append(rec.Verdict.Warnings, e.String())
		}
	}
	p.Recorder.Record(ctx, rec)
	return rec
}

func now(start time.Time) (time.Time, time.Duration) {
	t := time.Now()
	return t, t.Sub(start)
}

// decide fixes the verdict of rec. A panic on the way is a failure like any other, and the namespace's
// policy holds for it too.
func (p *Proxy) decide(ctx context.Context, rec *review.Record, budget time.Duration) {
	if p.EventsRequired {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, budget-budget/5) // the last fifth is the event sink's
		defer cancel()
	}
	defer func() {
		if v := recover(); v != nil {
			p.Recorder.Panicked()
			p.Log.ErrorContext(ctx, "panic contained", "uid", rec.Review.UID, "panic", panicText(v), "stack", string(debug.Stack()))
			p.fail(rec, errors.New("an error in amp itself; its log has the details"))
		}
	}()

	r := rec.Review
	rec.FailurePolicy = review.FailurePolicyFor(r, rec.Policy, p.FailurePolicy)
	if r.Unhandled != "" || r.FromNode {
		rec.Verdict = review.Skip(r.Unhandled)
		return
	}
	policy, err := p.Policies.Policy(ctx, r.Namespace)
	if err != nil {
		p.expectEvent(rec)
		p.fail(rec, err)
		return
	}
	rec.Policy, rec.FailurePolicy = policy, review.FailurePolicyFor(r, policy, p.FailurePolicy)
	if skip, warning := p.leaveAlone(r, policy); skip {
		rec.Verdict = review.Skip(warning)
		return
	}
	p.expectEvent(rec)
	if err := mayForward(r, policy); err != nil {
		p.fail(rec, err)
		return
	}
	if policy.Timeout > 0 {
		if policy.Timeout > p.Timeout {
			rec.Run.Warnings = append(rec.Run.Warnings, fmt.Sprintf("amp: namespace %s: annotation amp.txn2.com/timeout %s is more than amp gives: cut to %s",
				review.Clip(r.Namespace, 30), policy.Timeout, p.Timeout))
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, policy.Timeout)
		defer cancel()
	}
	p.callAll(ctx, rec)
	rec.Verdict = review.Decide(rec)
}

// fail makes rec the record of a failure outside the endpoints.
func (p *Proxy) fail(rec *review.Record, err error) {
	rec.Run.Err, rec.Run.Patch, rec.Run.Stamp = err, nil, nil
	rec.Verdict = review.Decide(rec)
}

// expectEvent sets whether rec will have an event, and how much that tells: from here on the review reaches a
// decision that is worth one.
func (p *Proxy) expectEvent(rec *review.Record) {
	if p.Events == "" {
		return
	}
	rec.Level = p.Events.Lower(rec.Policy.Events)
	if rec.Level == review.LevelNone && p.EventsRequired {
		rec.Level = review.LevelMetadata
	}
	if rec.Level != review.LevelNone && !rec.Review.DryRun {
		rec.Event = rec.Review.UID
	}
}

// answerMargin is what is kept of the API server's time for the way back.
const answerMargin = 100 * time.Millisecond

// budget is the time for a review: amp's own limit or, if that is less, what the API server has left.
func (p *Proxy) budget(op review.Phase, left time.Duration) time.Duration {
	budget := p.Timeout
	if op == review.Validate {
		// A Pod passes both webhooks, one after the other, within the 3 s that impatient clients wait.
		budget /= 2
	}
	if left > 0 {
		budget = min(budget, left-max(answerMargin, left/10))
	}
	return budget
}

// chain is what the namespace wants called for this operation.
func chain(r *review.Review, policy *review.Policy) []review.Endpoint {
	if r.Phase == review.Validate {
		return policy.Validate
	}
	return policy.Mutate
}

// leaveAlone reports whether the namespace has nothing to say of this Pod, with a warning where that is
// unlikely to be meant. A Pod outside the selector is none of amp's business even where another key of the
// Namespace is wrong: JupyterHub's hub must start.
func (p *Proxy) leaveAlone(r *review.Review, policy *review.Policy) (skip bool, warning string) {
	switch {
	case !policy.Enabled:
		return true, ""
	case policy.Pods != nil && r.Pod != nil && !policy.Pods.Matches(labels.Set(r.Labels)):
		return true, ""
	case policy.Err != nil || len(chain(r, policy)) > 0:
		return false, ""
	case r.Phase == review.Validate && r.Stamp != "" && p.Events != "":
		return false, "" // nobody to ask, but the Pod's final name is worth an event
	case len(policy.Mutate) == 0 && len(policy.Validate) == 0:
		return true, fmt.Sprintf("namespace %s names no endpoint: set annotation amp.txn2.com/ep", review.Clip(r.Namespace, 40))
	}
	return true, "" // it has endpoints for the other operation only
}

// mayForward returns why a Pod that the namespace selects cannot go to its endpoints, nil if it can.
func mayForward(r *review.Review, policy *review.Policy) error {
	switch {
	case policy.Err != nil:
		return policy.Err
	case r.Pod == nil:
		return errors.New("the review holds no Pod: request.object is to be one")
	case policy.Creators != nil && !policy.Creators.Match(r.User) && len(chain(r, policy)) > 0:
		return fmt.Errorf("namespace %s: %s may not create the Pods that amp forwards here; annotation amp.txn2.com/creators names who may", r.Namespace, r.User)
	}
	return nil
}

// callAll calls the endpoints in order, each with the Pod as the last one left it, until one fails or
// refuses.
func (p *Proxy) callAll(ctx context.Context, rec *review.Record) {
	run, pod, endpoints := &rec.Run, rec.Review.Pod, chain(rec.Review, rec.Policy)
	run.Steps = make([]review.Step, 0, len(endpoints))
	for _, e := range endpoints {
		run.Steps = append(run.Steps, review.Step{Endpoint: e})
		step := &run.Steps[len(run.Steps)-1]
		answer, next := p.call(ctx, rec, step, pod)
		if step.Err != nil {
			run.Patch = nil
			return
		}
		if answer.Refused {
			run.Refusal, run.Patch = &answer, nil
			return
		}
		run.Patch, pod = append(run.Patch, step.Ops...), next
	}
	// One endpoint may undo what another did.
	if len(run.Steps) > 1 && len(run.Patch) > 0 && p.Same(rec.Review.Pod, pod) {
		run.Patch = nil
	}
	if len(run.Patch) > 0 && rec.Event != "" && !rec.Policy.Shadow {
		run.Stamp = p.Annotate(pod, review.StampAnnotation, rec.Event)
		run.Patch = append(run.Patch, run.Stamp...)
	}
}

// call calls one endpoint and checks its patch; it returns the answer and the Pod after it.
func (p *Proxy) call(ctx context.Context, rec *review.Record, step *review.Step, pod json.RawMessage) (review.Answer, json.RawMessage) {
	start := time.Now()
	answer, err := p.Endpoints.Call(ctx, step.Endpoint, rec.Review, len(rec.Run.Steps), rec.Time, pod)
	step.Took = time.Since(start)
	step.Status, step.Warnings = answer.Status, answer.Warnings
	switch {
	case err != nil:
	case answer.Refused:
		step.Result = review.ResultRefused
		return answer, pod
	case len(answer.Ops) > 0:
		var checked review.Checked
		if checked, err = p.Check(pod, answer.Ops); err == nil {
			step.Ops, pod = checked.Ops, checked.Pod
			for _, w := range checked.Warnings {
				step.Warnings = append(step.Warnings, "amp: "+w)
			}
		}
	}
	step.Result = review.ResultOK
	if err != nil {
		step.Err, step.Result = err, review.ResultInvalid
		if failure := (*review.Failure)(nil); errors.As(err, &failure) {
			step.Result = failure.Result
		}
	}
	return answer, pod
}

// panicText is what may be logged of a panic's value: the runtime's own errors hold no data of the Pod,
// others might.
func panicText(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", v)
}
