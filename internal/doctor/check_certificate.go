package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
)

// Parts of a lifetime after which a certificate should have been renewed. amp and cert-manager renew it after two
// thirds, and a renewal takes a moment. When others renew is unknown.
const (
	renewalOverdue = 0.7
	expiresSoon    = 0.9
)

// checkCertificates verifies what each replica presents, as the API server does before every review: with the CA that
// each webhook trusts, for the name by which the API server calls it.
func checkCertificates(s *observed) []Finding {
	subject := "secret/" + s.fix.secret
	switch {
	case len(s.configurations()) == 0:
		return []Finding{{Subject: subject, Status: Skipped, Message: "not checked: there is no webhook that would trust it"}}
	case s.certificates.err != nil:
		return []Finding{unread(subject, s.certificates.err)}
	}
	if port, _ := s.wrongPort(); port != 0 {
		return []Finding{{Subject: subject, Status: Skipped, Message: "not checked: the Service leads to a port where amp does not listen"}}
	}
	var failed, skipped []Finding
	var trusted []certificate
	for _, c := range s.certificates.value {
		if c.unasked != nil {
			skipped = append(skipped, Finding{Subject: c.holder, Status: Skipped, Message: c.holder + " could not be asked: " + c.unasked.Error()})
			continue
		}
		message, remedy := distrust(s, c)
		if message == "" {
			trusted = append(trusted, c)
			continue
		}
		// Replicas mostly fail for the same reason: one finding then names them all.
		if i := slices.IndexFunc(failed, func(f Finding) bool { return f.Message == message }); i >= 0 {
			failed[i].Subject += ", " + c.holder
		} else {
			failed = append(failed, Finding{Subject: c.holder, Status: Failed, Message: message, Remedy: remedy})
		}
	}
	for i := range failed {
		failed[i].Message = failed[i].Subject + ": " + failed[i].Message
	}
	if len(trusted) > 0 {
		failed = append(failed, validity(s, trusted, len(skipped) == 0))
	}
	return append(failed, skipped...)
}

// distrust says why the API server would not trust a certificate, empty if it would.
func distrust(s *observed, c certificate) (message, remedy string) {
	if c.err != nil {
		why := c.err.Error()
		if strings.Contains(why, "connection refused") {
			why = "nothing listens there" // the kubelet's text names its own paths and ids, which differ for each Pod
		}
		return "it presents no certificate: " + why, s.fix.noTLS()
	}
	leaf := c.chain[0]
	hooks := map[string][]string{} // by what is wrong with their caBundle
	for _, configuration := range s.configurations() {
		for _, h := range configuration.hooks {
			if targetOf(h.ClientConfig).service != s.target().service {
				continue // not these replicas are called: service says so
			}
			err := verify(c.chain, h.ClientConfig, s.now)
			var invalid x509.CertificateInvalidError
			var name x509.HostnameError
			var fault string
			switch {
			case err == nil:
				continue
			case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert.Equal(leaf):
				return "the certificate is not valid now, only from " + date(leaf.NotBefore) + " until " + date(leaf.NotAfter), s.fix.renew()
			case errors.As(err, &name):
				return fmt.Sprintf("the certificate is for %s, but the API server calls %s", strings.Join(leaf.DNSNames, ", "), name.Host), s.fix.certificateName(name.Host, leaf.DNSNames)
			case errors.Is(err, errNoCA):
				fault = "holds no certificate"
			case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
				fault = "holds a CA that is not valid now, only until " + date(invalid.Cert.NotAfter)
			case errors.As(err, new(x509.UnknownAuthorityError)):
				fault = "holds another CA" // Go's text adds a guess
			default:
				fault = "does not verify it: " + strings.TrimPrefix(err.Error(), "x509: ")
			}
			hooks[fault] = append(hooks[fault], h.Name)
		}
	}
	if len(hooks) == 0 {
		return "", ""
	}
	var parts []string
	for fault, names := range hooks {
		parts = append(parts, "the caBundle of "+strings.Join(names, ", ")+" "+fault)
	}
	slices.Sort(parts)
	return "the API server does not trust the certificate: " + strings.Join(parts, "; "), s.fix.bundle()
}

var errNoCA = errors.New("the caBundle holds no certificate")

// verify verifies a chain as the API server does when it calls a webhook.
func verify(chain []*x509.Certificate, to admissionv1.WebhookClientConfig, now time.Time) error {
	options := x509.VerifyOptions{
		DNSName: targetOf(to).host, Intermediates: x509.NewCertPool(), CurrentTime: now, Roots: x509.NewCertPool(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	if len(to.CABundle) == 0 && to.URL != nil {
		options.Roots = nil // the system's. The API server has its own, here they are this machine's.
	} else if !options.Roots.AppendCertsFromPEM(to.CABundle) {
		return errNoCA
	}
	_, err := chain[0].Verify(options)
	return err
}

// validity says until when certificates are valid that the webhooks trust. complete says that each replica was asked.
func validity(s *observed, trusted []certificate, complete bool) Finding {
	first := slices.MinFunc(trusted, func(a, b certificate) int { return a.chain[0].NotAfter.Compare(b.chain[0].NotAfter) })
	var holders []string
	for _, c := range trusted {
		holders = append(holders, c.holder)
	}
	who := "each replica presents"
	switch {
	case first.instead != nil:
		who = first.holder + " holds"
	case len(trusted) == 1:
		who = first.holder + " presents"
	case !complete:
		who = "each replica that could be asked presents"
	}
	leaf := first.chain[0]
	f := Finding{Subject: strings.Join(holders, ", "), Status: OK}
	f.Message = fmt.Sprintf("%s a certificate that the webhooks trust, until %s (%s)", who, date(leaf.NotAfter), span(leaf.NotAfter.Sub(s.now)))
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	switch lived := float64(s.now.Sub(leaf.NotBefore)) / float64(life); {
	case s.fix.renewsItself() && lived > renewalOverdue:
		f.Status, f.Remedy = Warning, s.fix.renew()
		f.Message += ": its renewal is overdue, it was due on " + date(leaf.NotBefore.Add(life*2/3))
	case lived > expiresSoon:
		f.Status, f.Remedy = Warning, s.fix.renew()
		f.Message += ": it expires soon"
	}
	if first.instead != nil {
		f.Message += "; no replica was asked: " + first.instead.Error()
	}
	return f
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// span writes a duration in its largest unit.
func span(d time.Duration) string {
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"days", 24 * time.Hour}, {"hours", time.Hour}, {"minutes", time.Minute}} {
		if d >= 2*unit.long {
			return fmt.Sprintf("%d %s", d/unit.long, unit.name)
		}
	}
	return fmt.Sprintf("%d seconds", d/time.Second)
}
