package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/internal/serve"
)

// authority signs certificates for tests.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newAuthority(t *testing.T) *authority {
	t.Helper()
	return &authority{key: key(t)}
}

func key(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (a *authority) bundle(t *testing.T) []byte {
	t.Helper()
	if a.certificate == nil {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "amp-ca"}, NotBefore: start,
			NotAfter: start.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
		a.certificate = sign(t, template, template, &a.key.PublicKey, a.key)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// serving is a certificate good for 90 days.
func (a *authority) serving(t *testing.T, name string) []*x509.Certificate {
	t.Helper()
	a.bundle(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: start, NotAfter: start.AddDate(0, 0, 90), DNSNames: []string{name},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	return []*x509.Certificate{sign(t, template, a.certificate, &key(t).PublicKey, a.key)}
}

func sign(t *testing.T, template, parent *x509.Certificate, public *ecdsa.PublicKey, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCertificates(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	good, other := ours.serving(t, "amp.amp-system.svc"), ours.serving(t, "amp.elsewhere.svc")
	short := &authority{key: ours.key} // the same CA, with a life of its own
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "amp-ca"}, NotBefore: start,
		NotAfter: start.AddDate(0, 0, 30), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	short.certificate = sign(t, template, template, &short.key.PublicKey, short.key)
	both := slices.Concat(theirs.bundle(t), ours.bundle(t))
	replicas := func(chains ...[]*x509.Certificate) (all []certificate) {
		for i, chain := range chains {
			all = append(all, certificate{holder: "pod/" + string(rune('a'+i)), chain: chain})
		}
		return all
	}
	const day = 24 * time.Hour
	type outcome struct {
		status  Status
		message string
	}
	for name, test := range map[string]struct {
		bundles [2][]byte // of the mutating configuration's webhooks and of the validating one's
		all     []certificate
		after   time.Duration
		want    []outcome
	}{
		"trusted": {[2][]byte{ours.bundle(t), both}, replicas(good, good), day,
			[]outcome{{OK, "each replica presents a certificate that the webhooks trust, until 2026-04-01 00:00 UTC (89 days)"}}},
		"at two thirds a renewal is under way": {[2][]byte{both, both}, replicas(good), 61 * day,
			[]outcome{{OK, "pod/a presents a certificate that the webhooks trust, until 2026-04-01 00:00 UTC (29 days)"}}},
		"later it is overdue": {[2][]byte{both, both}, replicas(good), 64 * day,
			[]outcome{{Warning, "pod/a presents a certificate that the webhooks trust, until 2026-04-01 00:00 UTC (26 days): its renewal is overdue, it was due on 2026-03-02 00:00 UTC"}}},
		"its CA has expired": {[2][]byte{short.bundle(t), both}, replicas(good), 40 * day,
			[]outcome{{Failed, "pod/a: the API server does not trust the certificate: the caBundle of fail.amp.txn2.com, ignore.amp.txn2.com holds a CA that is not valid now, only until 2026-01-31 00:00 UTC"}}},
		"one could not be asked": {[2][]byte{both, both}, append(replicas(good, good), certificate{holder: "pod/c", unasked: errors.New("port-forward: no")}), day,
			[]outcome{{OK, "each replica that could be asked presents a certificate that the webhooks trust, until 2026-04-01 00:00 UTC (89 days)"}, {Skipped, "pod/c could not be asked: port-forward: no"}}},
		"expired": {[2][]byte{both, both}, replicas(good, good), 91 * day,
			[]outcome{{Failed, "pod/a, pod/b: the certificate is not valid now, only from 2026-01-01 00:00 UTC until 2026-04-01 00:00 UTC"}}},
		"another CA in one configuration": {[2][]byte{theirs.bundle(t), ours.bundle(t)}, replicas(good), day,
			[]outcome{{Failed, "pod/a: the API server does not trust the certificate: the caBundle of fail.amp.txn2.com, ignore.amp.txn2.com holds another CA"}}},
		"no CA at all": {[2][]byte{nil, ours.bundle(t)}, replicas(good), day,
			[]outcome{{Failed, "pod/a: the API server does not trust the certificate: the caBundle of fail.amp.txn2.com, ignore.amp.txn2.com holds no certificate"}}},
		"one replica has another": {[2][]byte{ours.bundle(t), ours.bundle(t)}, replicas(good, theirs.serving(t, "amp.amp-system.svc")), day,
			[]outcome{{Failed, "pod/b: the API server does not trust the certificate: the caBundle of fail.amp.txn2.com, ignore.amp.txn2.com, validate.fail.amp.txn2.com, validate.ignore.amp.txn2.com holds another CA"},
				{OK, "pod/a presents a certificate that the webhooks trust, until 2026-04-01 00:00 UTC (89 days)"}}},
		"for another name": {[2][]byte{both, both}, replicas(other), day,
			[]outcome{{Failed, "pod/a: the certificate is for amp.elsewhere.svc, but the API server calls amp.amp-system.svc"}}},
		"no TLS": {[2][]byte{both, both}, []certificate{{holder: "pod/a", err: errors.New("first record does not look like a TLS handshake")}}, day,
			[]outcome{{Failed, "pod/a: it presents no certificate: first record does not look like a TLS handshake"}}},
		"from the Secret": {[2][]byte{both, both}, []certificate{{holder: "secret/amp-tls", chain: good, instead: errors.New("no replica is ready")}}, day,
			[]outcome{{OK, "secret/amp-tls holds a certificate that the webhooks trust, until 2026-04-01 00:00 UTC (89 days); no replica was asked: no replica is ready"}}},
	} {
		t.Run(name, func(t *testing.T) {
			m, v := deployed()
			for i := range m.hooks {
				m.hooks[i].ClientConfig.CABundle, v.hooks[i].ClientConfig.CABundle = test.bundles[0], test.bundles[1]
			}
			var got []outcome
			for _, c := range checkCertificates(&observed{
				mutating: seen[[]configuration]{value: []configuration{m}}, validating: seen[[]configuration]{value: []configuration{v}}, now: start.Add(test.after),
				certificates: seen[[]certificate]{value: test.all}, fix: remedies{secret: "amp-tls", tls: serve.TLSSelf, namespace: "amp-system", deployment: "amp"},
			}) {
				got = append(got, outcome{c.Status, c.Message})
				if (c.Status == Failed || c.Status == Warning) == (c.Remedy == "") {
					t.Errorf("%s: remedy %q", c.Message, c.Remedy)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%v\nwant %v", got, test.want)
			}
		})
	}
}

// When another issuer renews a certificate is unknown.
func TestCertificateOfOthers(t *testing.T) {
	ca := newAuthority(t)
	m, _ := deployed()
	for i := range m.hooks {
		m.hooks[i].ClientConfig.CABundle = ca.bundle(t)
	}
	all := seen[[]certificate]{value: []certificate{{holder: "pod/a", chain: ca.serving(t, "amp.amp-system.svc")}}}
	for days, want := range map[int]Status{70: OK, 82: Warning} {
		status, message := the(t, checkCertificates(&observed{mutating: seen[[]configuration]{value: []configuration{m}}, certificates: all, now: start.AddDate(0, 0, days), fix: remedies{tls: serve.TLSFiles}})...)
		if status != want || strings.HasSuffix(message, "it expires soon") != (want == Warning) {
			t.Errorf("after %d days: %s: %s", days, status, message)
		}
	}
}

func TestUnseenCertificates(t *testing.T) {
	m, _ := deployed()
	if status, message := the(t, checkCertificates(&observed{mutating: seen[[]configuration]{value: []configuration{m}}, certificates: seen[[]certificate]{err: forbidden}, now: start, fix: remedies{secret: "amp-tls"}})...); status != Skipped || message != "not checked: things is forbidden: <nil>" {
		t.Errorf("%s: %s", status, message)
	}
	if status, message := the(t, checkCertificates(&observed{now: start, fix: remedies{secret: "amp-tls"}})...); status != Skipped || message != "not checked: there is no webhook that would trust it" {
		t.Errorf("%s: %s", status, message)
	}
}

// What is to be done depends on who makes the certificate.
func TestRemediesOfCertificates(t *testing.T) {
	base := remedies{namespace: "amp-system", deployment: "amp", pods: "app=amp", secret: "amp-tls", tls: serve.TLSFiles}
	injected, own := base, base
	injected.injected, own.tls = true, serve.TLSSelf
	for _, test := range []struct {
		remedy, want string
	}{
		{own.bundle(), "kubectl -n amp-system logs -l app=amp "},
		{injected.bundle(), "cert-manager-cainjector"},
		{base.bundle(), "kubectl -n amp-system get secret amp-tls"},
		{own.renew(), "kubectl -n amp-system logs -l app=amp "},
		{injected.renew(), "describe certificates"},
		{base.renew(), "kubectl -n amp-system create secret tls amp-tls"},
		{own.certificateName("a.b.svc", []string{"amp.x.svc", "y"}), "AMP_TLS_DNS_NAMES=amp.x.svc,y,a.b.svc"},
		{base.certificateName("a.b.svc", []string{"amp.x.svc"}), "get a certificate for amp.x.svc, a.b.svc"},
		{injected.certificateName("a.b.svc", nil), "add a.b.svc to dnsNames of the Certificate amp, in the overlay"},
	} {
		if !strings.Contains(test.remedy, test.want) {
			t.Errorf("%q does not say %q", test.remedy, test.want)
		}
	}
	url := remedies{namespace: "amp-system", url: "https://amp.example.com", tls: serve.TLSSelf}
	for _, remedy := range []string{url.bundle(), url.renew(), url.noTLS(), url.reach("", false)} {
		if !strings.Contains(remedy, "https://amp.example.com") || strings.Contains(remedy, "kubectl") {
			t.Errorf("where the webhooks call a URL: %q", remedy)
		}
	}
	for want, r := range map[string]remedies{
		"apply again what installed amp: your overlay of deploy or, if there is none,\nkubectl apply -k deploy":                           {namespace: "amp-system", tls: serve.TLSSelf},
		"apply again what installed amp: your overlay of deploy/cert-manager or, if there is none,\nkubectl apply -k deploy/cert-manager": {namespace: "amp-system", tls: serve.TLSFiles},
		"apply again what installed amp: your overlay of knative or, if there is none,\nkubectl apply -k knative":                         {namespace: "amp-system", tls: serve.TLSSelf, knative: "amp"},
		"apply the overlay again that installed deploy into namespace elsewhere:":                                                         {namespace: "elsewhere"},
	} {
		if got := r.apply(); !strings.HasPrefix(got, want) {
			t.Errorf("%q is not %q…", got, want)
		}
	}
	knative := remedies{namespace: "amp-system", knative: "amp"}
	if got := knative.set("A=b"); !strings.HasPrefix(got, "in your overlay of knative, which installed amp, set A=b in the env of its container. Then\nkubectl apply -k OVERLAY") {
		t.Errorf("under Knative: %s", got)
	}
}
