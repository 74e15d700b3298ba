// Package namespaces reads the labels and annotations of a Namespace into a [review.Policy]. The Namespaces
// come from a file; package cluster gets them from the API server. It does not decide anything.
package namespaces

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/txn2/amp/internal/review"
)

// The keys on a Namespace. The API server selects its webhooks by the labels. amp reads the annotations when
// it is called.
const (
	LabelEnabled       = "amp.txn2.com/enabled"
	LabelFailurePolicy = "amp.txn2.com/failure-policy"
	LabelValidate      = "amp.txn2.com/validate"

	AnnotationEndpoint         = "amp.txn2.com/ep"
	AnnotationMutationEndpoint = "mutation.amp.txn2.com/ep" // the name in newer releases of the original amp
	AnnotationValidation       = "validation.amp.txn2.com/ep"
	AnnotationPods             = "amp.txn2.com/pods"
	AnnotationCreators         = "amp.txn2.com/creators"
	AnnotationTimeout          = "amp.txn2.com/timeout"
	AnnotationMode             = "amp.txn2.com/mode"
	AnnotationEvents           = "amp.txn2.com/events"
)

var (
	knownLabels      = []string{LabelEnabled, LabelFailurePolicy, LabelValidate}
	knownAnnotations = []string{
		AnnotationCreators, AnnotationEndpoint, AnnotationEvents, AnnotationMode, AnnotationPods, AnnotationTimeout,
		AnnotationMutationEndpoint, AnnotationValidation,
	}
)

// Parse reads the labels and annotations of the Namespace called name. Each value that does not parse is
// named in the policy's Err, with its key and what is allowed; the other values are set. A Namespace that has
// not opted in has an empty policy.
func Parse(name string, nsLabels, annotations map[string]string) *review.Policy {
	p := &review.Policy{Enabled: nsLabels[LabelEnabled] == "true"}
	if !p.Enabled {
		return p
	}
	var errs []error
	bad := func(kind, key, value, allowed string) {
		errs = append(errs, fmt.Errorf("%s %s %q: %s", kind, key, review.Clip(value, 100), allowed))
	}
	badAnnotation := func(key, value, allowed string) { bad("annotation", key, value, allowed) }

	switch v, ok := nsLabels[LabelFailurePolicy]; {
	case !ok:
	case v == string(review.Fail), v == string(review.Ignore):
		p.FailurePolicy = review.FailurePolicy(v)
	default:
		p.FailurePolicy = review.Fail // the API server's selectors take any other value for Fail
		bad("label", LabelFailurePolicy, v, "allowed are Fail and Ignore")
	}
	if v, ok := nsLabels[LabelValidate]; ok && v != "true" && v != "false" {
		bad("label", LabelValidate, v, `allowed are "true" and "false"`)
	}

	key := AnnotationEndpoint
	if _, ok := annotations[key]; !ok {
		key = AnnotationMutationEndpoint
	}
	p.Mutate = endpoints(key, annotations[key], badAnnotation)
	p.Validate = endpoints(AnnotationValidation, annotations[AnnotationValidation], badAnnotation)

	if v, ok := annotations[AnnotationPods]; ok {
		selector, err := labels.Parse(v)
		if err != nil {
			badAnnotation(AnnotationPods, v, "allowed is a label selector, e.g. component=singleuser-server")
		} else if !selector.Empty() {
			p.Pods = selector
		}
	}
	if v, ok := annotations[AnnotationCreators]; ok {
		if p.Creators = fields(v); len(p.Creators) == 0 {
			badAnnotation(AnnotationCreators, v, "allowed are usernames separated by white space or commas, * for any characters, e.g. system:serviceaccount:jhub:hub")
		}
	}
	if v, ok := annotations[AnnotationTimeout]; ok {
		if d, err := time.ParseDuration(v); err != nil || d <= 0 {
			badAnnotation(AnnotationTimeout, v, "allowed is a positive Go duration, e.g. 800ms")
		} else {
			p.Timeout = d
		}
	}
	if v, ok := annotations[AnnotationMode]; ok {
		if p.Shadow = v == "shadow"; !p.Shadow {
			badAnnotation(AnnotationMode, v, "allowed is shadow")
		}
	}
	if v, ok := annotations[AnnotationEvents]; ok {
		if slices.Contains(review.Levels, review.Level(v)) {
			p.Events = review.Level(v)
		} else {
			badAnnotation(AnnotationEvents, v, "allowed are None, Metadata, Patch and Full")
		}
	}

	errs = append(errs, unknownKeys("label", nsLabels, knownLabels, "annotation", knownAnnotations)...)
	errs = append(errs, unknownKeys("annotation", annotations, knownAnnotations, "label", knownLabels)...)
	if len(errs) > 0 {
		p.Err = fmt.Errorf("namespace %s: %w", name, join(errs))
	}
	return p
}

// join puts several errors into one line.
func join(errs []error) error {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}

// endpoints reads a list of URLs. Its error about a bad URL leaves out the userinfo and the query.
func endpoints(key, list string, bad func(key, value, allowed string)) []review.Endpoint {
	var all []review.Endpoint
	for _, text := range fields(list) {
		u, err := url.Parse(text)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.Opaque != "" {
			bad(key, withoutSecrets(text), "allowed are http and https URLs separated by white space or commas")
			continue
		}
		all = append(all, review.NewEndpoint(u))
	}
	return all
}

// withoutSecrets cuts userinfo, query and fragment out of a text that did not parse as a URL.
func withoutSecrets(text string) string {
	if i := strings.IndexAny(text, "?#"); i >= 0 {
		text = text[:i]
	}
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		scheme, _, ok := strings.Cut(text[:i], "//")
		if !ok {
			return text[i+1:]
		}
		return scheme + "//" + text[i+1:]
	}
	return text
}

// fields splits at white space and commas.
func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' })
}

// unknownKeys returns an error for each key that looks like amp's and is not. Without the error, a misspelt
// key would have no effect, and its author would not see why.
func unknownKeys(kind string, have map[string]string, known []string, otherKind string, otherKnown []string) []error {
	var errs []error
	for key := range have {
		prefix, _, _ := strings.Cut(key, "/")
		if prefix != "amp.txn2.com" && prefix != "mutation.amp.txn2.com" && prefix != "validation.amp.txn2.com" {
			continue
		}
		switch {
		case slices.Contains(known, key):
		case slices.Contains(otherKnown, key):
			errs = append(errs, fmt.Errorf("%s %s %q: set %s as %s", kind, key, review.Clip(withoutSecrets(have[key]), 100), key, article(otherKind)))
		default:
			errs = append(errs, fmt.Errorf("%s %s %q: the key is unknown, known are %s", kind, key, review.Clip(withoutSecrets(have[key]), 100), strings.Join(known, ", ")))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

func article(noun string) string {
	if strings.HasPrefix(noun, "a") {
		return "an " + noun
	}
	return "a " + noun
}
