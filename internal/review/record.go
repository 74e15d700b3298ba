package review

import "time"

// A review becomes a Plan, a Run, a Verdict and at last a Record. The step that knows one of these values builds it and
// hands it on; no later step changes it.

// Plan is what amp will do about a review. It is fixed before the first endpoint is called.
type Plan struct {
	Policy        *Policy       // of the namespace; never nil, and empty if it was not read
	FailurePolicy FailurePolicy // the one that holds: see FailurePolicyFor
	Start         time.Time     // when amp began with the review
	Deadline      time.Time     // of all calls together

	Skip      bool       // allow the Pod unchanged and call no endpoint
	Err       error      // why the Pod must not go to its endpoints, e.g. a Namespace with a bad value; nil if it may
	Endpoints []Endpoint // to be called, in this order
	Warnings  []string   // amp's own, for the user, each one line

	// Event is the id of the review's event, empty if it has none.
	Event string
	// Level is how much that event tells.
	Level Level
	// Required says that the sink must accept the event of a mutation before amp answers with it.
	Required bool
}

// Step is the call of one endpoint of a chain, with the check of its patch.
type Step struct {
	Endpoint Endpoint
	Status   int // of HTTP; 0 if no answer came
	Result   Result
	Took     time.Duration // of the call, without the check
	Ops      []Op          // as checked and completed
	Numbers  []int         // for each of Ops, that of the endpoint's op that it is or that needs it: see [Checked]
	Warnings []string
	// MoreWarnings counts the warnings that were left out because there were too many.
	MoreWarnings int
	Err          error // why the step failed, nil if it did not
}

// Run is what happened to a review, before any policy.
type Run struct {
	Steps   []Step
	Patch   []Op    // of all steps, then the stamp; empty if the steps changed nothing
	Stamp   []Op    // amp's own end of Patch: it names the event on the Pod or, without an event, takes off another Pod's stamp
	Unstamp []Op    // takes another Pod's stamp off, if the steps changed nothing; empty if the Pod came with none
	Refusal *Answer // of the endpoint that denied the Pod, which is the last step; nil if none did
	// Err is a failure outside the endpoints, e.g. a Namespace that cannot be read; a failed endpoint's is in the last
	// step.
	Err error
}

// Failed reports why a run failed and at which endpoint (empty if at none); a nil error means it did not. A failed step is
// the last one, unless its patch fails only together with those of the other steps.
func (run *Run) Failed() (endpoint string, err error) {
	if run.Err != nil {
		return "", run.Err
	}
	for i := range run.Steps {
		if step := &run.Steps[i]; step.Err != nil {
			return step.Endpoint.Name, step.Err
		}
	}
	return "", nil
}

// Record is all that amp knows of one review when its verdict is fixed. It is made once and never changed.
type Record struct {
	Review  *Review
	Plan    Plan
	Run     Run
	Verdict Verdict
	Time    time.Time     // of the decision
	Took    time.Duration // from Plan.Start to Time
}

// NewRecord decides about r and returns the record of that; now is the time of the decision.
func NewRecord(r *Review, plan Plan, run Run, now time.Time) *Record {
	rec := &Record{Review: r, Plan: plan, Run: run, Time: now, Took: now.Sub(plan.Start)}
	rec.Verdict = Decide(r, &rec.Plan, &rec.Run)
	return rec
}

// Undecided is the record of a review for which [Decide] panicked, because of err. It takes the failure policy as its only
// rule, and has no event: everything else may be what Decide could not read.
func Undecided(r *Review, policy FailurePolicy, err error, start, now time.Time) *Record {
	rec := &Record{Review: r, Plan: Plan{Policy: &Policy{}, FailurePolicy: policy, Start: start}, Run: Run{Err: err}, Time: now, Took: now.Sub(start)}
	rec.Verdict = Verdict{Outcome: OutcomeRejected, Message: failureMessage("", err), Code: codeFailed}
	if policy == Ignore {
		rec.Verdict.Outcome, rec.Verdict.Warnings = OutcomeFailedOpen, []string{ignoredWarning(r, &rec.Plan, "", err)}
	}
	return rec
}

// EventFirst reports whether the sink must accept the record's event before amp answers the review.
func (rec *Record) EventFirst() bool {
	return rec.Plan.Required && rec.Plan.Event != "" && rec.Verdict.Outcome == OutcomeMutated
}
