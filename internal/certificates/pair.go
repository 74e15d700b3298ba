package certificates

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"time"
)

// Pair is a serving certificate with its key and the CA that signed it.
type Pair struct {
	Certificate *tls.Certificate // what a listener serves; its Leaf is set
	CA          *x509.Certificate

	end       time.Time // when the first certificate of its chain ends: it cannot be verified any more
	cert, key []byte    // PEM, as they are stored in the Secret
}

// skew is how far the clock of a replica may be behind the clock of the replica that made a certificate. A replica that
// rejected such a certificate would stage another one, which the first replica replaces in turn.
const skew = 24 * time.Hour

// newPair parses a certificate with its chain and key, and finds the one of cas that signed it. It is an error
// if the certificate is not valid now and does not become valid within the skew.
func newPair(cert, key []byte, cas []*x509.Certificate, now time.Time) (*Pair, error) {
	c, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	p := &Pair{Certificate: &c, cert: cert, key: key}
	if from := p.leaf().NotBefore; from.After(now) && from.Sub(now) < skew {
		now = from
	}
	chain, err := p.chain(cas, now)
	if err != nil {
		return nil, err
	}
	p.CA, p.end = chain[len(chain)-1], end(chain)
	return p, nil
}

// chain leads from the certificate to one of cas: of several chains, the one that ends last.
func (p *Pair) chain(cas []*x509.Certificate, now time.Time) ([]*x509.Certificate, error) {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	for _, ca := range cas {
		roots.AddCert(ca)
	}
	for _, der := range p.Certificate.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		intermediates.AddCert(c)
	}
	chains, err := p.leaf().Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: now})
	if err != nil {
		return nil, err
	}
	return slices.MaxFunc(chains, func(a, b []*x509.Certificate) int { return end(a).Compare(end(b)) }), nil
}

// end is when a chain can no longer be verified.
func end(chain []*x509.Certificate) time.Time {
	return slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
}

func (p *Pair) leaf() *x509.Certificate { return p.Certificate.Leaf }

// NotAfter is when the certificate ends or, if that is earlier, the first certificate of its chain.
func (p *Pair) NotAfter() time.Time { return p.end }

// Renewal is when two thirds of the certificate's lifetime have passed.
func (p *Pair) Renewal() time.Time { return p.NotAfter().Add(-p.lifetime() / 3) }

func (p *Pair) lifetime() time.Duration { return p.end.Sub(p.leaf().NotBefore) }

// same reports whether both are the same certificate. Their chains may differ.
func (p *Pair) same(other *Pair) bool {
	return p != nil && other != nil && bytes.Equal(p.leaf().Raw, other.leaf().Raw)
}

// valid reports whether there is a pair and it has not ended.
func (p *Pair) valid(now time.Time) bool { return p != nil && !now.After(p.NotAfter()) }

// covers reports whether the certificate is for all of these names.
func (p *Pair) covers(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return p.leaf().VerifyHostname(name) != nil })
}

// namesExcept are the names on the certificate that are not in names.
func (p *Pair) namesExcept(names []string) []string {
	others := slices.Clone(p.leaf().DNSNames)
	for _, ip := range p.leaf().IPAddresses {
		others = append(others, ip.String())
	}
	return slices.DeleteFunc(others, func(name string) bool { return slices.Contains(names, name) })
}

// parse returns the certificates in a PEM text, and skips everything else in it.
func parse(text []byte) []*x509.Certificate {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return all
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			all = append(all, c)
		}
	}
}

// encode writes certificates as PEM.
func encode(all []*x509.Certificate) []byte {
	var text []byte
	for _, c := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

// union has each certificate of the lists once, in their order.
func union(lists ...[]*x509.Certificate) []*x509.Certificate {
	var all []*x509.Certificate
	for _, list := range lists {
		for _, c := range list {
			if !contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all
}

func contains(all []*x509.Certificate, c *x509.Certificate) bool {
	return slices.ContainsFunc(all, c.Equal)
}

// unexpired are the certificates that have not ended.
func unexpired(all []*x509.Certificate, now time.Time) []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(all), func(c *x509.Certificate) bool { return now.After(c.NotAfter) })
}
