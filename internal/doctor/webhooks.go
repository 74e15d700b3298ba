package doctor

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/deploy"
	"github.com/txn2/amp/internal/outbound"
)

// configuration is a webhook configuration of either kind. A validating webhook has all fields of a mutating one but
// reinvocationPolicy.
type configuration struct {
	kind, name  string
	annotations map[string]string
	hooks       []admissionv1.MutatingWebhook // amp's
	foreign     []string                      // names of webhooks that are not amp's
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

// deployed are the two configurations as deploy/ has them.
func deployed() (m, v configuration) {
	var mutating admissionv1.MutatingWebhookConfiguration
	var validating admissionv1.ValidatingWebhookConfiguration
	unmarshal("base/mutating.yaml", &mutating)
	unmarshal("base/validating.yaml", &validating)
	return ofMutating(&mutating), ofValidating(&validating)
}

// unmarshal reads a manifest of package deploy. The manifests are compiled in, so that an error is one of the build.
func unmarshal(path string, into any) {
	text, err := deploy.Manifests.ReadFile(path)
	if err == nil {
		err = yaml.UnmarshalStrict(text, into)
	}
	if err != nil {
		panic(fmt.Sprintf("reading deploy/%s: %v", path, err))
	}
}

// withWebhooksOf keeps the configurations that hold a webhook of want, whatever their own name is.
func withWebhooksOf(want configuration, all []configuration) []configuration {
	var some []configuration
	for _, c := range all {
		isForeign := func(h admissionv1.MutatingWebhook) bool { return want.hook(h.Name) == nil }
		for _, h := range c.hooks {
			if isForeign(h) {
				c.foreign = append(c.foreign, h.Name)
			}
		}
		if c.hooks = slices.DeleteFunc(slices.Clone(c.hooks), isForeign); len(c.hooks) > 0 {
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

// target is what a webhook calls.
type target struct {
	service types.NamespacedName // empty if url is set
	url     string
	port    int32
	host    string // that the certificate must be valid for
}

func targetOf(c admissionv1.WebhookClientConfig) target {
	if s := c.Service; s != nil {
		to := target{service: types.NamespacedName{Namespace: s.Namespace, Name: s.Name}, port: 443, host: s.Name + "." + s.Namespace + ".svc"}
		if s.Port != nil {
			to.port = *s.Port
		}
		return to
	}
	if c.URL == nil {
		return target{}
	}
	u, err := url.Parse(*c.URL)
	if err != nil {
		return target{} // the API server accepts no such webhook
	}
	// Without userinfo and query, which the API server does not allow here.
	return target{url: u.Scheme + "://" + u.Host, port: int32(outbound.Port(u)), host: u.Hostname()}
}
