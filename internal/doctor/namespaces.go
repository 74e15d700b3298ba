package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/review"
)

// namespace is one that has opted in, or looks as if it was meant to.
type namespace struct {
	name                string
	labels, annotations map[string]string
	policy              *review.Policy // as amp reads it
}

// concerned keeps the Namespaces that hold one of amp's keys, in the order of their names.
func concerned(all []metav1.PartialObjectMetadata) []namespace {
	var some []namespace
	for _, m := range all {
		if m.DeletionTimestamp != nil || !hasKey(m.Labels) && !hasKey(m.Annotations) {
			continue
		}
		some = append(some, namespace{m.Name, m.Labels, m.Annotations, namespaces.Parse(m.Name, m.Labels, m.Annotations)})
	}
	slices.SortFunc(some, func(a, b namespace) int { return strings.Compare(a.name, b.name) })
	return some
}

func hasKey(of map[string]string) bool {
	for key := range of {
		if domain, _, _ := strings.Cut(key, "/"); domain == "amp.txn2.com" || domain == "mutation.amp.txn2.com" || domain == "validation.amp.txn2.com" {
			return true
		}
	}
	return false
}

// fails reports whether the API server refuses the namespace's Pods while amp is down, or amp while an
// endpoint is.
func (n *namespace) fails() bool {
	return n.labels[namespaces.LabelFailurePolicy] != string(review.Ignore)
}

func (n *namespace) check(id string, status Status, message, remedy string) Check {
	return Check{ID: id, Namespace: n.name, Subject: "namespace/" + n.name, Status: status, Message: message, Remedy: remedy}
}

func (n *namespace) label(assignment string) string {
	return fmt.Sprintf("kubectl label namespace %s --overwrite %s", n.name, assignment)
}

func (n *namespace) annotate(assignment string) string {
	return fmt.Sprintf("kubectl annotate namespace %s --overwrite %s", n.name, quoted(assignment))
}

// asked are the endpoints that amp asks, whatever they have been named for.
func (n *namespace) asked() []review.Endpoint {
	if n.validates() {
		return slices.Concat(n.policy.Mutate, n.policy.Validate)
	}
	return n.policy.Mutate
}

// validates reports whether the API server has amp review the namespace's Pods as they stand after all mutations.
func (n *namespace) validates() bool { return n.labels[namespaces.LabelValidate] == "true" }

// replace says how another URL comes into the place of an endpoint's. What the annotation holds besides, other
// endpoints, userinfo and queries, is not to be lost and not to be shown.
func (n *namespace) replace(key string, e review.Endpoint, with string) string {
	if strings.TrimSpace(n.annotations[key]) == e.Name {
		return n.annotate(key + "=" + with)
	}
	return fmt.Sprintf("kubectl edit namespace %s\nin the annotation %s: %s in the place of %s", n.name, key, with, e.Name)
}

// checkOptIn tells of a Namespace that holds keys of amp's and has not opted in: amp does nothing there. It
// returns nothing about one that said so itself.
func checkOptIn(n *namespace) []Check {
	const key = namespaces.LabelEnabled
	value, labelled := n.labels[key]
	remedy := n.label(key + "=true")
	switch annotation, ok := n.annotations[key]; {
	case value == "true", value == "false":
		return nil
	case labelled:
		return []Check{n.check("opt-in", Warning, fmt.Sprintf("not opted in: the label %s is %q, and only \"true\" opts in", key, value), remedy)}
	case ok && annotation != "false":
		return []Check{n.check("opt-in", Warning, "not opted in: "+key+" is an annotation and has to be a label", remedy+"\n"+n.annotate(key+"-"))}
	}
	return []Check{n.check("opt-in", Warning, "not opted in: it has keys of amp's, but not the label "+key, remedy)}
}

// checkKeys tells what amp would say of the Namespace's labels and annotations: as long as they are bad each
// review is a failed one.
func checkKeys(n *namespace) Check {
	if err := n.policy.Err; err != nil {
		return n.check("keys", Failed, strings.TrimPrefix(err.Error(), "namespace "+n.name+": "), "kubectl edit namespace "+n.name)
	}
	return n.check("keys", OK, "labels and annotations are good", "")
}

// checkSelected tells of a Namespace that opted in but that no webhook selects, as amp's own and kube-system.
func checkSelected(n *namespace, mutating configuration) []Check {
	for _, h := range mutating.hooks {
		selector, err := metav1.LabelSelectorAsSelector(h.NamespaceSelector)
		if err != nil || selector.Matches(labels.Set(n.labels)) {
			return nil
		}
	}
	return []Check{n.check("selected", Failed, "opted in, but the webhooks leave this namespace out: amp never sees its Pods",
		n.label(namespaces.LabelEnabled+"-"))}
}

// checkEndpoints tells of a Namespace that opted in without saying what for.
func checkEndpoints(n *namespace) []Check {
	if len(n.policy.Mutate)+len(n.policy.Validate) > 0 || n.policy.Err != nil {
		return nil
	}
	return []Check{n.check("endpoint", Warning, "opted in without an endpoint: its Pods are created unchanged",
		n.annotate(namespaces.AnnotationEndpoint+"=http://SERVICE.NAMESPACE.svc/PATH"))}
}

// checkValidate tells of a validation endpoint that is never asked. The label without an endpoint is no
// mistake: it has amp record the final name of each Pod that it changed.
func checkValidate(n *namespace) []Check {
	value, labelled := n.labels[namespaces.LabelValidate]
	switch {
	case len(n.policy.Validate) > 0 && value == "false":
		return []Check{n.check("validate", OK, "Pods are not validated: the label "+namespaces.LabelValidate+" says so", "")}
	case len(n.policy.Validate) > 0 && !labelled:
		return []Check{n.check("validate", Failed, fmt.Sprintf("%s names an endpoint that is never asked: the label %s is missing",
			namespaces.AnnotationValidation, namespaces.LabelValidate), n.label(namespaces.LabelValidate+"=true"))}
	case len(n.policy.Validate) > 0 && !n.validates():
		return nil // a bad value, as keys says
	case len(n.policy.Validate) > 0:
		return []Check{n.check("validate", OK, "Pods are validated", "")}
	case n.validates() && len(n.policy.Mutate) > 0:
		return []Check{n.check("validate", OK, "validates only to record each changed Pod's final name: there is no "+namespaces.AnnotationValidation, "")}
	case n.validates():
		return []Check{n.check("validate", Warning, "Pods are to be validated, but no endpoint is there to ask",
			n.annotate(namespaces.AnnotationValidation+"=http://SERVICE.NAMESPACE.svc/PATH"))}
	}
	return nil
}

// checkTimeout tells of a Namespace that wants more time than amp gives.
func checkTimeout(n *namespace, limit time.Duration) []Check {
	if n.policy.Timeout <= limit {
		return nil
	}
	return []Check{n.check("timeout", Warning, fmt.Sprintf("%s is %s, of which amp gives %s (AMP_TIMEOUT)", namespaces.AnnotationTimeout, n.policy.Timeout, limit),
		n.annotate(fmt.Sprintf("%s=%s", namespaces.AnnotationTimeout, limit)))}
}
