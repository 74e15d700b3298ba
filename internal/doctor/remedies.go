package doctor

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/serve"
)

// remedies say what to do, in the words of this installation.
type remedies struct {
	namespace  string // amp's own
	deployment string // name
	knative    string // name of the Knative Service that runs amp, empty if none does
	tls        string // AMP_TLS, empty if that cannot be seen
	injected   bool   // cert-manager writes the CA into the webhooks
	url        string // that the webhooks call, empty if they call a Service
	secret     string // with amp's certificate
	allow      string // AMP_ENDPOINT_ALLOW, empty if it is not set
}

// remediesFor knows how amp is installed by what was observed of it so far.
func remediesFor(s *observed, namespace string) remedies {
	r := remedies{namespace: namespace, deployment: "amp", url: s.target().url, allow: s.settings.config.EndpointAllow.String()}
	for _, c := range s.configurations() {
		r.injected = r.injected || c.annotations["cert-manager.io/inject-ca-from"] != ""
	}
	const knative = "serving.knative.dev/service"
	if service := s.service.service.value; service != nil {
		r.knative = service.Spec.Selector[knative]
	}
	if all := s.deployments.value; len(all) > 0 {
		r.deployment, r.knative = all[0].Name, all[0].Labels[knative]
		r.secret = mountedSecret(s.template())
	}
	if s.settings.doubt("AMP_TLS") == "" {
		r.tls = s.settings.config.TLS
	}
	if r.tls == serve.TLSSelf || r.secret == "" {
		r.secret = s.settings.config.TLSSecret
	}
	return r
}

// mountedSecret is the Secret that a Pod mounts, if it mounts just one: AMP_TLS=files reads it.
func mountedSecret(spec *corev1.PodSpec) string {
	var names []string
	for _, v := range spec.Volumes {
		if v.Secret != nil {
			names = append(names, v.Secret.SecretName)
		}
	}
	if len(names) == 1 {
		return names[0]
	}
	return ""
}

// subject is amp's Deployment.
func (r remedies) subject() string { return "deployment/" + r.deployment }

// apply is how amp was installed. It brings back what was removed.
func (r remedies) apply() string {
	folder := "deploy"
	switch {
	case r.knative != "":
		folder = "knative"
	case r.injected || r.tls == serve.TLSFiles:
		folder = "deploy/cert-manager"
	}
	if r.namespace != review.InstallNamespace {
		return "apply the overlay again that installed " + folder + " into namespace " + r.namespace + ":\n" +
			"kubectl apply -k OVERLAY"
	}
	return "kubectl apply -k " + folder + "\nor the overlay of it that installed amp"
}

// set is how to set a variable of amp.
func (r remedies) set(assignment string) string {
	if r.knative != "" {
		return fmt.Sprintf("kubectl -n %s edit ksvc %s\nin its container's env: %s", r.namespace, r.knative, assignment)
	}
	return fmt.Sprintf("kubectl -n %s set env deployment/%s %s", r.namespace, r.deployment, assignment)
}

// unset is how to unset a variable of amp.
func (r remedies) unset(name string) string {
	if r.knative != "" {
		return fmt.Sprintf("kubectl -n %s edit ksvc %s\nand remove %s from its container's env", r.namespace, r.knative, name)
	}
	return r.set(name + "-")
}

// logs is how to read amp's log.
func (r remedies) logs() string {
	return fmt.Sprintf("kubectl -n %s logs deployment/%s", r.namespace, r.deployment)
}

// start is how to scale amp up.
func (r remedies) start() string {
	if r.knative != "" {
		return fmt.Sprintf("kubectl -n %s edit ksvc %s\nin its template, the annotation autoscaling.knative.dev/min-scale: \"2\"", r.namespace, r.knative)
	}
	return fmt.Sprintf("kubectl -n %s scale deployment/%s --replicas 2", r.namespace, r.deployment)
}

// issuer is what makes amp's certificate.
type issuer int

const (
	byHand issuer = iota // or by something that is not known
	byAMP
	byCertManager
	elsewhere // where the URL that the webhooks call is served
)

func (r remedies) issuer() issuer {
	switch {
	case r.url != "":
		return elsewhere
	case r.tls == serve.TLSSelf:
		return byAMP
	case r.injected:
		return byCertManager
	}
	return byHand
}

const newSecret = "put a new certificate into the Secret:\n" +
	"kubectl -n {namespace} create secret tls {secret} --cert FILE --key FILE --dry-run=client -o yaml | kubectl apply -f -"

// certificateRemedies are what to do about amp's certificate. The parts in braces are filled in by [remedies.fill].
var certificateRemedies = map[issuer]struct {
	bundle string // the webhooks have to trust it
	renew  string // there has to be a new one
	name   string // it has to be valid for the name {host}
}{
	byAMP: {
		bundle: "amp writes the right CA within seconds while it runs; its log says why it did not:\n{logs}",
		renew:  "amp renews it after two thirds of its lifetime; its log says why it did not:\n{logs}",
		name:   "{set AMP_TLS_DNS_NAMES}",
	},
	byCertManager: {
		bundle: "cert-manager's cainjector writes the right CA; its log says why it did not:\nkubectl -n cert-manager logs deployment/cert-manager-cainjector",
		renew:  "cert-manager renews it; this says why it did not:\nkubectl -n {namespace} describe certificates,certificaterequests",
		name:   "kubectl -n {namespace} edit certificate amp\nspec.dnsNames: [{host}]",
	},
	byHand: {
		bundle: "write the CA that signed the certificate into caBundle of every webhook; the Secret may hold it:\n" +
			"kubectl -n {namespace} get secret {secret} -o jsonpath='{.data.ca\\.crt}'",
		renew: newSecret,
		name:  "get a certificate for {host}, and " + newSecret,
	},
	elsewhere: {
		bundle: "write the CA that signed the certificate of {url} into caBundle of every webhook",
		renew:  "renew the certificate of {url}",
		name:   "get a certificate for {host}",
	},
}

func (r remedies) bundle() string { return r.fill(certificateRemedies[r.issuer()].bundle, "") }

func (r remedies) renew() string { return r.fill(certificateRemedies[r.issuer()].renew, "") }

func (r remedies) certificateName(host string) string {
	return r.fill(certificateRemedies[r.issuer()].name, host)
}

func (r remedies) fill(text, host string) string {
	return strings.NewReplacer("{namespace}", r.namespace, "{secret}", r.secret, "{url}", r.url, "{host}", host, "{logs}", r.logs(),
		"{set AMP_TLS_DNS_NAMES}", r.set("AMP_TLS_DNS_NAMES="+host)).Replace(text)
}

// renewsItself reports whether something renews the certificate after two thirds of its lifetime.
func (r remedies) renewsItself() bool { return r.issuer() == byAMP || r.issuer() == byCertManager }

// noTLS says what to do about a replica that does not speak TLS.
func (r remedies) noTLS() string {
	switch {
	case r.url != "":
		return "check what answers at " + r.url
	case r.tls == serve.TLSOff:
		return r.set("AMP_TLS=self")
	}
	return r.logs()
}

// reach says how to let the API server reach amp, by what it said of a call, which can be nothing. clientCA says that
// amp wants a client certificate.
func (r remedies) reach(said string, clientCA bool) string {
	switch {
	case strings.Contains(said, "x509: "):
		return r.bundle()
	case strings.Contains(said, "client certificate"), said == "" && clientCA:
		return "AMP_TLS_CLIENT_CA demands a client certificate: give the API server one, in the kubeconfig of its\n" +
			"AdmissionConfiguration, or\n" + r.unset("AMP_TLS_CLIENT_CA")
	case r.url != "":
		return "let the API server reach " + r.url + "; its own log names the failed calls"
	}
	return "let the API server reach the TLS port of amp's Pods (8443): NetworkPolicies in amp's namespace, and the firewall\n" +
		"between control plane and nodes; its own log names the failed calls"
}

// Quoted is one word to a shell. Users paste remedies, and what a Namespace says is written by its tenants.
func Quoted(word string) string {
	const harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,"
	if strings.Trim(word, harmless) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
