package patch

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxNamed is how many names one warning lists, and how many fields are warned of: the API server cuts all
// the warnings of an answer down when together they are long.
const maxNamed = 3

// warnLost warns of the members of old that an add puts value in the place of.
func (a *application) warnLost(old, value *node) {
	if old == nil || old.kind != '{' || value.kind != '{' {
		return
	}
	var lost []string
	old.each(func(key string, _ *node) {
		if value.get(key) == nil {
			lost = append(lost, key)
		}
	})
	if len(lost) > 0 {
		a.warn(a.number, "drops %s that the Pod had: add single keys to keep the others", named(lost))
	}
}

// warnUnknown warns of the fields that came with the patch and that no Pod has. The decoder names fields,
// too, but not the ops they came with.
func (a *application) warnUnknown() {
	var unknown []misfit
	misfits(a.after, podSchema(), "", 0, func(m misfit) {
		if m.op != 0 && m.problem == "" {
			unknown = append(unknown, m)
		}
	})
	// A field that the Pod had is not of the patch, although an op moved it or wrote it anew.
	had := map[string]bool{}
	misfits(newNode(a.before.raw, 1), podSchema(), "", 0, func(m misfit) { had[anyIndex(m.field)] = true })
	unknown = slices.DeleteFunc(unknown, func(m misfit) bool { return had[anyIndex(m.field)] })

	for i, m := range unknown {
		if i == maxNamed {
			a.warnings = append(a.warnings, fmt.Sprintf("%d more fields are unknown to amp's Kubernetes %s API", len(unknown)-i, apiVersion))
			break
		}
		a.warn(m.op, "%s is unknown to amp's Kubernetes %s API", m.field, apiVersion)
	}
}

var index = regexp.MustCompile(`\[\d+\]`)

// anyIndex is the name of a field wherever in its lists it is: an op may have moved it there.
func anyIndex(field string) string { return index.ReplaceAllString(field, "[]") }

func (a *application) warn(number int, format string, args ...any) {
	a.warnings = append(a.warnings, describe(number, &a.given[number-1])+": "+fmt.Sprintf(format, args...))
}

// named lists the first of the names.
func named(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if i == maxNamed {
			fmt.Fprintf(&b, " and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(shown(name))
	}
	return b.String()
}
