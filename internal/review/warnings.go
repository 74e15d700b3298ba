package review

import (
	"fmt"
	"unicode/utf8"
)

// Bounds of the warnings of one answer. When all warnings of a request together have more than 4,096 characters, the API server
// cuts each to 256 and drops what comes after as many (k8s.io/apiserver, filters/warning.go). kubectl prints each on one line.
const (
	MaxWarning  = 256  // characters of one warning
	MaxWarnings = 32   // warnings of one answer, with the one that counts the rest
	AllWarnings = 4096 // characters of all warnings of a request, after which the API server passes on no more
)

// Warning makes one of amp's own warnings of a text.
func Warning(text string) string { return Clip("amp: "+Line(text), MaxWarning) }

// Bounded returns at most limit of the warnings, limit > 0, each cut to its longest length. more is the number of those
// that were left out before. If the answer leaves any out, its last warning counts them.
func Bounded(warnings []string, more, limit int) []string {
	within := more == 0 && len(warnings) <= limit
	for _, w := range warnings {
		within = within && len(w) <= MaxWarning
	}
	if within { // the usual case needs no memory
		return warnings
	}
	keep := len(warnings)
	if more > 0 || keep > limit {
		keep = min(keep, limit-1)
		more += len(warnings) - keep
	}
	all := make([]string, 0, keep+1)
	for _, w := range warnings[:keep] {
		all = append(all, Clip(w, MaxWarning))
	}
	switch {
	case more == 1:
		all = append(all, "amp: 1 more warning")
	case more > 1:
		all = append(all, fmt.Sprintf("amp: %d more warnings", more))
	}
	return all
}

// ignoredWarning says that a review failed under Ignore: the cause first and in full, then the endpoint and the event,
// each if it fits. An endpoint that does not fit is cut in its middle, which says least, if enough of it can stay. Only a
// cause that is too long by itself is cut, at its end.
func ignoredWarning(r *Review, plan *Plan, endpoint string, err error) string {
	warning := Line(failedOpenPrefix(r.Phase) + err.Error())
	if utf8.RuneCountInString(warning) >= MaxWarning {
		return Clip(warning, MaxWarning)
	}
	const (
		least = 24 // characters of an endpoint that still tell which one it is
		close = ")"
	)
	open := " ("
	if endpoint != "" {
		name := open + "endpoint "
		room := MaxWarning - utf8.RuneCountInString(warning+name+close)
		if n := utf8.RuneCountInString(endpoint); n <= room || room >= least {
			warning += name + clipMiddle(endpoint, room)
			open = ", "
		}
	}
	if event := open + "event " + plan.Event; plan.Event != "" && utf8.RuneCountInString(warning+event+close) <= MaxWarning {
		warning, open = warning+event, ", "
	}
	if open == ", " {
		warning += close
	}
	return warning
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

// warnings are amp's own, and then those of the steps in their order; more counts those that the steps left out.
func warnings(plan *Plan, run *Run) (all []string, more int) {
	for i := range run.Steps {
		more += run.Steps[i].MoreWarnings
	}
	if len(plan.Warnings) == 0 && len(run.Steps) == 1 { // the usual case needs no memory
		return run.Steps[0].Warnings, more
	}
	all = plan.Warnings[:len(plan.Warnings):len(plan.Warnings)]
	for i := range run.Steps {
		all = append(all, run.Steps[i].Warnings...)
	}
	return all, more
}
