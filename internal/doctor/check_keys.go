package doctor

import (
	"fmt"
	"strings"

	"github.com/txn2/amp/internal/namespaces"
)

// checkMisspelt judges the keys of Namespaces that look like amp's and are not. Where a Namespace has opted in, amp
// itself names those under its domain: then the check keys does, too. Of a Namespace that has not opted in, amp sees
// nothing, and nothing but the doctor names them. Nor does amp see a key whose domain is misspelt.
func checkMisspelt(s *observed) []Finding {
	var findings []Finding
	for _, n := range s.namespaces.value {
		for _, stray := range n.strays() {
			findings = append(findings, n.finding(Warning, n.respell(stray), "%s %s: %s", stray.Kind, stray.Key, stray.Text))
		}
	}
	return findings
}

// strays are the keys of the namespace that no other check names.
func (n *namespace) strays() []namespaces.Stray {
	all := namespaces.ForeignStrays(n.labels, n.annotations)
	if n.policy.Enabled {
		return all
	}
	for _, stray := range namespaces.Strays(n.labels, n.annotations) {
		if stray.Key != namespaces.LabelEnabled { // of an annotation of that name, opt-in tells
			all = append(all, stray)
		}
	}
	return all
}

// misspellsOptIn reports whether the namespace has a label or an annotation that is meant as the label that opts in.
func (n *namespace) misspellsOptIn() bool {
	for _, stray := range n.strays() {
		if stray.Nearest == namespaces.LabelEnabled {
			return true
		}
	}
	return false
}

// respell is how to write a key as it is meant. The value of an annotation may hold a URL with a password, which no
// command shows: then the user writes it again.
func (n *namespace) respell(stray namespaces.Stray) string {
	assign := func(kind namespaces.Kind, assignment string) string {
		if kind == namespaces.Label {
			return n.label(assignment)
		}
		return n.annotate(assignment)
	}
	removal := assign(stray.Kind, stray.Key+"-")
	if stray.Nearest == "" {
		return removal
	}
	set := assign(namespaces.Annotation, stray.Nearest+"=VALUE")
	if stray.NearestKind == namespaces.Label {
		value := "VALUE"
		if is := strings.TrimSpace(n.valueOf(stray)); namespaces.LabelAllows(stray.Nearest, is) {
			value = is
		}
		set = assign(namespaces.Label, fmt.Sprintf("%s=%s", stray.Nearest, value))
	}
	return set + "\n" + removal
}

func (n *namespace) valueOf(stray namespaces.Stray) string {
	if stray.Kind == namespaces.Label {
		return n.labels[stray.Key]
	}
	return n.annotations[stray.Key]
}
