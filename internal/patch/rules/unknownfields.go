package rules

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"

	"github.com/txn2/amp/internal/patch/apply"
)

// unknownFields warns of the fields that a patch brings and that a Pod does not have: the API server drops
// them silently. It names the field that is probably meant. It only warns, because the cluster's API may be newer than the
// one amp is built with. Where the namespace says so, it refuses: no user reads the warnings about a controller's Pods.
func unknownFields(c *apply.Change, s *Settings) (found []Finding) {
	if len(c.Unknown) == 0 {
		return nil
	}
	var unknown []mismatch // the decoder names fields, too, but not the ops that brought them
	mismatches(c.After, func(m mismatch) {
		if m.op != 0 && m.problem == "" {
			unknown = append(unknown, m)
		}
	})
	// The patch did not bring a field that the Pod had, even if an op moved it or wrote it again. The fields that
	// the Pod had are those that an op would bring if it moved the whole Pod.
	had := map[string]bool{}
	mismatches(c.Before.MovedBy(1), func(m mismatch) { had[withoutIndices(m.field)] = true })
	unknown = slices.DeleteFunc(unknown, func(m mismatch) bool { return had[withoutIndices(m.field)] })

	for i, m := range unknown {
		if i == maxNamed {
			text := fmt.Sprintf("%d more fields are unknown to amp's Kubernetes %s API", len(unknown)-i, apply.APIVersion)
			return append(found, Finding{Severity: Warn, Text: text})
		}
		text := fmt.Sprintf("%s is unknown to amp's Kubernetes %s API", m.field, apply.APIVersion)
		if meant := cmp.Or(apply.Meant(c.Given[m.op-1].Path), m.in.Nearest(m.name)); meant != "" {
			text += fmt.Sprintf(": did you mean %q?", meant)
		}
		if s.RefuseUnknown {
			return refuse(m.op, text+" (the namespace has amp.txn2.com/unknown-fields: Fail)")
		}
		found = append(found, Finding{Severity: Warn, Op: m.op, Text: text})
	}
	return found
}

var indices = regexp.MustCompile(`\[\d+\]`)

// withoutIndices returns the path of a field without the indices of lists, which an op may have changed.
func withoutIndices(field string) string { return indices.ReplaceAllString(field, "[]") }
