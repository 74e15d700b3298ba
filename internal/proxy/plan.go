package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/txn2/amp/internal/review"
)

// plan fixes what amp does about r. It reads the namespace's policy; everything else follows from that.
func (p *Proxy) plan(ctx context.Context, r *review.Review, start time.Time, budget time.Duration) review.Plan {
	if r.Unhandled != "" || r.FromNode {
		return p.planSkip(r, &unread, start, r.Unhandled)
	}
	policy, err := p.Policies.Policy(ctx, r.Namespace)
	if err != nil {
		return p.planUnread(r, start, budget, err)
	}
	if skip, warning := p.skips(r, policy); skip {
		return p.planSkip(r, policy, start, warning)
	}
	plan := p.planWithEvent(r, policy, start, budget)
	if plan.Err = mayForward(r, policy); plan.Err != nil {
		return plan
	}
	plan.Endpoints = policy.Endpoints(r.Phase)
	plan.Warnings = p.reductions(r, policy)
	if policy.Timeout > 0 {
		plan.Deadline = earlier(plan.Deadline, time.Now().Add(policy.Timeout))
	}
	return plan
}

// reductions are the warnings about what the namespace asks for and the operator does not allow.
func (p *Proxy) reductions(r *review.Review, policy *review.Policy) (warnings []string) {
	reduced := func(annotation string, asked any, variable string, allowed any) {
		warnings = append(warnings, fmt.Sprintf("amp: namespace %s: annotation amp.txn2.com/%s %s is more than %s: reduced to %s",
			review.Clip(r.Namespace, 30), annotation, asked, variable, allowed))
	}
	if policy.Timeout > p.Timeout {
		reduced("timeout", policy.Timeout, "AMP_TIMEOUT", p.Timeout)
	}
	if p.Events != "" && policy.Events != "" && p.Events.Lower(policy.Events) != policy.Events {
		reduced("events", policy.Events, "AMP_EVENTS_LEVEL", p.Events)
	}
	return warnings
}

// unread is the policy of a namespace that amp did not read.
var unread review.Policy

// planSkip is the plan to allow the Pod and call no endpoint. The warning may be empty.
func (p *Proxy) planSkip(r *review.Review, policy *review.Policy, start time.Time, warning string) review.Plan {
	plan := review.Plan{Policy: policy, FailurePolicy: review.FailurePolicyFor(r, policy, p.FailurePolicy), Start: start, Skip: true}
	if warning != "" {
		plan.Warnings = []string{review.Warning(warning)}
	}
	return plan
}

// planUnread is the plan for a namespace whose policy amp could not read, because of err.
func (p *Proxy) planUnread(r *review.Review, start time.Time, budget time.Duration, err error) review.Plan {
	plan := p.planWithEvent(r, &unread, start, budget)
	plan.Err = err
	return plan
}

// planWithEvent is a plan with the deadline and the event of a review. The caller adds the endpoints.
func (p *Proxy) planWithEvent(r *review.Review, policy *review.Policy, start time.Time, budget time.Duration) review.Plan {
	plan := review.Plan{Policy: policy, FailurePolicy: review.FailurePolicyFor(r, policy, p.FailurePolicy), Start: start}
	if p.EventsRequired {
		budget -= budget / 5 // the last fifth is for the event sink
	}
	plan.Deadline = start.Add(budget)
	if p.Events == "" {
		return plan
	}
	plan.Level = p.Events.Lower(policy.Events)
	if plan.Level == review.LevelNone && p.EventsRequired {
		plan.Level = review.LevelMetadata // a namespace cannot turn off what the operator requires
	}
	if plan.Level != review.LevelNone && !r.DryRun {
		plan.Event, plan.Required = r.UID, p.EventsRequired
	}
	return plan
}

// answerMargin is the part of the API server's time that amp keeps for the way back.
const answerMargin = 100 * time.Millisecond

// budget is the time for a review: amp's own limit or, if that is less, what the API server has left.
func (p *Proxy) budget(phase review.Phase, left time.Duration) time.Duration {
	budget := p.Timeout
	if phase == review.Validate {
		// A Pod passes both webhooks, one after the other, and some clients wait only 3 s for both.
		budget /= 2
	}
	if left > 0 {
		budget = min(budget, left-max(answerMargin, left/10))
	}
	return budget
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// skips reports whether the policy has nothing to say about this Pod, with a warning if that is probably a mistake of the
// namespace's owner. amp skips a Pod outside the selector even if another key of the Namespace has a bad value. Otherwise a
// bad value would also block Pods that amp is not asked about, such as JupyterHub's hub.
func (p *Proxy) skips(r *review.Review, policy *review.Policy) (skip bool, warning string) {
	switch {
	case !policy.Enabled:
		return true, ""
	case policy.Pods != nil && r.Pod != nil && !r.ManyLabels && !policy.Pods.Matches(labels.Set(r.Labels)):
		return true, ""
	case policy.Err != nil || len(policy.Endpoints(r.Phase)) > 0:
		return false, ""
	case len(policy.Mutate) == 0 && len(policy.Validate) == 0:
		return true, fmt.Sprintf("namespace %s names no endpoint: set annotation amp.txn2.com/ep", review.Clip(r.Namespace, 40))
	case r.Phase == review.Validate && r.Stamp != "" && p.Events != "" && p.Events != review.LevelNone:
		return false, "" // there is no endpoint to call, but the Pod's final name is worth an event
	}
	return true, "" // it has endpoints for the other phase only
}

// mayForward returns why a Pod that the namespace selects must not go to its endpoints, nil if it may.
func mayForward(r *review.Review, policy *review.Policy) error {
	switch {
	case policy.Err != nil:
		return policy.Err
	case r.Pod == nil:
		return errors.New("the review holds no Pod: request.object must be one")
	case policy.Pods != nil && r.ManyLabels:
		return fmt.Errorf("the Pod has more than %d labels, and amp does not look among so many for those of annotation amp.txn2.com/pods", review.MaxLabels)
	case policy.Creators != nil && !policy.Creators.Match(r.User) && len(policy.Endpoints(r.Phase)) > 0:
		hint := ""
		if strings.ContainsAny(r.User, ", \t") {
			hint = "; put a name with commas or spaces in double quotes there"
		}
		return fmt.Errorf("namespace %s: %s may not create the Pods that amp forwards here; annotation amp.txn2.com/creators names who may%s", r.Namespace, r.User, hint)
	}
	return nil
}
