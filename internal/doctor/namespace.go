package doctor

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/review"
)

// namespace is a Namespace that has opted in, or that holds another of amp's keys, or what looks like one.
type namespace struct {
	name                string
	labels, annotations map[string]string
	policy              *review.Policy // as amp reads it
}

// withAmpKeys keeps the Namespaces that hold one of amp's keys, or what looks like one, in the order of their names.
func withAmpKeys(all []metav1.PartialObjectMetadata) []*namespace {
	var some []*namespace
	for _, m := range all {
		if m.DeletionTimestamp != nil || !namespaces.HasKey(m.Labels, m.Annotations) {
			continue
		}
		some = append(some, &namespace{m.Name, m.Labels, m.Annotations, namespaces.Parse(m.Name, m.Labels, m.Annotations)})
	}
	slices.SortFunc(some, func(a, b *namespace) int { return strings.Compare(a.name, b.name) })
	return some
}

// fails reports whether a Pod of the namespace is refused if amp or an endpoint is down.
func (n *namespace) fails() bool {
	return n.labels[namespaces.LabelFailurePolicy] != string(review.Ignore)
}

// validates reports whether the API server calls amp's validating webhook for the namespace's Pods.
func (n *namespace) validates() bool { return n.labels[namespaces.LabelValidate] == "true" }

// called are the endpoints that amp calls.
func (n *namespace) called() []review.Endpoint {
	if n.validates() {
		return slices.Concat(n.policy.Mutate, n.policy.Validate)
	}
	return n.policy.Mutate
}

// finding is one about the namespace.
func (n *namespace) finding(status Status, remedy, format string, args ...any) Finding {
	return Finding{Namespace: n.name, Subject: "namespace/" + n.name, Status: status, Message: fmt.Sprintf(format, args...), Remedy: remedy}
}

// label is the command that sets a label, or removes it (key-).
func (n *namespace) label(assignment string) string {
	return fmt.Sprintf("kubectl label namespace %s --overwrite %s", n.name, assignment)
}

// annotate is the command that sets an annotation, or removes it (key-).
func (n *namespace) annotate(assignment string) string {
	return fmt.Sprintf("kubectl annotate namespace %s --overwrite %s", n.name, Quoted(assignment))
}

// replace says how to put another URL in the place of an endpoint's. The annotation can hold more, other endpoints,
// userinfo and queries, which must neither get lost nor be shown.
func (n *namespace) replace(key string, e review.Endpoint, with string) string {
	if strings.TrimSpace(n.annotations[key]) == e.Name {
		return n.annotate(key + "=" + with)
	}
	return fmt.Sprintf("kubectl edit namespace %s\nin the annotation %s, replace %s by %s", n.name, key, e.Name, with)
}
