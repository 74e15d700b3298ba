package review

import (
	"cmp"
)

// Outcome is how a review ended.
type Outcome string

// The outcomes. All but OutcomeSkipped are also the type of an event.
const (
	OutcomeSkipped    Outcome = "skipped"    // amp allowed the Pod and called no endpoint
	OutcomeMutated    Outcome = "mutated"    // amp answered with a patch
	OutcomeUnchanged  Outcome = "unchanged"  // the endpoints wanted no change; amp may take off another Pod's stamp
	OutcomeShadowed   Outcome = "shadowed"   // shadow mode: nothing was changed or denied
	OutcomeDenied     Outcome = "denied"     // an endpoint denied the Pod: a policy decision, not a failure
	OutcomeRejected   Outcome = "rejected"   // something failed, under Fail
	OutcomeFailedOpen Outcome = "failedopen" // something failed, under Ignore: the Pod is admitted unmutated
	OutcomeValidated  Outcome = "validated"  // /validate let it pass
)

// OutcomeCompared is that of the event about a candidate. No review ends with it.
const OutcomeCompared Outcome = "compared"

// Outcomes lists every outcome of a review.
var Outcomes = []Outcome{
	OutcomeSkipped, OutcomeMutated, OutcomeUnchanged, OutcomeShadowed, OutcomeDenied, OutcomeRejected, OutcomeFailedOpen, OutcomeValidated,
}

// Verdict is amp's answer to a review.
type Verdict struct {
	Outcome  Outcome
	Message  string // why the run failed or an endpoint denied the Pod: one line, whole even if the user sees less
	Code     int32  // the HTTP status for the user; 0 if nothing failed and no endpoint denied the Pod
	Warnings []string
	Patch    []Op
}

// Allowed reports whether the Pod is admitted. The zero value admits none.
func (v *Verdict) Allowed() bool {
	switch v.Outcome {
	case OutcomeSkipped, OutcomeMutated, OutcomeUnchanged, OutcomeShadowed, OutcomeFailedOpen, OutcomeValidated:
		return true
	}
	return false
}

// The codes of a verdict that does not allow the Pod. A failure is the server's: clients that distinguish 4xx from 5xx may
// try again.
const (
	codeDenied int32 = 403
	codeFailed int32 = 500
)

// Decide turns what happened to r into amp's answer, by the plan's Policy and FailurePolicy. It is the only code that
// knows what Fail, Ignore and shadow mean:
//
//	what happened            shadow     Fail       Ignore
//	---------------------    --------   --------   ----------
//	the run failed           shadowed   rejected   failedopen + 1 warning
//	an endpoint denied       shadowed   denied     denied
//	mutate, with a patch     shadowed   mutated    mutated
//	mutate, without          shadowed   unchanged  unchanged (*)
//	validate, let pass       shadowed   validated  validated
//
// (*) with a patch that only takes off the stamp of another Pod, if the Pod came with one.
//
// A plan that skips the review is skipped in every case. A failure policy that is not Ignore is Fail. Under Fail the user
// reads the whole message, under Ignore a warning of at most 256 characters.
//
// A dry run that asks for it gets one more warning, an [Explanation].
func Decide(r *Review, plan *Plan, run *Run) Verdict {
	v := decide(r, plan, run)
	if v.Outcome != OutcomeSkipped && plan.Policy.Shadow {
		v = Verdict{Outcome: OutcomeShadowed, Message: v.Message, Code: v.Code}
	}
	if r.DryRun && r.Explain {
		// The first: where an answer has very many warnings, the API server drops the last ones.
		v.Warnings = append([]string{Explain(r, plan, run, &v).String()}, v.Warnings...)
	}
	return v
}

// decide is Decide without shadow mode.
func decide(r *Review, plan *Plan, run *Run) Verdict {
	if plan.Skip {
		return Verdict{Outcome: OutcomeSkipped, Warnings: plan.Warnings}
	}
	endpoint, err := run.Failed()
	all, more := warnings(plan, run)
	limit := MaxWarnings
	if r.DryRun && r.Explain {
		limit-- // for the Explanation
	}
	v := Verdict{Warnings: Bounded(all, more, limit)}
	switch {
	case err != nil:
		v.Message = failureMessage(endpoint, err)
		v.Code = codeFailed
	case run.Refusal != nil:
		v.Message = refusalMessage(run)
		v.Code = cmp.Or(run.Refusal.Code, codeDenied)
	}

	switch {
	case err != nil && plan.FailurePolicy == Ignore:
		// One warning, so that the user reads it: warnings of the steps before the failed one no longer apply.
		v.Outcome, v.Warnings = OutcomeFailedOpen, []string{ignoredWarning(r, plan, endpoint, err)}
	case err != nil:
		v.Outcome = OutcomeRejected
	case run.Refusal != nil:
		v.Outcome = OutcomeDenied
	case r.Phase == Validate:
		v.Outcome = OutcomeValidated
	case len(run.Patch) > 0:
		v.Outcome, v.Patch = OutcomeMutated, run.Patch
	default:
		v.Outcome, v.Patch = OutcomeUnchanged, run.Unstamp
	}
	return v
}

// FailurePolicyFor is the failure policy that holds for r: its path's, else its Namespace's, else the default. The path
// goes first because the API server uses the same one if amp does not answer.
func FailurePolicyFor(r *Review, p *Policy, byDefault FailurePolicy) FailurePolicy {
	return cmp.Or(r.FailurePolicy, p.FailurePolicy, byDefault)
}

func failureMessage(endpoint string, err error) string {
	if endpoint == "" {
		return Line("amp: " + err.Error())
	}
	return Line("amp: endpoint " + endpoint + ": " + err.Error())
}

// refusalMessage is the endpoint's own message, which it wrote for this user.
func refusalMessage(run *Run) string {
	if run.Refusal.Message != "" {
		return Line(run.Refusal.Message)
	}
	return "amp: endpoint " + run.Steps[len(run.Steps)-1].Endpoint.Name + " refused the Pod and gave no reason; it belongs in status.message"
}

func past(phase Phase) string {
	if phase == Validate {
		return "validated"
	}
	return "mutated"
}
