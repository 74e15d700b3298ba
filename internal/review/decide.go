package review

import (
	"cmp"
	"unicode/utf8"
)

// Outcome is how a review ended.
type Outcome string

// The outcomes. All but OutcomeSkipped are also the type of an event.
const (
	OutcomeSkipped    Outcome = "skipped"    // amp left the review alone
	OutcomeMutated    Outcome = "mutated"    // a patch was answered
	OutcomeUnchanged  Outcome = "unchanged"  // the endpoints wanted no change
	OutcomeShadowed   Outcome = "shadowed"   // shadow mode: nothing was changed or denied
	OutcomeDenied     Outcome = "denied"     // an endpoint said no: a policy decision, not a failure
	OutcomeRejected   Outcome = "rejected"   // something failed, under Fail
	OutcomeFailedOpen Outcome = "failedopen" // failed under Ignore: admitted unmutated
	OutcomeValidated  Outcome = "validated"  // /validate let it pass
)

// Outcomes lists every outcome.
var Outcomes = []Outcome{OutcomeSkipped, OutcomeMutated, OutcomeUnchanged, OutcomeShadowed, OutcomeDenied, OutcomeRejected, OutcomeFailedOpen, OutcomeValidated}

// Verdict is amp's answer to a review.
type Verdict struct {
	Outcome  Outcome
	Message  string // why the run failed or the Pod was refused, one line, whole whatever the user is shown
	Code     int32  // the HTTP status of a rejection
	Warnings []string
	Patch    []Op
}

// Allowed reports whether the Pod is admitted.
func (v *Verdict) Allowed() bool { return v.Outcome != OutcomeDenied && v.Outcome != OutcomeRejected }

// The codes of a rejection. A failure is the server's: clients that tell 4xx from 5xx may try again.
const (
	codeRefused = 403
	codeFailed  = 500
)

// warningLength is the most characters that amp's own warnings have. The API server cuts warnings once all
// of them together pass 4,096, and kubectl prints each on one line.
const warningLength = 120

// Skip is the verdict on a review that amp leaves alone; the warning may be empty.
func Skip(warning string) Verdict {
	v := Verdict{Outcome: OutcomeSkipped}
	if warning != "" {
		v.Warnings = []string{Clip("amp: "+Line(warning), warningLength)}
	}
	return v
}

// Decide turns what happened to rec's review into amp's answer, by rec's Policy (not nil) and FailurePolicy.
// It is the only code that knows Fail, Ignore and shadow:
//
//	what happened            shadow     Fail       Ignore
//	---------------------    --------   --------   ----------
//	the run failed           shadowed   rejected   failedopen + 1 warning
//	an endpoint denied       shadowed   denied     denied
//	mutate, with a patch     shadowed   mutated    mutated
//	mutate, without          shadowed   unchanged  unchanged
//	validate, let pass       shadowed   validated  validated
//
// Under Fail the user reads the whole message; under Ignore a warning of at most 120 characters.
func Decide(rec *Record) Verdict {
	v := decide(rec)
	if rec.Policy.Shadow {
		return Verdict{Outcome: OutcomeShadowed, Message: v.Message, Code: v.Code}
	}
	return v
}

// decide is Decide where there is no shadow mode.
func decide(rec *Record) Verdict {
	r, run := rec.Review, &rec.Run
	endpoint, err := run.Failed()
	v := Verdict{Warnings: warnings(run)}
	switch {
	case err != nil:
		v.Message = failureMessage(endpoint, err)
		v.Code = codeFailed
	case run.Refusal != nil:
		v.Message = refusalMessage(run)
		v.Code = codeRefused
		if run.Refusal.Code != 0 {
			v.Code = run.Refusal.Code
		}
	}

	switch {
	case err != nil && rec.FailurePolicy == Ignore:
		// One warning, so that it is read: what the steps before the failed one had to say is void.
		v.Outcome, v.Warnings = OutcomeFailedOpen, []string{ignoredWarning(rec, endpoint, err)}
	case err != nil:
		v.Outcome = OutcomeRejected
	case run.Refusal != nil:
		v.Outcome = OutcomeDenied
	case r.Phase == Validate:
		v.Outcome = OutcomeValidated
	case len(run.Patch) > 0:
		v.Outcome, v.Patch = OutcomeMutated, run.Patch
	default:
		v.Outcome = OutcomeUnchanged
	}
	return v
}

// FailurePolicyFor is the failure policy that holds for r: its path's, else its Namespace's, else the
// default. The path goes first because it is what the API server holds to when amp does not answer at all.
func FailurePolicyFor(r *Review, p *Policy, byDefault FailurePolicy) FailurePolicy {
	return cmp.Or(r.FailurePolicy, p.FailurePolicy, byDefault)
}

func failureMessage(endpoint string, err error) string {
	if endpoint == "" {
		return Line("amp: " + err.Error())
	}
	return Line("amp: endpoint " + endpoint + ": " + err.Error())
}

// refusalMessage is the endpoint's own: it is written for this user.
func refusalMessage(run *Run) string {
	if run.Refusal.Message != "" {
		return Line(run.Refusal.Message)
	}
	return "amp: endpoint " + run.Steps[len(run.Steps)-1].Endpoint.Name + " refused the Pod and gave no reason"
}

// ignoredWarning fits endpoint, cause and event into one warning: the cause is cut last, the endpoint in its
// middle, where it says least.
func ignoredWarning(rec *Record, endpoint string, err error) string {
	shown := 44 // characters of the endpoint that always stay
	prefix, cause, suffix := failedOpenPrefix(rec.Review.Phase), Line(err.Error()), ""
	if rec.Event != "" {
		shown, suffix = 30, " (event "+rec.Event+")"
	}
	room := warningLength - utf8.RuneCountInString(suffix)
	if endpoint != "" {
		prefix += clipMiddle(endpoint, max(shown, room-utf8.RuneCountInString(prefix+cause)-len(": "))) + ": "
	}
	return Clip(prefix+cause, room) + suffix
}

func past(phase Phase) string {
	if phase == Validate {
		return "validated"
	}
	return "mutated"
}

// clipMiddle shortens s to at most n characters, n > 2, with an ellipsis in the middle.
func clipMiddle(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	head := n / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(n-1-head):])
}

// warnings are amp's own and then those of the steps, each after the endpoint that gave it.
func warnings(run *Run) []string {
	all := run.Warnings
	for i := range run.Steps {
		all = append(all, run.Steps[i].Warnings...)
	}
	return all
}
