package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// presented is the certificate that amp serves with, as somebody has it.
type presented struct {
	by    string // kind/name
	chain []*x509.Certificate
	err   error // of the handshake
	// instead says why by is not the replica itself; empty where it is.
	instead string
	// unasked says why the replica could not be asked; the rest is then empty but for by.
	unasked string
}

// Parts of a lifetime after which a certificate should have been renewed. amp and cert-manager do it at two thirds,
// and a renewal takes a moment; of others nobody knows.
const (
	renewalOverdue = 0.7
	nearEnd        = 0.9
)

// checkCertificates holds what each replica presents against the CA that each webhook trusts, for the name by
// which the API server calls it, as the API server does before every review.
func checkCertificates(configurations []configuration, found seen[[]presented], now time.Time, fix remedies) []Check {
	check := func(subject string, status Status, message, remedy string) Check {
		return Check{ID: "certificate", Subject: subject, Status: status, Message: message, Remedy: remedy}
	}
	secret := "secret/" + fix.secret
	switch {
	case len(configurations) == 0:
		return []Check{check(secret, Skipped, "not looked at: no webhook is there to trust it", "")}
	case found.err != nil:
		return []Check{check(secret, Skipped, "not looked at: "+found.err.Error(), "")}
	}
	var checks []Check
	var well []presented
	var skipped []Check
	for _, p := range found.value {
		if p.unasked != "" {
			skipped = append(skipped, check(p.by, Skipped, p.by+" could not be asked: "+p.unasked, ""))
			continue
		}
		if message, remedy := distrust(configurations, p, now, fix); message != "" {
			// Replicas mostly have the same trouble: the message then names them all.
			if i := slices.IndexFunc(checks, func(o Check) bool { return o.Message == message }); i >= 0 {
				checks[i].Subject += ", " + p.by
			} else {
				checks = append(checks, check(p.by, Failed, message, remedy))
			}
			continue
		}
		well = append(well, p)
	}
	for i := range checks {
		checks[i].Message = checks[i].Subject + ": " + checks[i].Message
	}
	if len(well) > 0 {
		status, message, remedy := validity(well, len(skipped) == 0, now, fix)
		var by []string
		for _, p := range well {
			by = append(by, p.by)
		}
		checks = append(checks, check(strings.Join(by, ", "), status, message, remedy))
	}
	return append(checks, skipped...)
}

// distrust says why the API server would not speak to whoever presents p; empty if it would.
func distrust(configurations []configuration, p presented, now time.Time, fix remedies) (message, remedy string) {
	if p.err != nil {
		return "no certificate is presented: " + p.err.Error(), fix.noTLS()
	}
	leaf, between := p.chain[0], x509.NewCertPool()
	for _, c := range p.chain[1:] {
		between.AddCert(c)
	}
	whose := map[string][]string{} // by what is wrong with their bundle, the webhooks
	for _, c := range configurations {
		for _, h := range c.hooks {
			options := x509.VerifyOptions{
				DNSName: calledBy(h.ClientConfig).host, Intermediates: between, CurrentTime: now, Roots: x509.NewCertPool(),
				KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			}
			bundle := h.ClientConfig.CABundle
			if len(bundle) == 0 && h.ClientConfig.URL != nil {
				options.Roots = nil // the system's: here those of this machine, there the API server's
			} else if !options.Roots.AppendCertsFromPEM(bundle) {
				whose["holds no certificate"] = append(whose["holds no certificate"], h.Name)
				continue
			}
			_, err := leaf.Verify(options)
			var invalid x509.CertificateInvalidError
			var name x509.HostnameError
			var text string
			switch {
			case err == nil:
				continue
			case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert.Equal(leaf):
				return "the certificate is not valid now: it is so from " + date(leaf.NotBefore) + " until " + date(leaf.NotAfter), fix.renew()
			case errors.As(err, &name):
				return fmt.Sprintf("the certificate is for %s, but the API server calls %s", strings.Join(leaf.DNSNames, ", "), name.Host), fix.certificateName(name.Host)
			case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
				text = "holds a CA that is not valid now: it is so until " + date(invalid.Cert.NotAfter)
			case errors.As(err, new(x509.UnknownAuthorityError)):
				text = "holds another CA" // Go's text guesses at more
			default:
				text = "does not verify it: " + strings.TrimPrefix(err.Error(), "x509: ")
			}
			whose[text] = append(whose[text], h.Name)
		}
	}
	if len(whose) == 0 {
		return "", ""
	}
	var parts []string
	for text, hooks := range whose {
		parts = append(parts, "the caBundle of "+strings.Join(hooks, ", ")+" "+text)
	}
	slices.Sort(parts)
	return "the API server does not trust the certificate: " + strings.Join(parts, "; "), fix.bundle()
}

// validity says until when certificates that are trusted stay so. asked: no replica could not be asked.
func validity(all []presented, asked bool, now time.Time, fix remedies) (status Status, message, remedy string) {
	first := slices.MinFunc(all, func(a, b presented) int { return a.chain[0].NotAfter.Compare(b.chain[0].NotAfter) })
	leaf := first.chain[0]
	who := "each replica presents one"
	switch {
	case len(all) == 1:
		who = first.by + " presents one"
	case !asked:
		who = "each replica that could be asked presents one"
	}
	if first.instead != "" {
		who = "the one in " + first.by + " (" + first.instead + ") is one"
	}
	message = fmt.Sprintf("%s that the webhooks trust, until %s (%s)", who, date(leaf.NotAfter), span(leaf.NotAfter.Sub(now)))
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	switch lived := float64(now.Sub(leaf.NotBefore)) / float64(life); {
	case fix.renewed() && lived > renewalOverdue:
		return Warning, message + ": its renewal is overdue, which was due on " + date(leaf.NotBefore.Add(life*2/3)), fix.renew()
	case lived > nearEnd:
		return Warning, message + ": it is near its end", fix.renew()
	}
	return OK, message, ""
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// span is a duration as people say it.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d/time.Hour))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", int(d/time.Minute))
	}
	return fmt.Sprintf("%d seconds", int(d/time.Second))
}
