package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/txn2/amp/internal/review"
)

// run calls the plan's endpoints in their order, each with the Pod as the one before left it. It ends with the first
// endpoint that fails or denies the Pod; then there is no patch. Nor is there one if the patches do not go together.
func (p *Proxy) run(ctx context.Context, r *review.Review, plan *review.Plan) review.Run {
	if plan.Err != nil || len(plan.Endpoints) == 0 {
		return review.Run{Err: plan.Err}
	}
	ctx, cancel := until(ctx, plan.Deadline)
	defer cancel()
	run, pod := review.Run{Steps: make([]review.Step, 0, len(plan.Endpoints))}, r.Pod
	var patch []review.Op
	patches := 0
	var err error
	for i, e := range plan.Endpoints {
		step, answer, next := p.step(ctx, r, plan, i+1, e, pod)
		run.Steps = append(run.Steps, step)
		if step.Err != nil {
			return run
		}
		if answer.Refused {
			run.Refusal = &answer
			return run
		}
		if len(step.Ops) > 0 {
			patches++
		}
		if pod, err = p.keep(ctx, r, plan, i, pod, next); err != nil {
			fail(&run.Steps[i], err)
			return run
		}
		if len(patch) == 0 {
			patch = slices.Clip(step.Ops) // without a copy: most chains have one endpoint
		} else {
			patch = append(patch, step.Ops...)
		}
	}
	if len(patch) == 0 {
		run.Unstamp = p.unstamp(r, plan, r.Pod)
		return run
	}
	var stamp []review.Op
	if plan.Event != "" && !plan.Policy.Shadow {
		stamp = p.Annotate(pod, review.StampAnnotation, plan.Event)
	} else {
		stamp = p.unstamp(r, plan, pod)
	}
	if patches > 1 {
		undone, failed, err := p.CheckWhole(ctx, r.Namespace, r.Pod, run.Steps, stamp)
		if err != nil {
			fail(&run.Steps[failed], err)
			return run
		}
		if undone { // one endpoint may undo what another one did
			run.Unstamp = p.unstamp(r, plan, r.Pod)
			return run
		}
	}
	run.Stamp, run.Patch = stamp, append(patch, stamp...)
	return run
}

// keep returns next, the Pod after step i. If another endpoint is to get it, it stays in memory for that time.
func (p *Proxy) keep(ctx context.Context, r *review.Review, plan *review.Plan, i int, pod, next json.RawMessage) (json.RawMessage, error) {
	if last := i == len(plan.Endpoints)-1; last || len(next) <= keptBytes || &next[0] == &pod[0] {
		return next, nil
	}
	if r.Memory.Grow(ctx, int64(cap(next))) != nil {
		return nil, &review.Failure{Result: review.ResultFull, Cause: r.NoMemory("the Pod that it makes")}
	}
	return next, nil
}

// keptBytes is the size of a patched Pod that every review may keep: it is part of [ReviewBytes].
const keptBytes = 16 << 10

// unstamp returns the ops that take off the stamp with which the Pod came: it is a copy of a Pod that was mutated, and the
// stamp names the event of that one.
func (p *Proxy) unstamp(r *review.Review, plan *review.Plan, pod json.RawMessage) []review.Op {
	if r.Stamp == "" || r.Phase != review.Mutate || plan.Policy.Shadow {
		return nil
	}
	return p.Unannotate(pod, review.StampAnnotation)
}

// step calls one endpoint and checks its patch. It also returns the answer, and the Pod after the patch.
func (p *Proxy) step(
	ctx context.Context, r *review.Review, plan *review.Plan, number int, e review.Endpoint, pod json.RawMessage,
) (made review.Step, answer review.Answer, after json.RawMessage) {
	start := time.Now()
	answer, err := p.Endpoints.Call(ctx, e, r, number, plan.Start, pod)
	made = review.Step{
		Endpoint: e, Status: answer.Status, Result: review.ResultOK, Took: time.Since(start),
		Warnings: answer.Warnings, MoreWarnings: answer.MoreWarnings,
	}
	after = pod
	switch {
	case err != nil:
	case answer.Refused:
		made.Result = review.ResultRefused
	case len(answer.Ops) > 0:
		var checked review.Checked
		check := p.Check
		if plan.Policy.FailUnknownFields {
			check = p.CheckStrictly
		}
		if checked, err = check(ctx, r.Namespace, pod, answer.Ops); err == nil {
			made.Ops, made.Numbers, after = checked.Ops, checked.Numbers, checked.Pod
			made.MoreWarnings += checked.MoreWarnings
			for _, w := range checked.Warnings {
				made.Warnings = append(made.Warnings, review.Warning(w))
			}
		}
	}
	if err != nil {
		fail(&made, err)
	}
	return made, answer, after
}

// fail makes a step fail because of err.
func fail(step *review.Step, err error) {
	step.Err, step.Result = err, review.ResultInvalid
	if failure := (*review.Failure)(nil); errors.As(err, &failure) {
		step.Result = failure.Result
	}
}

// until returns ctx with a deadline, which costs a timer only if ctx does not end by then anyway.
func until(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	if its, ok := ctx.Deadline(); ok && !deadline.Before(its) {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline)
}
