package doctor

import (
	"fmt"
	"strings"

	"github.com/txn2/amp/internal/serve"
)

// quoted is one word to a shell. Remedies are pasted, and what a Namespace says is its tenants'.
func quoted(word string) string {
	const harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,"
	if strings.Trim(word, harmless) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// remedies words what is to be done, as it is done in this installation.
type remedies struct {
	namespace  string
	deployment string // name
	knative    string // name of the Knative Service whose Pods amp's are; empty if they are none's
	tls        string // AMP_TLS, empty if that cannot be seen
	injected   bool   // cert-manager writes the CA into the webhooks
	url        string // that the webhooks call; empty where that is a Service
	secret     string // with amp's certificate
	allow      string // AMP_ENDPOINT_ALLOW, empty where amp goes by its default
}

// apply is how it was installed, and what puts back what somebody took away.
func (r remedies) apply() string {
	folder := "deploy"
	switch {
	case r.knative != "":
		folder = "knative"
	case r.injected || r.tls == serve.TLSFiles:
		folder = "deploy/cert-manager"
	}
	if r.namespace != shippedNamespace {
		return "apply the overlay again by which " + folder + " was installed into namespace " + r.namespace + ":\n" +
			"kubectl apply -k OVERLAY"
	}
	return "kubectl apply -k " + folder + "\nor the overlay of it by which amp was installed"
}

// set says how to set a variable of amp's.
func (r remedies) set(assignment string) string {
	if r.knative != "" {
		return fmt.Sprintf("kubectl -n %s edit ksvc %s\nin its container's env: %s", r.namespace, r.knative, assignment)
	}
	return fmt.Sprintf("kubectl -n %s set env deployment/%s %s", r.namespace, r.deployment, assignment)
}

// unset says how to unset a variable of amp's.
func (r remedies) unset(name string) string {
	if r.knative != "" {
		return fmt.Sprintf("kubectl -n %s edit ksvc %s\nand take %s out of its container's env", r.namespace, r.knative, name)
	}
	return r.set(name + "-")
}

func (r remedies) logs() string {
	return fmt.Sprintf("kubectl -n %s logs deployment/%s", r.namespace, r.deployment)
}

func (r remedies) start() string {
	if r.knative != "" {
		return fmt.Sprintf("kubectl -n %s edit ksvc %s\nits template's annotation autoscaling.knative.dev/min-scale: \"2\"", r.namespace, r.knative)
	}
	return fmt.Sprintf("kubectl -n %s scale deployment/%s --replicas 2", r.namespace, r.deployment)
}

// bundle says how the right CA gets into the webhooks.
func (r remedies) bundle() string {
	switch {
	case r.url != "":
		return "write the CA that signed the certificate of " + r.url + " into caBundle of every webhook"
	case r.tls == serve.TLSSelf:
		return "amp writes the right CA within seconds while it runs; its log says what keeps it from that:\n" + r.logs()
	case r.injected:
		return "cert-manager's cainjector writes the right CA; its log says what keeps it from that:\n" +
			"kubectl -n cert-manager logs deployment/cert-manager-cainjector"
	}
	return fmt.Sprintf("write the CA that signed the certificate into caBundle of every webhook; the Secret may hold it:\n"+
		"kubectl -n %s get secret %s -o jsonpath='{.data.ca\\.crt}'", r.namespace, r.secret)
}

// renew says how amp gets a new certificate.
func (r remedies) renew() string {
	switch {
	case r.url != "":
		return "renew the certificate of " + r.url + ", where it is made"
	case r.tls == serve.TLSSelf:
		return "amp renews it at two thirds of its life; its log says what keeps it from that:\n" + r.logs()
	case r.injected:
		return fmt.Sprintf("cert-manager renews it; what keeps it from that:\nkubectl -n %s describe certificates,certificaterequests", r.namespace)
	}
	return fmt.Sprintf("put a new certificate into the Secret:\n"+
		"kubectl -n %s create secret tls %s --cert FILE --key FILE --dry-run=client -o yaml | kubectl apply -f -", r.namespace, r.secret)
}

// certificateName says how the certificate becomes good for the name host.
func (r remedies) certificateName(host string) string {
	switch {
	case r.url != "":
		return "get a certificate for " + host
	case r.tls == serve.TLSSelf:
		return r.set("AMP_TLS_DNS_NAMES=" + host)
	case r.injected:
		return fmt.Sprintf("kubectl -n %s edit certificate amp\nspec.dnsNames: [%s]", r.namespace, host)
	}
	return "get a certificate for " + host + ". " + r.renew()
}

// noTLS says what to do about a replica that does not speak TLS.
func (r remedies) noTLS() string {
	switch {
	case r.url != "":
		return "see what answers at " + r.url
	case r.tls == serve.TLSOff:
		return r.set("AMP_TLS=self")
	}
	return r.logs()
}

// renewed reports whether somebody is known to renew the certificate at two thirds of its life.
func (r remedies) renewed() bool { return r.url == "" && (r.tls == serve.TLSSelf || r.injected) }

// reach says what keeps an API server from amp, going by what it said of a call, which may be nothing.
func (r remedies) reach(said string, clientCA bool) string {
	switch {
	case strings.Contains(said, "x509: "):
		return r.bundle()
	case strings.Contains(said, "client certificate"), said == "" && clientCA:
		return "AMP_TLS_CLIENT_CA lets in only who presents a certificate: give the API server one, by the kubeconfig of its\n" +
			"AdmissionConfiguration, or\n" + r.unset("AMP_TLS_CLIENT_CA")
	case r.url != "":
		return "let the API server reach " + r.url + "; its own log names the failed calls"
	}
	return "let the API server reach the TLS port of amp's Pods (8443): NetworkPolicies in amp's namespace, and the firewall\n" +
		"between control plane and nodes; its own log names the failed calls"
}
