package doctor

import (
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/txn2/amp/internal/namespaces"
)

// checkDeadlock judges whether an endpoint is served by Pods of a namespace whose Pods wait for it: once they are down,
// they cannot start again. An endpoint whose Pods amp does not forward does not wait.
func checkDeadlock(s *observed, n *namespace) []Finding {
	if !n.fails() || n.policy.Shadow {
		return nil
	}
	var findings []Finding
	for _, e := range n.called() {
		name, _, ok := serviceOf(e.URL.Hostname(), s.destinations.ampNamespace)
		b := s.destinations.services[name]
		if !ok || b == nil || b.service.err != nil || name.Namespace != n.name {
			continue
		}
		var f Finding
		switch waits := slices.ContainsFunc(b.labels.value, n.forwards); {
		case waits:
			f = n.finding(Failed, "move it to a namespace that has not opted in, or\n"+
				n.label(namespaces.LabelFailurePolicy+"=Ignore")+"\n"+
				"or set the label "+namespaces.LabelEnabled+": \"false\" in the template of its Pods",
				"%s is served by Pods of this namespace, which under Fail cannot start while it is down", e.Name)
		case b.labels.err != nil:
			f = n.finding(Skipped, "", "whether the Pods that serve %s wait for it was not checked: %v", e.Name, b.labels.err)
		default:
			continue
		}
		f.Subject = e.Name
		findings = append(findings, f)
	}
	return findings
}

// forwards reports whether amp calls the namespace's endpoints for a Pod with these labels.
func (n *namespace) forwards(of labels.Set) bool {
	return of[namespaces.LabelEnabled] != "false" && (n.policy.Pods == nil || n.policy.Pods.Matches(of))
}
