package suite

import (
	"encoding/json"
	"slices"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/tryout"
)

// answer is what the endpoints said, of both phases together. The second phase does not hide what failed in the first.
type answer struct {
	outcome          review.Outcome // of the last phase, or failedopen if the first one failed
	allowed          bool
	failed, notThere bool   // of one of the phases
	message          string // of both
	seen             string
	warnings         []string
	pod              json.RawMessage // as the last phase left it

	mutation *tryout.Result // nil if that phase was not asked
	again    *tryout.Result // nil if it was not asked
}

// add adds what came of a phase.
func (a *answer) add(r *tryout.Result) {
	if !a.failed { // a Pod whose first phase failed comes to the second only under Ignore
		a.outcome = r.Outcome
	}
	a.allowed, a.seen, a.pod = r.Allowed, r.Seen, r.Pod
	a.failed, a.notThere = a.failed || r.Failed(), a.notThere || r.NotThere
	a.warnings = slices.Concat(a.warnings, r.Warnings)
	if a.message != "" && r.Message != "" {
		a.message += "; "
	}
	a.message += r.Message
}

// broken reports whether something failed. A denial is an answer.
func (a *answer) broken() bool {
	return isFailure(string(a.outcome)) || a.again != nil && a.again.Failed()
}

// isFailure reports whether an outcome is that of a failure.
func isFailure(outcome string) bool {
	return outcome == string(review.OutcomeRejected) || outcome == string(review.OutcomeFailedOpen)
}

// facts is an answer in the terms of an expectation.
type facts struct {
	outcome                       string
	denied, unchanged, idempotent bool
	patch                         []op
	pod                           any
}

// got is an answer in those terms.
func got(a *answer) facts {
	f := facts{outcome: string(a.outcome), denied: !a.allowed, patch: []op{}}
	pod := a.pod
	if a.mutation != nil {
		f.patch, pod = opsOf(a.mutation), a.mutation.Unstamped()
	}
	f.unchanged = a.allowed && len(f.patch) == 0
	f.idempotent = a.again != nil && !a.again.Failed() && len(a.again.Ops) == 0
	_ = json.Unmarshal(pod, &f.pod)
	return f
}

func opsOf(r *tryout.Result) []op {
	all := []op{}
	for _, o := range r.Ops {
		one := op{Op: o.Op, Path: o.Path, From: o.From}
		_ = json.Unmarshal(o.Value, &one.Value)
		all = append(all, one)
	}
	return all
}
