package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/review"
)

// dryRun is what came of a Pod that was created as a dry run, and asked amp to explain itself.
type dryRun struct {
	untried  string // why none was created; empty if one was
	err      error
	warnings []string
	user     string // who created it
}

// podLike is a Pod that amp forwards in a namespace with this selector; nil if none could be thought of. It asks
// for nothing that Pod Security's level restricted forbids, and its image is one that the cluster knows.
func podLike(selector labels.Selector, image string) *corev1.Pod {
	matching, ok := labelsFor(selector)
	if !ok {
		return nil
	}
	yes, no := true, false
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "amp-doctor-", Labels: matching, Annotations: map[string]string{review.ExplainAnnotation: "true"}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: &no,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "doctor", Image: image,
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// labelsFor makes up labels that a selector matches.
func labelsFor(s labels.Selector) (labels.Set, bool) {
	set := labels.Set{}
	if s == nil {
		return set, true
	}
	all, _ := s.Requirements()
	for _, r := range all {
		values := slices.Sorted(slices.Values(r.Values().UnsortedList()))
		switch r.Operator() {
		case selection.Equals, selection.DoubleEquals, selection.In:
			set[r.Key()] = values[0]
		case selection.Exists:
			if _, ok := set[r.Key()]; !ok {
				set[r.Key()] = "doctor"
			}
		case selection.GreaterThan, selection.LessThan:
			n, err := strconv.ParseInt(values[0], 10, 64)
			if err != nil {
				return nil, false
			}
			if n++; r.Operator() == selection.LessThan {
				n -= 2
			}
			set[r.Key()] = strconv.FormatInt(n, 10)
		}
	}
	return set, s.Matches(set)
}

// calling is how the API server begins where it could not call a webhook of amp's, or amp did not answer.
const calling = "failed calling webhook "

// byAmp reports whether a text of the API server's is about one of amp's webhooks.
func byAmp(text string) bool { return strings.Contains(text, `.amp.txn2.com"`) }

// unanswered returns what the API server said of a call that amp did not answer.
func (d *dryRun) unanswered() string {
	if d.err != nil && strings.Contains(d.err.Error(), calling) && byAmp(d.err.Error()) {
		return d.err.Error()
	}
	return ""
}

// told is how the review of one operation ended, as amp explains it; empty if it did not.
func (d *dryRun) told(op review.Phase) string {
	for _, w := range d.warnings {
		if e, ok := review.ParseExplanation(w); ok && e.Phase == op {
			return e.Result()
		}
	}
	return ""
}

// unasked reports whether the Pod went through without amp being asked about it, as the failure policy Ignore has it
// where the API server does not reach amp: amp explains itself, or warns of a failure.
func (d *dryRun) unasked(n *namespace) bool {
	silent := func(op review.Phase, failure string) bool {
		return d.told(op) == "" && !slices.ContainsFunc(d.warnings, func(w string) bool { return strings.HasPrefix(w, failure) })
	}
	return d.untried == "" && d.err == nil && (silent(review.Mutate, "amp: not mutated: ") || n.validates() && silent(review.Validate, "amp: not validated: "))
}

// checkCalls tells whether the API server reaches amp, of which only a Pod can tell. What all namespaces would
// say is said once.
func checkCalls(all []*namespace, runs []*dryRun, fix remedies, clientCA bool) []Check {
	said, n := "", 0
	for k, d := range runs {
		if d != nil && (d.unanswered() != "" || d.unasked(all[k])) {
			n++
			said = cmp.Or(said, d.unanswered())
		}
	}
	if n == 0 {
		return nil // the namespaces' dry runs say the rest
	}
	why := cmp.Or(said, "Pods go through as if there were no amp, as the failure policy Ignore has it")
	return []Check{{ID: "calls", Subject: "service", Status: Failed, Remedy: fix.reach(said, clientCA),
		Message: fmt.Sprintf("the API server does not reach amp (%s tried so): %s", count(n, "namespace"), why)}}
}

// checkDryRun judges what became of a Pod that was created as a dry run. Only amp's part in it is a defect:
// that somebody else refuses the Pod says that amp let it pass before, or was not asked.
func checkDryRun(n *namespace, d *dryRun) Check {
	say := func(status Status, remedy, format string, args ...any) Check {
		return n.check("dry-run", status, fmt.Sprintf(format, args...), remedy)
	}
	switch {
	case d.untried != "":
		return say(Skipped, "", "no Pod was tried: %s", d.untried)
	case d.unanswered() != "", d.unasked(n):
		return say(Skipped, "", "not judged: the API server does not reach amp")
	case n.policy.Creators != nil && !n.policy.Creators.Match(d.user):
		return say(Skipped, "kubectl amp doctor --as "+quoted(n.policy.Creators[0]),
			"no endpoint was asked: %s does not name %s", namespaces.AnnotationCreators, cmp.Or(d.user, "whoever you are"))
	}

	var undone, refused, amps, told, others []string
	for _, w := range d.warnings {
		e, isExplained := review.ParseExplanation(w)
		switch {
		case strings.HasPrefix(w, "amp: not "): // mutated, or validated: under Ignore that is all of a failure
			undone = append(undone, w)
		case isExplained && e.Ended == review.EndedFailed:
			undone = append(undone, e.Result())
		case isExplained && e.Ended == review.EndedDenied:
			refused = append(refused, e.Result())
		case isExplained:
			told = append(told, e.Result())
		case strings.Contains(w, namespaces.AnnotationTimeout): // told already
		case strings.HasPrefix(w, "amp: "):
			amps = append(amps, w)
		default:
			others = append(others, w)
		}
	}
	var text string
	var status apierrors.APIStatus
	if d.err != nil {
		text = d.err.Error()
	}
	denied := strings.Contains(text, "admission webhook ") && byAmp(text)
	also := ""
	if len(others) > 0 {
		also = "; warnings: " + strings.Join(others, "; ")
	}
	switch {
	case denied && errors.As(d.err, &status) && status.Status().Code >= 500:
		return say(Failed, lookAtEndpoint(text), "a Pod is refused: %s%s", text, also)
	case denied:
		refused = append(refused, text)
	case len(undone) > 0:
		all := strings.Join(undone, "; ")
		return say(Failed, lookAtEndpoint(all), "a Pod goes through, but not as its endpoint would have it: %s%s", all, also)
	}
	switch {
	case len(refused) > 0:
		return say(Warning, "it may well be right, if users' Pods are different",
			"the endpoint answers, and refuses a plain Pod: %s%s", strings.Join(refused, "; "), also)
	case len(amps) > 0:
		return say(Warning, "the endpoint's patch is to be put right", "amp says of a Pod that goes through: %s%s", strings.Join(amps, "; "), also)
	case d.err != nil && d.told(review.Mutate) == "":
		return say(Skipped, "", "not amp's doing: %s%s", text, also)
	case d.err != nil:
		return say(OK, "", "amp lets a Pod through (%s), which somebody else refuses: %s%s", strings.Join(told, "; "), text, also)
	}
	return say(OK, "", "a Pod went through: %s%s", strings.Join(told, "; "), also)
}

// lookAtEndpoint is what to do about an endpoint of which amp says this.
func lookAtEndpoint(said string) string {
	holds := func(any ...string) bool {
		return slices.ContainsFunc(any, func(s string) bool { return strings.Contains(said, s) })
	}
	switch {
	case holds("no answer within", "no time was left"):
		return "see why it is slow. One that starts only when it is asked (Knative) should keep a Pod (min-scale), or have more time:\n" +
			"AMP_TIMEOUT, and timeoutSeconds of the webhooks"
	case holds("certificate", "TLS"):
		return "see that its certificate is good for that name, and that amp knows who signed it (AMP_ENDPOINT_CA)"
	case holds("connecti", "connected", "looked up"):
		return "see that it runs and listens there, and that no NetworkPolicy keeps amp from it"
	}
	return "the endpoint has to answer with a JSON patch, an object with allowed, or 204; its log may say more"
}
