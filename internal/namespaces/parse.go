// Package namespaces reads the labels and annotations of a Namespace into a [review.Policy]. The Namespaces
// come from a file; package cluster gets them from the API server. It does not decide anything.
//
//	keys.go    the keys, and what looks like one of them
//	parse.go   their values
//	lists.go   the values that are lists
//	file.go    a file of Namespaces
package namespaces

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/txn2/amp/internal/review"
)

// Parse reads the labels and annotations of the Namespace called name. White space around a value does not count. Each
// value that does not parse is named in the policy's Err, with its key and what is allowed; the other values are set. A
// Namespace that has not opted in has an empty policy.
func Parse(name string, nsLabels, annotations map[string]string) *review.Policy {
	p := &review.Policy{Enabled: strings.TrimSpace(nsLabels[LabelEnabled]) == "true"}
	if !p.Enabled {
		return p
	}
	r := reader{labels: nsLabels, annotations: annotations}
	r.bound()
	r.policies(p)
	r.chains(p)
	r.limits(p)
	for _, s := range Strays(nsLabels, annotations) {
		have := nsLabels
		if s.Kind == Annotation {
			have = annotations
		}
		if value, shown := have[s.Key]; !shown || s.holdsURLs() {
			r.errs = append(r.errs, fmt.Sprintf("%s %s: %s", s.Kind, s.Key, s.Text))
		} else {
			r.bad(s.Kind, s.Key, value, s.Text)
		}
	}
	if more := len(r.errs) - maxFaults; more > 0 {
		r.errs = append(r.errs[:maxFaults], fmt.Sprintf("and %d more", more))
	}
	if len(r.errs) > 0 {
		p.Err = fmt.Errorf("namespace %s: %w", name, errors.New(strings.Join(r.errs, "; ")))
	}
	return p
}

// reader reads the values of a Namespace, and gathers what is wrong with them.
type reader struct {
	labels, annotations map[string]string
	errs                []string
}

func (r *reader) label(key string) (string, bool) {
	v, ok := r.labels[key]
	return strings.TrimSpace(v), ok
}

func (r *reader) annotation(key string) (string, bool) {
	v, ok := r.annotations[key]
	return strings.TrimSpace(v), ok
}

// bad notes a value that does not parse. It leaves out a value that may be a URL: a part of it can be a secret.
func (r *reader) bad(kind Kind, key, value, allowed string) {
	if review.MayHoldURL(value) {
		r.errs = append(r.errs, fmt.Sprintf("%s %s: %s", kind, key, allowed))
		return
	}
	r.errs = append(r.errs, fmt.Sprintf("%s %s %q: %s", kind, key, review.Clip(value, 100), allowed))
}

// maxValue is the most bytes of an annotation, of which Kubernetes allows 256 KiB for all together. Log lines and events hold
// the endpoints, and each review looks through the lists.
const maxValue = 16 << 10

// maxFaults is how many bad values an error names. A Namespace may have thousands of keys.
const maxFaults = 16

// bound notes annotations that are too long, and leaves them out.
func (r *reader) bound() {
	all := r.annotations
	for _, key := range knownAnnotations {
		if n := len(all[key]); n > maxValue {
			r.errs = append(r.errs, fmt.Sprintf("annotation %s has %d bytes: allowed are at most %d", key, n, maxValue))
			r.annotations = maps.Clone(r.annotations)
			delete(r.annotations, key)
		}
	}
}

// policies reads what happens to a Pod.
func (r *reader) policies(p *review.Policy) {
	switch v, ok := r.label(LabelFailurePolicy); {
	case !ok:
	case LabelAllows(LabelFailurePolicy, v):
		p.FailurePolicy = review.FailurePolicy(v)
	default:
		p.FailurePolicy = review.Fail // the API server's selectors take any other value for Fail
		r.bad(Label, LabelFailurePolicy, v, "allowed are Fail and Ignore")
	}
	if v, ok := r.label(LabelValidate); ok && !LabelAllows(LabelValidate, v) {
		r.bad(Label, LabelValidate, v, `allowed are "true" and "false"`)
	}
	if v, ok := r.annotation(AnnotationMode); ok {
		if p.Shadow = v == "shadow"; !p.Shadow {
			r.bad(Annotation, AnnotationMode, v, "allowed is shadow")
		}
	}
	if v, ok := r.annotation(AnnotationUnknownFields); ok {
		switch review.FailurePolicy(v) {
		case "Warn":
		case review.Fail:
			p.FailUnknownFields = true
		default:
			r.bad(Annotation, AnnotationUnknownFields, v, "allowed are Warn and Fail")
		}
	}
}

// chains reads the endpoints, and the candidate.
func (r *reader) chains(p *review.Policy) {
	read := func(key string, most int) []review.Endpoint {
		all, err := endpoints(r.annotations[key], most)
		if err != nil {
			r.errs = append(r.errs, fmt.Sprintf("annotation %s: %v", key, err))
		}
		return all
	}
	mutation := AnnotationEndpoint
	if _, ok := r.annotations[mutation]; !ok {
		mutation = AnnotationMutationEndpoint
	}
	p.Mutate = read(mutation, maxEndpoints)
	p.Validate = read(AnnotationValidation, maxEndpoints)
	if candidate := read(AnnotationCandidate, 1); len(candidate) > 0 {
		p.Candidate = &candidate[0]
	}
}

// limits reads which Pods are forwarded, for how long, and what their events tell.
func (r *reader) limits(p *review.Policy) {
	if v, ok := r.annotation(AnnotationPods); ok {
		selector, err := labels.Parse(v)
		if err != nil {
			r.bad(Annotation, AnnotationPods, v, "allowed is a label selector, e.g. component=singleuser-server")
		} else if !selector.Empty() {
			p.Pods = selector
		}
	}
	if v, ok := r.annotation(AnnotationCreators); ok {
		var err error
		if p.Creators, err = creators(v); err != nil {
			r.bad(Annotation, AnnotationCreators, v, err.Error()+"; allowed are usernames separated by white space or commas, * for any characters, in double quotes where a name has such characters")
		}
	}
	if v, ok := r.annotation(AnnotationTimeout); ok {
		if d, err := time.ParseDuration(v); err != nil || d <= 0 {
			r.bad(Annotation, AnnotationTimeout, v, "allowed is a positive Go duration, e.g. 800ms")
		} else {
			p.Timeout = d
		}
	}
	if v, ok := r.annotation(AnnotationEvents); ok {
		if slices.Contains(review.Levels, review.Level(v)) {
			p.Events = review.Level(v)
		} else {
			r.bad(Annotation, AnnotationEvents, v, "allowed are None, Metadata, Patch and Full")
		}
	}
}
