package doctor

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/deploy"
)

// configuration is a webhook configuration of either kind. A validating webhook has the fields of a mutating
// one but the last, reinvocationPolicy.
type configuration struct {
	kind, name  string
	annotations map[string]string
	hooks       []admissionv1.MutatingWebhook // amp's
	strangers   []string                      // the names of others'
}

const (
	mutating   = "MutatingWebhookConfiguration"
	validating = "ValidatingWebhookConfiguration"
)

func ofMutating(c *admissionv1.MutatingWebhookConfiguration) configuration {
	return configuration{kind: mutating, name: c.Name, annotations: c.Annotations, hooks: c.Webhooks}
}

func ofValidating(c *admissionv1.ValidatingWebhookConfiguration) configuration {
	all := configuration{kind: validating, name: c.Name, annotations: c.Annotations}
	for _, w := range c.Webhooks {
		all.hooks = append(all.hooks, admissionv1.MutatingWebhook{
			Name: w.Name, ClientConfig: w.ClientConfig, Rules: w.Rules, FailurePolicy: w.FailurePolicy, MatchPolicy: w.MatchPolicy,
			NamespaceSelector: w.NamespaceSelector, ObjectSelector: w.ObjectSelector, SideEffects: w.SideEffects,
			TimeoutSeconds: w.TimeoutSeconds, AdmissionReviewVersions: w.AdmissionReviewVersions, MatchConditions: w.MatchConditions,
		})
	}
	return all
}

// shippedNamespace is amp's own in the manifests of package deploy.
const shippedNamespace = "amp-system"

// shipped are the two configurations as deploy/ has them.
func shipped() (configuration, configuration) {
	var m admissionv1.MutatingWebhookConfiguration
	var v admissionv1.ValidatingWebhookConfiguration
	unmarshal("base/mutating.yaml", &m)
	unmarshal("base/validating.yaml", &v)
	return ofMutating(&m), ofValidating(&v)
}

// unmarshal reads a manifest of package deploy. They are compiled in, so that an error is one of the build.
func unmarshal(path string, into any) {
	text, err := deploy.Manifests.ReadFile(path)
	if err == nil {
		err = yaml.UnmarshalStrict(text, into)
	}
	if err != nil {
		panic(fmt.Sprintf("reading deploy/%s: %v", path, err))
	}
}

// ours keeps the configurations that hold one of amp's webhooks, whatever their own name is.
func ours(all []configuration, want configuration) (some []configuration) {
	for _, c := range all {
		strange := func(h admissionv1.MutatingWebhook) bool { return want.hook(h.Name) == nil }
		for _, h := range c.hooks {
			if strange(h) {
				c.strangers = append(c.strangers, h.Name)
			}
		}
		if c.hooks = slices.DeleteFunc(slices.Clone(c.hooks), strange); len(c.hooks) > 0 {
			some = append(some, c)
		}
	}
	return some
}

func (c *configuration) hook(name string) *admissionv1.MutatingWebhook {
	for i := range c.hooks {
		if c.hooks[i].Name == name {
			return &c.hooks[i]
		}
	}
	return nil
}

func (c *configuration) subject() string { return strings.ToLower(c.kind) + "/" + c.name }

// checkWebhooks compares the configurations of one kind that hold amp's webhooks with the one that deploy/
// has. What an installation leaves out or says otherwise fails; what it says besides only keeps Pods away
// from amp, which may be meant: a warning. Who is called, and with which CA, is other checks' matter, but
// the path is this one's: it tells amp the failure policy.
func checkWebhooks(found seen[[]configuration], want configuration, fix remedies) []Check {
	check := func(c configuration, status Status, message, remedy string) Check {
		return Check{ID: "webhooks", Subject: c.subject(), Status: status, Message: message, Remedy: remedy}
	}
	switch {
	case found.err != nil:
		return []Check{check(want, Skipped, "not looked at: "+found.err.Error(), "")}
	case len(found.value) == 0:
		return []Check{check(want, Failed, want.kind+" "+want.name+" is missing: no Pod reaches amp through it", fix.apply())}
	case len(found.value) > 1:
		var names []string
		for _, c := range found.value {
			names = append(names, c.name)
		}
		return []Check{check(want, Failed, fmt.Sprintf("%ss %s hold webhooks of the same names: amp is asked twice", want.kind, strings.Join(names, " and ")),
			"delete the one that is not amp's any more:\nkubectl delete "+strings.ToLower(want.kind)+" NAME")}
	}
	is := found.value[0]
	status, remedy := OK, ""
	var texts []string
	for _, w := range want.hooks {
		h := is.hook(w.Name)
		if h == nil {
			status, texts = Failed, append(texts, w.Name+" is missing")
			continue
		}
		lacks, besides := differences(h, &w, fix.namespace)
		if len(lacks) > 0 {
			status = Failed
		}
		if all := slices.Concat(lacks, besides); len(all) > 0 {
			texts = append(texts, w.Name+": "+strings.Join(all, "; "))
		}
	}
	for _, name := range is.strangers {
		texts = append(texts, name+" is none of amp's webhooks")
	}
	switch {
	case len(texts) == 0:
		return []Check{check(is, OK, is.kind+" "+is.name+" is as deployed", "")}
	case status == Failed:
		remedy = fix.apply()
	default: // which to apply the manifests again would leave as it is
		status, remedy = Warning, "if it is not meant:\nkubectl edit "+strings.ToLower(is.kind)+" "+is.name
	}
	return []Check{check(is, status, is.kind+" "+is.name+" is not as deployed: "+strings.Join(texts, ". "), remedy)}
}

// differences says in which fields a webhook is not what deploy/ has. Both have all fields set: the API server
// sees to it for the one, and deploy/ leaves no default unsaid. Compared is what a field means, not how it
// is written.
func differences(is, want *admissionv1.MutatingWebhook, namespace string) (lacks, besides []string) {
	differs := func(field, is, want string) {
		if is != want {
			lacks = append(lacks, fmt.Sprintf("%s is %s, deployed is %s", field, is, want))
		}
	}
	differs("failurePolicy", text(is.FailurePolicy), text(want.FailurePolicy))
	differs("path", path(is.ClientConfig), path(want.ClientConfig))
	differs("sideEffects", text(is.SideEffects), text(want.SideEffects))
	differs("reinvocationPolicy", text(is.ReinvocationPolicy), text(want.ReinvocationPolicy))
	differs("matchPolicy", text(is.MatchPolicy), text(want.MatchPolicy))
	differs("rules", rules(is.Rules), rules(want.Rules))
	for _, v := range want.AdmissionReviewVersions {
		if !slices.Contains(is.AdmissionReviewVersions, v) {
			lacks = append(lacks, "admissionReviewVersions lacks "+v)
		}
	}
	// A longer AMP_TIMEOUT needs more, and less is amp's limit only.
	if a, b := text(is.TimeoutSeconds), text(want.TimeoutSeconds); a != b {
		besides = append(besides, fmt.Sprintf("timeoutSeconds is %s, deployed is %s", a, b))
	}

	sets := func(field string, is, want []string) {
		for _, one := range want {
			if !slices.Contains(is, one) {
				lacks = append(lacks, fmt.Sprintf("%s lacks %q", field, one))
			}
		}
		for _, one := range is {
			if !slices.Contains(want, one) {
				besides = append(besides, fmt.Sprintf("%s has %q besides", field, one))
			}
		}
	}
	isRest, isOut := leftOut(is.NamespaceSelector)
	wantRest, wantOut := leftOut(want.NamespaceSelector)
	sets("namespaceSelector", requirements(isRest), requirements(wantRest))
	for _, name := range wantOut {
		if name == shippedNamespace {
			name = namespace
		}
		if !slices.Contains(isOut, name) {
			lacks = append(lacks, "namespaceSelector does not leave out "+name)
		}
	}
	sets("objectSelector", requirements(is.ObjectSelector), requirements(want.ObjectSelector))
	sets("matchConditions", expressions(is.MatchConditions), expressions(want.MatchConditions))
	return lacks, besides
}

// text is the value of an optional field.
func text[T ~string | ~int32](p *T) string {
	if p == nil {
		return "absent"
	}
	return fmt.Sprint(*p)
}

// path is the path of a call, however the host is named.
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

// leftOut splits the namespaces that a selector leaves out by name from the rest of it.
func leftOut(s *metav1.LabelSelector) (rest *metav1.LabelSelector, names []string) {
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
		return []string{err.Error()} // the API server accepts none such
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

// called is whom a webhook calls.
type called struct {
	service types.NamespacedName // empty where url is set
	url     string
	port    int32
	host    string // that the certificate must be good for
}

func calledBy(c admissionv1.WebhookClientConfig) called {
	if s := c.Service; s != nil {
		to := called{service: types.NamespacedName{Namespace: s.Namespace, Name: s.Name}, port: 443, host: s.Name + "." + s.Namespace + ".svc"}
		if s.Port != nil {
			to.port = *s.Port
		}
		return to
	}
	var to called
	if c.URL == nil {
		return to
	}
	if u, err := url.Parse(*c.URL); err == nil {
		// Neither userinfo nor query, which the API server does not allow here anyway.
		to = called{url: u.Scheme + "://" + u.Host, port: 443, host: u.Hostname()}
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
			to.port = int32(n)
		}
	}
	return to
}
