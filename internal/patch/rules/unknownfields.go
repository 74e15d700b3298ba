package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

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
	if c.Before.Values() < maxWalked {
		mismatches(c.Before.MovedBy(1), func(m mismatch) { had[withoutIndices(m.field)] = true })
	}
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

// maxWalked is how many values a Pod may have that unknownFields goes through as a whole. Those of an API server have no
// unknown fields, unless it is newer than amp.
const maxWalked = 200_000

// withoutIndices returns the path of a field without the indices of lists, which an op may have changed.
func withoutIndices(field string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(field, "[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte('[')
		if field = strings.TrimLeft(after, "0123456789"); !strings.HasPrefix(field, "]") {
			field = after
		}
	}
}
