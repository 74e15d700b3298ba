package review

import (
	"fmt"
	"strconv"
	"strings"
)

// Explanation says how the review of a dry run ended. amp sends it as a warning of the form
//
//	amp: dry run, PHASE: [shadow mode, else ]ENDED[, operations: OPS][: TEXT]
//
// to a Pod that has ExplainAnnotation. A dry run leaves no event and no stamp that would show how it ended, and under
// Ignore the API server admits the Pod without a word where it does not reach amp.
type Explanation struct {
	Phase  Phase
	Shadow bool   // the namespace is in shadow mode: without it, the review would have ended so
	Ended  string // one of the constants Ended…; a later version of amp may have more
	Ops    int    // number of operations of the patch, 0 where there is none
	Text   string // the cause of a failure, or the endpoint's message to the user; one line
}

// How a review ended. These texts are part of the fixed form of an Explanation.
const (
	EndedMutated   = "mutated"
	EndedUnchanged = "unchanged"
	EndedValidated = "validated"
	EndedLeftAlone = "left alone" // amp does not handle such a Pod, or the namespace leaves it out
	EndedDenied    = "denied"     // an endpoint said no
	EndedFailed    = "failed"
)

const (
	explanationPrefix = "amp: dry run, "
	explanationShadow = "shadow mode, else "
	explanationOps    = ", operations"
	// explanationLength is the most characters of an Explanation. The API server may cut a warning after 256 bytes.
	explanationLength = 250
)

// String is the warning, at most 250 characters.
func (e Explanation) String() string {
	return Clip(explanationPrefix+string(e.Phase)+": "+e.Result(), explanationLength)
}

// Result is what the warning says after the phase.
func (e Explanation) Result() string {
	result := e.Ended
	if e.Shadow {
		result = explanationShadow + result
	}
	if e.Ops > 0 {
		result += fmt.Sprintf("%s: %d", explanationOps, e.Ops)
	}
	if e.Text != "" {
		result += ": " + e.Text
	}
	return result
}

// ParseExplanation reads what String wrote. It reports false for any other warning.
func ParseExplanation(warning string) (Explanation, bool) {
	rest, ok := strings.CutPrefix(warning, explanationPrefix)
	if !ok {
		return Explanation{}, false
	}
	phase, rest, _ := strings.Cut(rest, ": ")
	e := Explanation{Phase: Phase(phase)}
	rest, e.Shadow = strings.CutPrefix(rest, explanationShadow)
	e.Ended, e.Text, _ = strings.Cut(rest, ": ")
	if ended, counted := strings.CutSuffix(e.Ended, explanationOps); counted {
		var number string
		var err error
		number, e.Text, _ = strings.Cut(e.Text, ": ")
		if e.Ops, err = strconv.Atoi(number); err != nil || e.Ops <= 0 {
			return Explanation{}, false
		}
		e.Ended = ended
	}
	if e.Phase != Mutate && e.Phase != Validate || e.Ended == "" {
		return Explanation{}, false
	}
	return e, true
}

// FailedOpen reports whether a warning says that a review failed under Ignore, and in which phase. Every Pod of such a review
// gets it. A dry run that asks gets an Explanation, too, unless amp had no memory to read the Pod, or failed itself.
func FailedOpen(warning string) (Phase, bool) {
	for _, phase := range []Phase{Mutate, Validate} {
		if strings.HasPrefix(warning, failedOpenPrefix(phase)) {
			return phase, true
		}
	}
	return "", false
}

func failedOpenPrefix(phase Phase) string { return "amp: not " + past(phase) + ": " }

// Explain says how the review of a verdict ended or, in shadow mode, how it would have ended without it.
func Explain(r *Review, plan *Plan, run *Run, verdict *Verdict) Explanation {
	v, e := *verdict, Explanation{Phase: r.Phase}
	if v.Outcome == OutcomeShadowed {
		v, e.Shadow = decide(r, plan, run), true
	}
	switch v.Outcome {
	case OutcomeMutated:
		e.Ended, e.Ops = EndedMutated, len(v.Patch)
	case OutcomeUnchanged:
		e.Ended = EndedUnchanged
	case OutcomeValidated:
		e.Ended = EndedValidated
	case OutcomeDenied:
		e.Ended, e.Text = EndedDenied, v.Message
	case OutcomeSkipped:
		e.Ended = EndedLeftAlone
	default: // rejected, or failed open
		e.Ended, e.Text = EndedFailed, strings.TrimPrefix(v.Message, "amp: ")
	}
	return e
}
