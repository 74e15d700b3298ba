package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/review"
)

// checkCalls judges whether the API server reaches amp, which only a Pod shows. All namespaces fail for the same reason,
// so there is one finding.
func checkCalls(s *observed) []Finding {
	said, failed := "", 0
	for _, n := range s.optedIn() {
		if d := s.dryRuns.of[n.name]; d != nil && d.missesAMP(n) {
			said, failed = cmp.Or(said, d.callFailure()), failed+1
		}
	}
	if failed == 0 {
		return nil // the findings of dry-run tell more
	}
	why := cmp.Or(said, "Pods are admitted without it, because the failure policy is Ignore")
	return []Finding{{Subject: "service", Status: Failed, Remedy: s.fix.reach(said, s.settings.config.TLSClientCA != ""),
		Message: fmt.Sprintf("the API server does not reach amp (tried in %s): %s", count(failed, "namespace"), why)}}
}

// checkDryRuns judges what came of the Pods that were tried.
func checkDryRuns(s *observed) []Finding {
	if why := s.dryRuns.untried; why != "" {
		remedy := ""
		if why == noneOptedIn {
			remedy = "kubectl annotate namespace NAMESPACE " + namespaces.AnnotationEndpoint + "=URL\n" +
				"kubectl label namespace NAMESPACE " + namespaces.LabelEnabled + "=true"
		}
		return []Finding{{Subject: "namespaces", Status: Skipped, Remedy: remedy, Message: "no Pod was tried in any namespace: " + why}}
	}
	var findings []Finding
	for _, n := range s.optedIn() {
		if d := s.dryRuns.of[n.name]; d != nil {
			findings = append(findings, judgeDryRun(n, d, s.dryRuns.user))
		}
	}
	return findings
}

// refusal is amp's own refusal, empty if amp did not refuse the Pod, or if the API server told of another webhook's refusal
// only: it asks all validating webhooks at the same time, and tells of one.
func (d *dryRun) refusal() string { return d.errorOfAMP("admission webhook ") }

// callFailure is what the API server says of a call that amp did not answer, empty if there was none.
func (d *dryRun) callFailure() string { return d.errorOfAMP("failed calling webhook ") }

// errorOfAMP is the API server's error, if it has these words and is about one of amp's webhooks. Else it is empty.
func (d *dryRun) errorOfAMP(words string) string {
	if d.err == nil {
		return ""
	}
	if text := d.err.Error(); strings.Contains(text, words) && strings.Contains(text, `.amp.txn2.com"`) {
		return text
	}
	return ""
}

// missesAMP reports whether the API server did not reach amp. Under Fail it says so. Under Ignore it admits the Pod
// without a word, but where amp answers, it explains itself or warns of a failure.
func (d *dryRun) missesAMP(n *namespace) bool {
	if d.untried != "" || d.err != nil {
		return d.callFailure() != ""
	}
	return d.answers().silent(n) && !d.full()
}

// full reports whether the API server may have dropped warnings, as there are so many.
func (d *dryRun) full() bool {
	characters := 0
	for _, w := range d.warnings {
		characters += utf8.RuneCountInString(w)
	}
	return characters >= review.AllWarnings
}

// answers are the warnings of a dry run and amp's refusal, by what they mean.
type answers struct {
	phases    map[review.Phase]bool // that amp answered
	refusal   string                // amp's own
	denies    bool                  // the refusal is an endpoint's denial
	failed    []string              // beside the refusal
	denied    []string              // beside the refusal
	admitted  []string
	leftAlone []review.Phase
	amps      []string // other warnings of amp
	others    []string // warnings that are not amp's
}

func (d *dryRun) answers() *answers {
	a := &answers{phases: map[review.Phase]bool{}, refusal: d.refusal()}
	var explanations []review.Explanation
	failedOpen := map[review.Phase]bool{}
	for _, w := range d.warnings {
		e, explains := review.ParseExplanation(w)
		phase, failed := review.FailedOpen(w)
		switch {
		case explains:
			a.phases[e.Phase], explanations = true, append(explanations, e)
		case failed:
			a.phases[phase], failedOpen[phase], a.failed = true, true, append(a.failed, w)
		case strings.Contains(w, namespaces.AnnotationTimeout), strings.Contains(w, namespaces.AnnotationEvents): // as timeout and events-level say
		case strings.HasPrefix(w, "amp: "):
			a.amps = append(a.amps, w)
		default:
			a.others = append(a.others, w)
		}
	}
	for _, e := range explanations {
		a.add(e, failedOpen[e.Phase])
	}
	return a
}

// add puts an explanation where it belongs. Where a review failed open, or amp refused the Pod, the text of that says more.
func (a *answers) add(e review.Explanation, failedOpen bool) {
	why, refused := e.Text, a.refusal != "" && !e.Shadow
	if e.Shadow {
		why = e.Result()
	}
	switch {
	case e.Ended == review.EndedLeftAlone:
		a.leftAlone = append(a.leftAlone, e.Phase)
	case e.Ended == review.EndedFailed && (refused || failedOpen):
	case e.Ended == review.EndedFailed:
		a.failed = append(a.failed, why)
	case e.Ended == review.EndedDenied && refused:
		a.denies = true
	case e.Ended == review.EndedDenied:
		a.denied = append(a.denied, why)
	default:
		a.admitted = append(a.admitted, e.Result())
	}
}

// silent reports whether amp said nothing in a phase in which the API server is to ask it.
func (a *answers) silent(n *namespace) bool {
	return !a.phases[review.Mutate] || n.validates() && !a.phases[review.Validate]
}

// passedBy are the phases in which amp left the Pod alone, although the namespace has an endpoint for them.
func (a *answers) passedBy(n *namespace) (phases []string) {
	for _, phase := range a.leftAlone {
		if len(n.policy.Endpoints(phase)) > 0 {
			phases = append(phases, string(phase))
		}
	}
	return phases
}

// judgeDryRun judges what came of one Pod. Only what amp did can be a fault. If something else refuses the Pod, amp let
// it pass before or was not called yet.
func judgeDryRun(n *namespace, d *dryRun, user seen[string]) Finding {
	creators := n.policy.Creators
	switch {
	case d.untried != "":
		return n.finding(Skipped, "", "no Pod was tried: %s", d.untried)
	case d.missesAMP(n):
		return n.finding(Skipped, "", "not checked: the API server does not reach amp")
	case creators != nil && user.err == nil && !creators.Match(user.value):
		return n.finding(Skipped, "kubectl amp doctor --as "+Quoted(creators[0]), "no endpoint was called: %s does not name %s", namespaces.AnnotationCreators, cmp.Or(user.value, "you"))
	}
	a, also := d.answers(), ""
	if len(a.others) > 0 {
		also = "; warnings: " + strings.Join(a.others, "; ")
	}
	if creators != nil && user.err != nil {
		also += "; whether " + namespaces.AnnotationCreators + " names you is unknown: " + user.err.Error()
	}
	list := func(texts []string) string { return strings.Join(texts, "; ") }
	refused := "" // by another than amp
	var status apierrors.APIStatus
	switch {
	case a.refusal != "" && !a.denies && errors.As(d.err, &status) && status.Status().Code >= 500:
		return n.finding(Failed, endpointRemedy(a.refusal), "a Pod is refused: %s%s", a.refusal, also)
	case a.refusal != "":
		a.denied = append(a.denied, a.refusal)
	case d.err != nil:
		refused = "; and another step of the API server refuses it: " + d.err.Error()
	}
	admitted := cmp.Or(list(a.admitted), review.EndedLeftAlone)
	switch passedBy := a.passedBy(n); {
	case len(a.failed) > 0:
		what, denied := "a Pod is admitted although its review failed", ""
		if d.err != nil {
			what = "a Pod's review failed"
		}
		if len(a.denied) > 0 {
			denied = "; and an endpoint denies the Pod: " + list(a.denied)
		}
		return n.finding(Failed, endpointRemedy(list(a.failed)), "%s: %s%s%s", what, list(a.failed), denied, refused+also)
	case len(a.denied) > 0:
		return n.finding(Warning, "nothing, if the endpoint is to deny a Pod without labels and settings of its own", "the endpoint answers, and denies a plain Pod: %s%s", list(a.denied), refused+also)
	case len(a.amps) > 0:
		return n.finding(Warning, "correct the endpoint's patch", "amp admits a Pod with a warning: %s%s", list(a.amps), refused+also)
	case refused != "" && !a.phases[review.Mutate]:
		return n.finding(Skipped, "", "not checked: the Pod is refused, but not by amp: %s%s", d.err, also)
	case refused != "" && a.silent(n):
		return n.finding(Skipped, "", "not checked whether amp validates: amp mutates the Pod (%s)%s", admitted, refused+also)
	case a.silent(n):
		return n.finding(Skipped, "", "not checked: of so many warnings the API server passes on only some, and not all of amp's%s", also)
	case len(passedBy) > 0:
		return n.finding(Warning, "find out what changes a Pod before amp sees it: the doctor made one that "+namespaces.AnnotationPods+" selects",
			"amp left a Pod alone (%s): it called no endpoint there%s", list(passedBy), refused+also)
	case refused != "":
		f := n.finding(OK, "", "amp admits a Pod (%s)%s", admitted, refused+also)
		f.shown = true
		return f
	}
	return n.finding(OK, "", "a Pod was admitted: %s%s", admitted, also)
}

// endpointRemedies are what to do about an endpoint, by a word of the cause that amp names. The last one matches any.
var endpointRemedies = []struct {
	words  []string
	remedy string
}{
	{[]string{"no answer within", "no answer in time", "not complete", "no time was left"}, "find out why it is slow. If it starts only when it is called (Knative), keep a Pod of it running (min-scale), or give it more time:\n" +
		"AMP_TIMEOUT, and timeoutSeconds of the webhooks (in an overlay; the chart has no value for it)"},
	{[]string{"no such host"}, "correct the host in the endpoint's URL, or create what it names: amp looked it up in the cluster's DNS, which has no such name"},
	{[]string{"looked up"}, "mend the cluster's DNS, or let amp ask it: a NetworkPolicy of amp's namespace must allow port 53. DNS mostly is the Deployment coredns:\n" +
		"kubectl -n kube-system get deployments,pods"},
	{[]string{"certificate", "TLS"}, "check that its certificate is valid for that name, and that amp trusts the CA that signed it (AMP_ENDPOINT_CA)"},
	{[]string{"connecti", "connected"}, "check that it runs and listens there, if it is a Service at its targetPort, and that no NetworkPolicy keeps amp from it"},
	{[]string{""}, "the endpoint must answer with a JSON patch, an object with allowed, or 204; its log may say more"},
}

// circuitOpen is part of what amp says of an endpoint that it did not call. The cause follows, in the words of the failure.
const circuitOpen = "its circuit is open since"

func endpointRemedy(cause string) string {
	if _, why, open := strings.Cut(cause, circuitOpen); open {
		return "the endpoint is the problem, not amp: the message says since when, and why. amp calls it again within 5s after it answers.\n" + endpointRemedy(why)
	}
	for _, r := range endpointRemedies {
		if slices.ContainsFunc(r.words, func(word string) bool { return strings.Contains(cause, word) }) {
			return r.remedy
		}
	}
	return ""
}
