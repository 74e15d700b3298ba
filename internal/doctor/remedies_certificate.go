package doctor

import (
	"slices"
	"strings"

	"github.com/txn2/amp/internal/serve"
)

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
		bundle: "amp writes the right CA within seconds while it runs{why}",
		renew:  "amp renews it after two thirds of its lifetime while it runs{why}",
		name:   "{set AMP_TLS_DNS_NAMES}",
	},
	byCertManager: {
		bundle: "cert-manager's cainjector writes the right CA; its log says why it did not:\nkubectl -n cert-manager logs deployment/cert-manager-cainjector",
		renew:  "cert-manager renews it; this says why it did not:\nkubectl -n {namespace} describe certificates,certificaterequests",
		name:   "{certificate}",
	},
	byHand: {
		bundle: "write the CA that signed the certificate into caBundle of every webhook{where}; the Secret may hold it:\n" +
			"kubectl -n {namespace} get secret {secret} -o jsonpath='{.data.ca\\.crt}'",
		renew: newSecret,
		name:  "get a certificate for {names}, and " + newSecret,
	},
	elsewhere: {
		bundle: "write the CA that signed the certificate of {url} into caBundle of every webhook",
		renew:  "renew the certificate of {url}",
		name:   "get a certificate for {names}",
	},
}

func (r remedies) bundle() string { return r.fill(certificateRemedies[r.issuer()].bundle, "", nil) }

func (r remedies) renew() string { return r.fill(certificateRemedies[r.issuer()].renew, "", nil) }

// certificateName is what to do if the certificate must also be valid for host. It stays valid for the names that it has.
func (r remedies) certificateName(host string, has []string) string {
	return r.fill(certificateRemedies[r.issuer()].name, host, append(slices.Clone(has), host))
}

func (r remedies) fill(text, host string, names []string) string {
	why := "; its log says why it did not:\n" + r.logs()
	if r.down {
		why = ": see why it does not, under replicas"
	}
	// The chart has no value for these: its Certificate follows the namespace, and the CA is written by hand.
	where, certificate := ", in the overlay that installed amp", "add "+host+" to dnsNames of the Certificate amp, in the overlay that installed amp. If the overlay sets another namespace,\n"+
		"this does it: transformers: [deploy/cert-manager/renamed]. Then\n"+r.applyAgain()
	if r.release.name != "" {
		where, certificate = "", r.apply()
	}
	return strings.NewReplacer("{why}", why, "{where}", where, "{certificate}", certificate,
		"{namespace}", r.namespace, "{secret}", r.secret, "{url}", r.url, "{host}", host,
		"{names}", strings.Join(names, ", "), "{set AMP_TLS_DNS_NAMES}", r.set("AMP_TLS_DNS_NAMES="+strings.Join(names, ","))).Replace(text)
}

// renewsItself reports whether something renews the certificate after two thirds of its lifetime.
func (r remedies) renewsItself() bool { return r.issuer() == byAMP || r.issuer() == byCertManager }
