package doctor

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/txn2/amp/internal/review"
)

// checkWebhooks compares the configurations that hold amp's webhooks with those in deploy/. What is missing or different
// fails. What is there in addition only keeps Pods away from amp, which can be intended: a warning. Other checks judge
// who is called and with which CA; the path belongs to this one, because it tells amp the failure policy.
func checkWebhooks(s *observed) []Finding {
	m, v := deployed()
	return []Finding{s.checkConfigurations(s.mutating, m), s.checkConfigurations(s.validating, v)}
}

// checkConfigurations is checkWebhooks for one kind.
func (s *observed) checkConfigurations(found seen[[]configuration], want configuration) Finding {
	fix := s.fix
	finding := func(c configuration, status Status, message, remedy string) Finding {
		return Finding{Subject: c.subject(), Status: status, Message: message, Remedy: remedy}
	}
	switch {
	case found.err != nil:
		return unread(want.subject(), found.err)
	case len(found.value) == 0:
		return finding(want, Failed, want.kind+" "+want.name+" is missing: no Pod reaches amp through it", fix.apply())
	case len(found.value) > 1:
		message, remedy := s.several(found.value)
		return finding(want, Failed, message, remedy)
	}
	is := found.value[0]
	faults, additions := compare(is, want, fix.namespace)
	switch text := strings.Join(slices.Concat(faults, additions), ". "); {
	case text == "":
		return finding(is, OK, is.kind+" "+is.name+" is as deployed", "")
	case len(faults) > 0:
		return finding(is, Failed, is.kind+" "+is.name+" is not as deployed: "+text, fix.apply())
	default: // applying the manifests again would not change this
		return finding(is, Warning, is.kind+" "+is.name+" is not as deployed: "+text,
			fix.unlessIntended()+"kubectl edit "+strings.ToLower(is.kind)+" "+is.name)
	}
}

// several says that several configurations of a kind hold amp's webhooks. Which of them is left over shows in what it
// calls; if all that they call is there, the operator has to know.
func (s *observed) several(all []configuration) (message, remedy string) {
	var texts, left []string
	for _, c := range all {
		var calls []string
		for _, h := range c.hooks {
			to := targetOf(h.ClientConfig)
			text := cmp.Or(to.url, to.host)
			if s.gone[to.service] {
				text += ", which is gone"
			}
			if !slices.Contains(calls, text) {
				calls = append(calls, text)
			}
		}
		texts = append(texts, fmt.Sprintf("%s (calls %s)", c.name, strings.Join(calls, " and ")))
		if s.leftOver(c) {
			left = append(left, c.name)
		}
	}
	kind := strings.ToLower(all[0].kind)
	message = fmt.Sprintf("%ss %s hold webhooks of the same names: each Pod goes to all of them", all[0].kind, strings.Join(texts, " and "))
	if len(left) > 0 {
		return message, "delete what is left over:\nkubectl delete " + kind + " " + strings.Join(left, " ")
	}
	return message, "delete the one that amp no longer uses:\nkubectl delete " + kind + " NAME"
}

// compare says how a configuration differs from the one in deploy/: webhooks with a fault, and those that are only
// different in addition.
func compare(is, want configuration, namespace string) (faults, additions []string) {
	for _, w := range want.hooks {
		h := is.hook(w.Name)
		if h == nil {
			faults = append(faults, w.Name+" is missing")
			continue
		}
		wrong, added := differences(h, &w, namespace)
		text := w.Name + ": " + strings.Join(slices.Concat(wrong, added), "; ")
		switch {
		case len(wrong) > 0:
			faults = append(faults, text)
		case len(added) > 0:
			additions = append(additions, text)
		}
	}
	for _, name := range is.foreign {
		additions = append(additions, name+" is not one of amp's webhooks")
	}
	return faults, additions
}

// mustEqual are the fields of a webhook that have to be as in deploy/.
var mustEqual = []struct {
	name string
	text func(*admissionv1.MutatingWebhook) string
}{
	{"failurePolicy", func(w *admissionv1.MutatingWebhook) string { return text(w.FailurePolicy) }},
	{"path", func(w *admissionv1.MutatingWebhook) string { return path(w.ClientConfig) }},
	{"sideEffects", func(w *admissionv1.MutatingWebhook) string { return text(w.SideEffects) }},
	{"reinvocationPolicy", func(w *admissionv1.MutatingWebhook) string { return text(w.ReinvocationPolicy) }},
	{"matchPolicy", func(w *admissionv1.MutatingWebhook) string { return text(w.MatchPolicy) }},
	{"rules", func(w *admissionv1.MutatingWebhook) string { return rules(w.Rules) }},
}

// mustContain are the fields that have to hold all that they hold in deploy/. Where more is allowed to be in the list
// than in deploy/, it narrows what amp is called for.
var mustContain = []struct {
	name  string
	elems func(*admissionv1.MutatingWebhook) []string
}{
	{"namespaceSelector", func(w *admissionv1.MutatingWebhook) []string {
		rest, _ := excluded(w.NamespaceSelector)
		return requirements(rest)
	}},
	{"objectSelector", func(w *admissionv1.MutatingWebhook) []string { return requirements(w.ObjectSelector) }},
	{"matchConditions", func(w *admissionv1.MutatingWebhook) []string { return expressions(w.MatchConditions) }},
}

// differences says in which fields a webhook is not as in deploy/: what is wrong, and what was added. Both webhooks have
// all fields set, by the API server and because deploy/ sets every default. It compares what a field means, not how it
// is written.
func differences(is, want *admissionv1.MutatingWebhook, namespace string) (wrong, added []string) {
	for _, field := range mustEqual {
		if a, b := field.text(is), field.text(want); a != b {
			wrong = append(wrong, fmt.Sprintf("%s is %s instead of %s", field.name, a, b))
		}
	}
	for _, v := range want.AdmissionReviewVersions {
		if !slices.Contains(is.AdmissionReviewVersions, v) {
			wrong = append(wrong, "admissionReviewVersions lacks "+v)
		}
	}
	// A longer AMP_TIMEOUT needs more, and less only limits amp.
	if a, b := text(is.TimeoutSeconds), text(want.TimeoutSeconds); a != b {
		added = append(added, fmt.Sprintf("timeoutSeconds is %s instead of %s", a, b))
	}
	for _, field := range mustContain {
		a, b := field.elems(is), field.elems(want)
		for _, one := range b {
			if !slices.Contains(a, one) {
				wrong = append(wrong, fmt.Sprintf("%s lacks %q", field.name, one))
			}
		}
		for _, one := range a {
			if !slices.Contains(b, one) {
				added = append(added, fmt.Sprintf("%s also has %q", field.name, one))
			}
		}
	}
	_, isOut := excluded(is.NamespaceSelector)
	_, wantOut := excluded(want.NamespaceSelector)
	for _, name := range wantOut {
		if name == review.InstallNamespace {
			name = namespace
		}
		if !slices.Contains(isOut, name) {
			wrong = append(wrong, "namespaceSelector does not exclude "+name)
		}
	}
	return wrong, added
}

// text is the value of an optional field.
func text[T ~string | ~int32](p *T) string {
	if p == nil {
		return "absent"
	}
	return fmt.Sprint(*p)
}

// path is the path of a call, to a Service or to a URL.
func path(c admissionv1.WebhookClientConfig) string {
	switch {
	case c.Service != nil && c.Service.Path != nil:
		return *c.Service.Path
	case c.URL != nil:
		if u, err := url.Parse(*c.URL); err == nil {
			return cmp.Or(u.Path, "/")
		}
	}
	return "/"
}

// rules writes rules so that two of the same meaning are the same text.
func rules(all []admissionv1.RuleWithOperations) string {
	var texts []string
	for _, r := range all {
		list := func(what []string) string { return strings.Join(slices.Sorted(slices.Values(what)), ",") }
		var operations []string
		for _, o := range r.Operations {
			operations = append(operations, string(o))
		}
		texts = append(texts, fmt.Sprintf("%s of %s in %q %s, scope %s", list(operations), list(r.Resources), list(r.APIGroups), list(r.APIVersions), text(r.Scope)))
	}
	slices.Sort(texts)
	return strings.Join(texts, " and ")
}

// excluded splits the namespaces that a selector excludes by name from the rest of it.
func excluded(s *metav1.LabelSelector) (rest *metav1.LabelSelector, names []string) {
	if s == nil {
		return nil, nil
	}
	rest = s.DeepCopy()
	rest.MatchExpressions = slices.DeleteFunc(rest.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool {
		found := r.Key == corev1.LabelMetadataName && r.Operator == metav1.LabelSelectorOpNotIn
		if found {
			names = append(names, r.Values...)
		}
		return found
	})
	return rest, names
}

func requirements(s *metav1.LabelSelector) []string {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return []string{err.Error()} // the API server accepts no such selector
	}
	all, _ := selector.Requirements()
	var texts []string
	for _, r := range all {
		texts = append(texts, r.String())
	}
	return texts
}

func expressions(all []admissionv1.MatchCondition) []string {
	var texts []string
	for _, c := range all {
		texts = append(texts, c.Expression)
	}
	return texts
}
