package doctor

import (
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
)

// dryRun is what came of a Pod that was created as a dry run.
type dryRun struct {
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
		ObjectMeta: metav1.ObjectMeta{GenerateName: "amp-doctor-", Labels: matching},
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

// checkCalls tells whether the API server reaches amp, of which only a Pod can tell. What all namespaces would
// say is said once.
func checkCalls(runs []dryRun) []Check {
	c := Check{ID: "calls", Subject: "service", Status: Failed}
	n := 0
	for _, d := range runs {
		if text := d.unanswered(); text != "" {
			if n++; n == 1 {
				c.Message = text
			}
		}
	}
	if n == 0 {
		return nil // the namespaces' dry runs say the rest
	}
	c.Message = fmt.Sprintf("the API server does not reach amp (%s tried so): %s", count(n, "namespace"), c.Message)
	c.Remedy = "let the API server reach the port of amp's Pods (8443): NetworkPolicies in amp's namespace, and the firewall\n" +
		"between control plane and nodes"
	return []Check{c}
}

// checkDryRun judges what became of a Pod that was created as a dry run. Only amp's part in it is a defect:
// that somebody else refuses the Pod says that amp let it pass before, or was not asked.
func checkDryRun(n *namespace, d dryRun) Check {
	if d.unanswered() != "" {
		return n.check("dry-run", Skipped, "not judged: the API server does not reach amp", "")
	}
	var undone, amps, others []string
	for _, w := range d.warnings {
		switch {
		case strings.HasPrefix(w, "amp: not "): // mutated, or validated: under Ignore that is all of a failure
			undone = append(undone, w)
		case strings.Contains(w, namespaces.AnnotationTimeout): // told already
		case strings.HasPrefix(w, "amp: "):
			amps = append(amps, w)
		default:
			others = append(others, w)
		}
	}
	said := func(message string) string {
		if len(others) == 0 {
			return message
		}
		return message + "; warnings: " + strings.Join(others, "; ")
	}
	switch {
	case d.err != nil:
	case len(undone) > 0:
		return n.check("dry-run", Failed, "a Pod went through, but not as its endpoint would have it: "+said(strings.Join(undone, "; ")), lookAtEndpoint)
	case len(amps) > 0:
		return n.check("dry-run", Warning, "a Pod went through, of which amp says: "+said(strings.Join(amps, "; ")), "the endpoint's patch is to be put right")
	default:
		return n.check("dry-run", OK, said("a Pod went through"), "")
	}

	text := d.err.Error()
	denied := strings.Contains(text, "admission webhook ") && byAmp(text)
	var status apierrors.APIStatus
	failure := denied && errors.As(d.err, &status) && status.Status().Code >= 500
	switch {
	case denied && len(n.policy.Creators) > 0 && !n.policy.Creators.Match(d.user):
		return n.check("dry-run", OK, "amp refused "+d.user+"'s Pod, as amp.txn2.com/creators wants it: "+text, "")
	case failure:
		return n.check("dry-run", Failed, said("a Pod is refused: "+text), lookAtEndpoint)
	case denied:
		return n.check("dry-run", Warning, said("the endpoint answers, and refuses a plain Pod: "+text), "it may well be right, if users' Pods are different")
	}
	return n.check("dry-run", Skipped, said("not amp's doing: "+text), "")
}

const lookAtEndpoint = "the endpoint has to answer with a JSON patch, an object with allowed, or 204; its log may say more"
