package doctor

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/txn2/amp/internal/namespaces"
)

// checkNamespaces reports that the Namespaces could not be read. What is in them, the checks below judge.
func checkNamespaces(s *observed) []Finding {
	if s.namespaces.err != nil {
		return []Finding{unread("namespaces", s.namespaces.err)}
	}
	return nil
}

// checkOptIns judges Namespaces that hold keys of amp and have not opted in: amp does nothing there. It finds nothing
// in a Namespace whose label says that this is intended.
func checkOptIns(s *observed) []Finding {
	var findings []Finding
	for _, n := range s.namespaces.value {
		if value := n.labels[namespaces.LabelEnabled]; value != "true" && value != "false" && !n.misspellsOptIn() {
			findings = append(findings, checkOptIn(n))
		}
	}
	return findings
}

func checkOptIn(n *namespace) Finding {
	const key = namespaces.LabelEnabled
	optIn := n.label(key + "=true")
	value, labelled := n.labels[key]
	annotation, annotated := n.annotations[key]
	switch {
	case labelled:
		return n.finding(Warning, optIn, "not opted in: the label %s is %q, and only \"true\" opts in", key, value)
	case annotated && annotation != "false":
		return n.finding(Warning, optIn+"\n"+n.annotate(key+"-"), "not opted in: %s is an annotation and has to be a label", key)
	}
	return n.finding(Warning, optIn, "not opted in: it has keys of amp, but not the label %s", key)
}

// checkKeys judges the labels and annotations as amp reads them. A bad one makes each review fail.
func checkKeys(_ *observed, n *namespace) []Finding {
	if err := n.policy.Err; err != nil {
		return []Finding{n.finding(Failed, "kubectl edit namespace "+n.name, "%s", strings.TrimPrefix(err.Error(), "namespace "+n.name+": "))}
	}
	return []Finding{n.finding(OK, "", "labels and annotations are valid")}
}

// checkSelected judges whether the webhooks select each Namespace that has opted in. They exclude amp's own and
// kube-system. If the webhooks themselves are at fault, the check webhooks says so.
func checkSelected(s *observed) []Finding {
	if len(s.mutating.value) != 1 {
		return nil
	}
	is := s.mutating.value[0]
	want, _ := deployed()
	if faults, _ := compare(is, want, s.fix.namespace); len(faults) > 0 {
		return nil
	}
	var findings []Finding
	for _, n := range s.optedIn() {
		if !slices.ContainsFunc(is.hooks, n.selectedBy) {
			findings = append(findings, n.finding(Failed, n.label(namespaces.LabelEnabled+"-"),
				"opted in, but the webhooks exclude this namespace: the API server does not call amp for its Pods"))
		}
	}
	return findings
}

// selectedBy reports whether a webhook is called for the namespace. The API server accepts no selector with an error.
func (n *namespace) selectedBy(h admissionv1.MutatingWebhook) bool {
	selector, err := metav1.LabelSelectorAsSelector(h.NamespaceSelector)
	return err != nil || selector.Matches(labels.Set(n.labels))
}

// checkValidate judges whether a validation endpoint is called. The label without an endpoint is not a mistake: amp then
// records the final name of each Pod that it changed.
func checkValidate(_ *observed, n *namespace) []Finding {
	const label, endpoint = namespaces.LabelValidate, namespaces.AnnotationValidation
	value, labelled := n.labels[label]
	switch named := len(n.policy.Validate) > 0; {
	case named && n.validates():
		return []Finding{n.finding(OK, "", "Pods are validated")}
	case named && value == "false":
		return []Finding{n.finding(OK, "", "Pods are not validated: the label %s says so", label)}
	case named && !labelled:
		return []Finding{n.finding(Failed, n.label(label+"=true"), "%s names an endpoint that is never called: the label %s is missing", endpoint, label)}
	case named:
		return nil // a bad value, as keys says
	case n.validates() && len(n.policy.Mutate) > 0:
		return []Finding{n.finding(OK, "", "validation only records the final name of each changed Pod: there is no %s", endpoint)}
	case n.validates():
		return []Finding{n.finding(Warning, n.annotate(endpoint+"=http://SERVICE.NAMESPACE.svc/PATH"), "Pods are to be validated, but there is no endpoint to call")}
	}
	return nil
}

// checkEventsLevel judges whether a Namespace's events tell what it asks for.
func checkEventsLevel(s *observed, n *namespace) []Finding {
	const key, variable = namespaces.AnnotationEvents, "AMP_EVENTS_LEVEL"
	asked, limit, doubt := n.policy.Events, s.settings.config.EventsLevel, s.settings.doubt(variable)
	switch {
	case asked != "" && doubt != "":
		return []Finding{n.finding(Skipped, "", "not checked: %s %s", variable, doubt)}
	case asked != "" && limit.Lower(asked) != asked:
		return []Finding{n.finding(Warning, n.annotate(fmt.Sprintf("%s=%s", key, limit)), "%s is %s, but amp's level is %s (%s)", key, asked, limit, variable)}
	}
	return nil
}

// checkTimeout judges whether amp gives a Namespace the time that it asks for.
func checkTimeout(s *observed, n *namespace) []Finding {
	const key, variable = namespaces.AnnotationTimeout, "AMP_TIMEOUT"
	limit, doubt := s.settings.config.Timeout, s.settings.doubt(variable)
	switch {
	case n.policy.Timeout > 0 && doubt != "":
		return []Finding{n.finding(Skipped, "", "not checked: %s %s", variable, doubt)}
	case n.policy.Timeout > limit:
		return []Finding{n.finding(Warning, n.annotate(fmt.Sprintf("%s=%s", key, limit)), "%s is %s, but amp's limit is %s (%s)", key, n.policy.Timeout, limit, variable)}
	}
	return nil
}
