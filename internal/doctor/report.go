package doctor

import (
	"cmp"
	"slices"
)

// Status is how a check ended.
type Status string

// The statuses.
const (
	OK      Status = "ok"
	Warning Status = "warning" // worth knowing, but amp works
	Failed  Status = "failed"
	Skipped Status = "skipped" // could not be checked, or would only repeat another failure
)

// Finding is what a check found. Scripts read its fields: they do not change.
type Finding struct {
	ID        string `json:"id"`                  // of the check
	Namespace string `json:"namespace,omitempty"` // that has opted in; empty: the finding is about the installation
	Subject   string `json:"subject"`             // what was checked: kind/name, or an endpoint's URL
	Status    Status `json:"status"`
	Message   string `json:"message"`
	// Remedy is what to do, one command or thing a line. It is empty if there is nothing to do.
	Remedy string `json:"remedy,omitempty"`
	// shown says that the text for people has the message although all is well.
	shown bool
}

// Report is what the doctor found.
type Report struct {
	Version    string    `json:"version"`    // of this program: what it compares with is what this version deploys
	Kubernetes string    `json:"kubernetes"` // version of the API server
	Namespace  string    `json:"namespace"`  // amp's own
	Checks     []Finding `json:"checks"`
	Summary    Summary   `json:"summary"`
}

// Summary counts the findings of each status.
type Summary struct {
	OK      int `json:"ok"`
	Warning int `json:"warning"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

// newReport sorts findings by namespace: first those of the installation, then the namespaces that have opted in, then
// the others. Within a namespace they stay in their order.
func newReport(version string, s *observed, findings []Finding) *Report {
	place := map[string]int{"": 0}
	for _, n := range slices.Concat(s.optedIn(), s.namespaces.value) {
		if _, ok := place[n.name]; !ok {
			place[n.name] = len(place)
		}
	}
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(place[a.Namespace], place[b.Namespace]) })
	r := &Report{Version: version, Kubernetes: s.kubernetes, Namespace: s.fix.namespace, Checks: findings}
	counts := map[Status]*int{OK: &r.Summary.OK, Warning: &r.Summary.Warning, Failed: &r.Summary.Failed, Skipped: &r.Summary.Skipped}
	for _, f := range findings {
		*counts[f.Status]++
	}
	return r
}
