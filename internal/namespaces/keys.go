package namespaces

import (
	"maps"
	"slices"
	"strings"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/spelling"
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
	AnnotationUnknownFields    = "amp.txn2.com/unknown-fields"
	AnnotationCandidate        = "amp.txn2.com/candidate"
)

var (
	knownLabels      = []string{LabelEnabled, LabelFailurePolicy, LabelValidate}
	knownAnnotations = []string{
		AnnotationCandidate, AnnotationCreators, AnnotationEndpoint, AnnotationEvents, AnnotationMode, AnnotationPods,
		AnnotationTimeout, AnnotationUnknownFields, AnnotationMutationEndpoint, AnnotationValidation,
	}
	// ofPods are keys that amp knows on a Pod, and that mean nothing on a Namespace.
	ofPods = []string{review.StampAnnotation, review.ExplainAnnotation}
	// domains are those of amp's keys.
	domains = []string{"amp.txn2.com", "mutation.amp.txn2.com", "validation.amp.txn2.com"}
	// meant are names that are spelled unlike the key that they mean.
	meant = map[string]string{"": "ep", "endpoint": "ep", "endpoints": "ep", "url": "ep", "urls": "ep"}
)

// Kind is where a Namespace has a key.
type Kind string

// The kinds of keys.
const (
	Label      Kind = "label"
	Annotation Kind = "annotation"
)

func (k Kind) withArticle() string {
	if k == Annotation {
		return "an annotation"
	}
	return "a label"
}

// Stray is a key on a Namespace that looks like one of amp's and has no effect.
type Stray struct {
	Kind Kind
	Key  string
	// Nearest is the key that is probably meant, and NearestKind where it belongs; empty if the key belongs on a Pod.
	Nearest     string
	NearestKind Kind
	// Text says what is wrong. It does not hold the value, which may be a URL.
	Text string
}

// Strays returns the keys under amp's domains that a Namespace cannot have there: unknown ones, and those of the
// other kind. Without them, a misspelt key would have no effect, and its author would not see why.
func Strays(nsLabels, annotations map[string]string) []Stray {
	return slices.Concat(strays(Label, nsLabels, knownLabels, false), strays(Annotation, annotations, knownAnnotations, false))
}

// ForeignStrays returns the keys of a Namespace that are amp's but for a slip in their domain (amp.tnx2.com/ep). amp
// itself ignores them: they are not under its domain.
func ForeignStrays(nsLabels, annotations map[string]string) []Stray {
	return slices.Concat(strays(Label, nsLabels, knownLabels, true), strays(Annotation, annotations, knownAnnotations, true))
}

func strays(kind Kind, have map[string]string, known []string, foreign bool) []Stray {
	var all []Stray
	for _, key := range slices.Sorted(maps.Keys(have)) {
		if slices.Contains(known, key) {
			continue
		}
		domain, name, _ := strings.Cut(key, "/")
		s := Stray{Kind: kind, Key: key}
		if review.MayHoldURL(key) { // the API server has no such key, but a file may
			s.Key = domain + "/…"
		}
		switch own := slices.Contains(domains, domain); {
		case own == foreign:
			continue
		case foreign:
			if !s.meansDomain(domain, name) {
				continue
			}
		case slices.Contains(ofPods, key):
			s.Text = "it belongs on a Pod, not on a Namespace"
		case slices.Contains(knownLabels, key):
			s.Nearest, s.NearestKind, s.Text = key, Label, "set it as "+Label.withArticle()
		case slices.Contains(knownAnnotations, key):
			s.Nearest, s.NearestKind, s.Text = key, Annotation, "set it as "+Annotation.withArticle()
		default:
			s.unknown(domain, name, known)
		}
		all = append(all, s)
	}
	return all
}

// unknown finds the key that an unknown key of one of amp's domains is nearest to.
func (s *Stray) unknown(domain, name string, known []string) {
	var candidates []string
	for _, key := range slices.Concat(knownLabels, knownAnnotations) {
		if of, known, _ := strings.Cut(key, "/"); of == domain {
			candidates = append(candidates, known)
		}
	}
	nearest, near := meant[strings.ToLower(name)], true
	if nearest == "" {
		nearest, near = spelling.Closest(name, candidates)
	}
	s.nearest(domain + "/" + nearest)
	s.Text = "the key is unknown; the nearest known is the " + string(s.NearestKind) + " " + s.Nearest
	if !near && len(candidates) > 1 {
		s.Text += " (known " + string(s.Kind) + "s are " + strings.Join(known, ", ") + ")"
	}
}

// meansDomain reports whether a key of another domain is probably one of amp's, and then says which.
func (s *Stray) meansDomain(domain, name string) bool {
	known := func(key string) bool {
		return slices.Contains(knownLabels, key) || slices.Contains(knownAnnotations, key)
	}
	if !slices.ContainsFunc(domains, func(d string) bool { return known(d + "/" + name) }) {
		return false // most keys of a Namespace, without a comparison
	}
	nearest, near := spelling.Closest(domain, domains)
	if !near || !known(nearest+"/"+name) || strings.HasSuffix(domain, "."+nearest) {
		return false
	}
	s.nearest(nearest + "/" + name)
	s.Text = "the domain is unknown; the nearest known key is the " + string(s.NearestKind) + " " + s.Nearest
	return true
}

// holdsURLs reports whether the key is probably meant as one whose value is URLs.
func (s *Stray) holdsURLs() bool {
	return slices.Contains([]string{AnnotationEndpoint, AnnotationMutationEndpoint, AnnotationValidation, AnnotationCandidate}, s.Nearest)
}

func (s *Stray) nearest(key string) {
	s.Nearest, s.NearestKind = key, Annotation
	if slices.Contains(knownLabels, key) {
		s.NearestKind = Label
	}
}

// HasKey reports whether a Namespace has a key of amp's, or one that is amp's but for a slip in its domain.
func HasKey(nsLabels, annotations map[string]string) bool {
	for _, have := range []map[string]string{nsLabels, annotations} {
		for key := range have {
			if domain, _, _ := strings.Cut(key, "/"); slices.Contains(domains, domain) {
				return true
			}
		}
	}
	return len(ForeignStrays(nsLabels, annotations)) > 0
}

// LabelAllows reports whether a value is one that amp allows for a label.
func LabelAllows(key, value string) bool {
	if key == LabelFailurePolicy {
		return value == string(review.Fail) || value == string(review.Ignore)
	}
	return value == "true" || value == "false"
}
