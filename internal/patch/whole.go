package patch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/review"
)

// CheckWhole checks the patch of a chain as the API server applies it: the ops of all steps, and then the stamp, as one patch
// to the Pod as it came. Each step is good for the Pod that the one before it left, so the rules hold for the result. But the
// API server's limits and its library's way to compare values are about one patch: two good ones may not be a good one.
//
// It reports whether the steps undo each other, so that there is no patch. Its error is a *review.Failure of the step with
// that index.
func (c *Checker) CheckWhole(ctx context.Context, tenant string, pod json.RawMessage, steps []review.Step, stamp []review.Op) (undone bool, step int, err error) {
	var ops []review.Op
	for i := range steps {
		ops = append(ops, steps[i].Ops...)
	}
	undone, err = run(ctx, c.processors, tenant, size(pod, ops), len(ops), func() (bool, error) { return whole(ctx, pod, ops, stamp) })
	step, err = failedTogether(steps, err)
	return undone, step, err
}

func whole(ctx context.Context, pod json.RawMessage, ops, stamp []review.Op) (undone bool, err error) {
	if len(ops) > review.MaxOps {
		return false, &apply.Error{Number: len(ops), Op: &ops[len(ops)-1],
			Text: fmt.Sprintf("there are %d ops in all; the limit is %d, as for a PATCH request to the API server", len(ops), review.MaxOps)}
	}
	change, err := apply.Apply(ctx, pod, ops, nil)
	if err != nil || change.Empty() {
		return err == nil, err
	}
	if len(stamp) > 0 {
		if change, err = apply.Apply(ctx, pod, append(ops, stamp...), nil); err != nil {
			return false, err
		}
	}
	_, err = change.Verify(ctx)
	return false, err
}

// failedTogether returns the step to which an op belongs that fails only together with those of the steps before it, and the
// failure of that step. An error that names no op is one of the last step.
func failedTogether(steps []review.Step, err error) (int, error) {
	last := len(steps) - 1
	var of *apply.Error
	if !errors.As(err, &of) {
		return last, err
	}
	step, at := 0, of.Number-1
	for step < last && at >= len(steps[step].Ops) {
		at -= len(steps[step].Ops)
		step++
	}
	name := "amp's own " + of.Op.Op + " of its annotation"
	if at < len(steps[step].Ops) {
		name = apply.Describe(steps[step].Numbers[at], of.Op)
	}
	var before []string
	for i := range steps[:step] {
		if len(steps[i].Ops) > 0 {
			before = append(before, steps[i].Endpoint.Name)
		}
	}
	return step, &review.Failure{Result: review.ResultPatch, Err: of.Err, Cause: fmt.Sprintf("%s: it does not go together with the patch of %s, and amp answers them as one: %s: change one of these endpoints",
		name, review.Clip(strings.Join(before, " "), 80), of.Text)}
}
