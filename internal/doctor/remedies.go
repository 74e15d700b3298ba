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
	knative    string // name of the Knative Service that owns the Deployment; empty if none does
	tls        string // AMP_TLS
	injected   bool   // cert-manager writes the CA into the webhooks
	secret     string // with amp's certificate
	allow      string // AMP_ENDPOINT_ALLOW, empty where amp goes by its default
}

// apply is how it was installed, and what puts back what somebody changed.
func (r remedies) apply() string {
	switch {
	case r.knative != "":
		return "kubectl apply -k knative"
	case r.injected:
		return "kubectl apply -k deploy/cert-manager"
	}
	return "kubectl apply -k deploy"
}

// set says how to set a variable of amp's.
func (r remedies) set(assignment string) string {
	if r.knative != "" {
		return fmt.Sprintf("kubectl -n %s edit ksvc %s   # in its container's env: %s", r.namespace, r.knative, assignment)
	}
	return fmt.Sprintf("kubectl -n %s set env deployment/%s %s", r.namespace, r.deployment, assignment)
}

func (r remedies) logs() string {
	return fmt.Sprintf("kubectl -n %s logs deployment/%s", r.namespace, r.deployment)
}

func (r remedies) start() string {
	if r.knative != "" {
		return fmt.Sprintf(`kubectl -n %s edit ksvc %s   # its template's annotation autoscaling.knative.dev/min-scale: "2"`, r.namespace, r.knative)
	}
	return fmt.Sprintf("kubectl -n %s scale deployment/%s --replicas 2", r.namespace, r.deployment)
}

// bundle says how the right CA gets into the webhooks.
func (r remedies) bundle() string {
	switch {
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
	case r.tls == serve.TLSSelf:
		return r.set("AMP_TLS_DNS_NAMES=" + host)
	case r.injected:
		return fmt.Sprintf("kubectl -n %s edit certificate amp   # spec.dnsNames: [%s]", r.namespace, host)
	}
	return "get a certificate for " + host + ". " + r.renew()
}

// noTLS says what to do about a replica that does not speak TLS.
func (r remedies) noTLS() string {
	if r.tls == serve.TLSOff {
		return r.set("AMP_TLS=self")
	}
	return r.logs()
}
