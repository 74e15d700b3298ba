package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// checkAccess judges whether amp's ServiceAccount has the rights that amp needs.
func checkAccess(s *observed) []Finding {
	account := s.account()
	f := Finding{Subject: "serviceaccount/" + account, Status: OK}
	switch {
	case account == "" && s.deployments.err != nil:
		return []Finding{unread(f.Subject, s.deployments.err)}
	case account == "":
		f.Status, f.Message = Skipped, "not checked: without a Deployment, amp's ServiceAccount is unknown"
		return []Finding{f}
	case s.accountMissing:
		// Its rights would be right: they are of its name.
		f.Status, f.Message = Failed, fmt.Sprintf("there is no ServiceAccount %s in namespace %s: no Pod of amp can be created", account, s.fix.namespace)
		f.Remedy = s.fix.apply() + s.fix.retry()
		return []Finding{f}
	}
	var lacking, reasons []string // each once
	var unasked error
	verbs := map[string][]string{}
	for _, a := range s.access {
		switch {
		case a.err != nil:
			unasked = a.err
			continue
		case a.allowed:
			continue
		}
		what := strings.TrimSpace(a.Resource + " " + a.Name)
		if verbs[what] == nil {
			lacking = append(lacking, what)
		}
		verbs[what] = append(verbs[what], a.Verb)
		if a.reason != "" && !slices.Contains(reasons, a.reason) {
			reasons = append(reasons, a.reason)
		}
	}
	switch {
	case len(lacking) > 0:
		for i, what := range lacking {
			lacking[i] = strings.Join(verbs[what], ", ") + " " + what
		}
		f.Status, f.Remedy = Failed, s.fix.apply()
		if set, names := s.wanted.config, defaults(); set.TLSSecret != names.TLSSecret || !slices.Equal(set.Webhooks, names.Webhooks) {
			f.Remedy = s.fix.otherNames()
		}
		f.Message = fmt.Sprintf("ServiceAccount %s may not %s", account, strings.Join(lacking, "; "))
		if len(reasons) > 0 {
			f.Message += " (" + strings.Join(reasons, "; ") + ")"
		}
		if unasked != nil {
			f.Message += "; other rights could not be checked: " + unasked.Error()
		}
	case unasked != nil:
		return []Finding{unread(f.Subject, unasked)}
	case s.fix.tls == "":
		f.Message = fmt.Sprintf("ServiceAccount %s may read Namespaces; what else it needs is unknown, because AMP_TLS cannot be seen", account)
	default:
		f.Message = fmt.Sprintf("ServiceAccount %s has the rights that amp needs with AMP_TLS=%s", account, s.fix.tls)
	}
	return []Finding{f}
}
