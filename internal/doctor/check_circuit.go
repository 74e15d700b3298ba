package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// checkCircuits judges whether a replica does not call an endpoint of the namespace, because that did not answer of late.
// It is a warning: amp works, and the dry run that follows says since when, and why.
func checkCircuits(s *observed, n *namespace) []Finding {
	var findings []Finding
	var seen []string
	for _, e := range n.called() {
		pods := s.circuits.open[e.Host]
		if len(pods) == 0 || slices.Contains(seen, e.Host) {
			continue
		}
		seen = append(seen, e.Host)
		slices.Sort(pods)
		f := n.finding(Warning, fmt.Sprintf("mend the endpoint: amp tries it again every 5s. This says since when, and why:\nkubectl -n %s logs %s | grep 'circuit opened'", s.fix.namespace, pods[0]),
			"%s: its circuit is open at %d of %s (%s): amp does not call it, because it did not answer of late, and decides its reviews by the failure policy",
			e.Name, len(pods), count(s.circuits.asked, "replica"), strings.Join(pods, ", "))
		f.Subject = e.Name
		findings = append(findings, f)
	}
	return findings
}
