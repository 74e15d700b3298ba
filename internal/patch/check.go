// Package patch decides whether the patch of an endpoint may go to the API server, and adds the ops that create
// missing parents. It does no I/O and knows no failure policy: a patch is good, or it is a [review.Failure]
// that says why.
//
// START HERE: [Checker.Check] is the order of the steps. [Checker.CheckWhole] is about the patches of a chain. Package apply
// applies the ops to the Pod, package rules judges what they do: rules.All is the list of what a patch may not do. Package
// jsontree is the Pod as both see it.
package patch

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/rules"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// Checker checks patches. Any number of goroutines may use it at once.
type Checker struct {
	settings   rules.Settings
	processors *share.Processors // nil: checks do not wait for each other
}

// DefaultDeny is the default of AMP_PATCH_DENY, as New takes it.
func DefaultDeny() []string {
	return []string{"/spec/serviceAccountName", "/spec/nodeName", "/spec/hostNetwork", "/spec/hostPID", "/spec/hostIPC"}
}

// New returns a Checker for the JSON pointers of AMP_PATCH_DENY, in which * stands for any one segment. No
// endpoint may change what is at or under one of them. The error of New names each bad pointer.
func New(deny []string) (*Checker, error) {
	places, err := rules.ParsePlaces(deny)
	if err != nil {
		return nil, err
	}
	return &Checker{settings: rules.Settings{Deny: places}}, nil
}

// On returns a Checker like c whose checks share processors with other work.
func (c *Checker) On(processors *share.Processors) *Checker {
	on := *c
	on.processors = processors
	return &on
}

// Strict returns a Checker like c that also refuses a patch which brings a field that a Pod does not have.
func (c *Checker) Strict() *Checker {
	strict := *c
	strict.settings.RefuseUnknown = true
	return &strict
}

// Check applies ops to the Pod as the API server would and returns them completed, with the Pod that they make. It waits until
// the tenant, which is a namespace, may use a processor, and ends soon after ctx ends. Its error is a *review.Failure, which
// counts the ops from 1. The Pod must be valid JSON, which [review.Read] makes sure of.
//
// What the ops do not touch keeps its bytes, and most of it is not even read.
func (c *Checker) Check(ctx context.Context, tenant string, pod json.RawMessage, ops []review.Op) (review.Checked, error) {
	if len(ops) == 0 {
		return review.Checked{Pod: pod}, nil
	}
	return run(ctx, c.processors, tenant, size(pod, ops), len(ops), func() (review.Checked, error) { return c.check(ctx, pod, ops) })
}

// check is Check for at least one op.
func (c *Checker) check(ctx context.Context, pod json.RawMessage, ops []review.Op) (review.Checked, error) {
	change, err := apply.Apply(ctx, pod, ops, rules.All.Values)
	if err != nil {
		return review.Checked{}, asFailure(err)
	}
	if _, err := c.judge(ctx, rules.All.Always, change); err != nil {
		return review.Checked{}, err
	}
	if change.Empty() {
		return review.Checked{Pod: pod}, nil
	}

	change, found, err := complete(ctx, pod, change)
	if err != nil {
		return review.Checked{}, err
	}
	if change, err = change.Verify(ctx); err != nil {
		return review.Checked{}, asFailure(err)
	}
	warnings, err := c.judge(ctx, rules.All.Changed, change)
	if err != nil {
		return review.Checked{}, err
	}
	if warnings, err = collect(warnings, found, change.Given); err != nil {
		return review.Checked{}, err
	}
	after := change.After.AppendJSON(make([]byte, 0, len(pod)+len(pod)/4))
	return review.Checked{Ops: change.Ops, Numbers: change.Numbers, Pod: after, Warnings: warnings, MoreWarnings: change.MoreDropped}, nil
}

// asFailure returns an error of package apply as the failure that it is.
func asFailure(err error) error {
	var of *apply.Error
	if errors.As(err, &of) {
		return &review.Failure{Result: review.ResultPatch, Cause: of.Error(), Err: of.Err}
	}
	return err
}

// complete returns the change with the ops that the completions add. Messages never name these: they are not the
// endpoint's.
func complete(ctx context.Context, pod json.RawMessage, change *apply.Change) (*apply.Change, []rules.Finding, error) {
	var more []review.Op
	var warnings []rules.Finding
	for _, completion := range rules.All.Completions {
		ops, found := completion(change)
		more, warnings = append(more, ops...), append(warnings, found...)
	}
	if len(more) == 0 {
		return change, warnings, nil
	}
	completed, err := apply.Apply(ctx, pod, slices.Concat(change.Given, more), rules.All.Values)
	if err != nil {
		return nil, nil, asFailure(err)
	}
	completed.Given, completed.Touched = change.Given, change.Touched
	return completed, warnings, nil
}

// judge returns the warnings of the rules, or the first refusal as a *review.Failure.
func (c *Checker) judge(ctx context.Context, list []rules.Rule, change *apply.Change) (warnings []string, err error) {
	for _, rule := range list {
		if err := apply.Late(ctx, len(change.Given)); err != nil {
			return nil, err
		}
		if warnings, err = collect(warnings, rule(change, &c.settings), change.Given); err != nil {
			return nil, err
		}
	}
	return warnings, nil
}

// collect appends to warnings those of the findings that are warnings. Its error is the first refusal.
func collect(warnings []string, findings []rules.Finding, ops []review.Op) ([]string, error) {
	for _, f := range findings {
		text := f.Text
		if f.Op != 0 {
			text = apply.Describe(f.Op, &ops[f.Op-1]) + ": " + text
		}
		if f.Severity != rules.Warn {
			return nil, &review.Failure{Result: review.ResultPatch, Cause: text, Err: f.Err}
		}
		warnings = append(warnings, text)
	}
	return warnings, nil
}

// Apply returns the Pod that the ops of amp's answer make. It judges nothing: the answer also changes what an endpoint may
// not.
func Apply(pod json.RawMessage, ops []review.Op) (json.RawMessage, error) {
	change, err := apply.Apply(context.Background(), pod, ops, nil)
	if err != nil {
		return nil, err
	}
	return change.After.AppendJSON(nil), nil
}
