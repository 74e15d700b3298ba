// Package certificates makes amp's own serving certificate, renews it, and keeps whoever calls amp able to
// verify it: AMP_TLS=self. The certificate and the CAs to trust lie in one Secret that all replicas share;
// the CAs are written into the webhook configurations, which is where the API server takes them from.
//
// There is no leader. Each replica looks at the Secret and at the configurations, takes the one next step
// that [Memory.Decide] names, and writes it on condition that nobody else has written meanwhile. Each
// renewal makes a CA and one certificate that it signed, and throws the CA's key away: there is none to be
// stolen, and the one way to renew is gone again and again instead of once in ten years.
//
// The package knows neither the cluster's client, which is in package cluster, nor a listener.
package certificates

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

// Pair is a serving certificate with its key and the CA that signed it.
type Pair struct {
	Certificate *tls.Certificate // what a listener shows; its Leaf is set
	CA          *x509.Certificate

	ends      time.Time // when nobody can verify it any more: the first of its chain has ended
	cert, key []byte    // PEM, as they lie in the Secret
}

// Make makes a CA, a key and the certificate for it that the CA signs, both good for lifetime from now on.
// The CA's key is forgotten. names are DNS names and IP addresses.
func Make(now time.Time, lifetime time.Duration, names []string) (*Pair, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a CA's key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	// Clocks differ: good a little before now, for an API server whose clock is behind.
	from, until := now.Add(-min(time.Hour, lifetime/10)), now.Add(lifetime)
	ca := &x509.Certificate{
		NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "amp"},
		NotBefore: from, NotAfter: until,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	for _, c := range []*x509.Certificate{ca, leaf} {
		if c.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
			return nil, fmt.Errorf("making a serial number: %w", err)
		}
	}
	// A name of its own each time: some verifiers look for an issuer by its name alone.
	ca.Subject = pkix.Name{CommonName: fmt.Sprintf("amp CA %x", ca.SerialNumber.Bytes()[:4])}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, fmt.Errorf("signing a CA: %w", err)
	}
	if ca, err = x509.ParseCertificate(caDER); err != nil { // with its key's identifier, which the leaf is to name
		return nil, fmt.Errorf("reading the CA just made: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate for %q: %w", names, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return newPair(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), []*x509.Certificate{ca}, now)
}

// skew is by how much the clock of a replica may be behind that of the one that made a certificate. Whoever took that
// for garbage would throw away what the other staged, and again what it stages then.
const skew = 24 * time.Hour

// newPair reads a certificate with its chain and key, and finds the one of cas that signed it. It is an error
// if the certificate is not good now, nor soon will be.
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
	p.CA, p.ends = chain[len(chain)-1], end(chain)
	return p, nil
}

// chain leads from the certificate to one of cas: of several chains, the one that ends last.
func (p *Pair) chain(cas []*x509.Certificate, now time.Time) ([]*x509.Certificate, error) {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, ca := range cas {
		roots.AddCert(ca)
	}
	for _, der := range p.Certificate.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		between.AddCert(c)
	}
	chains, err := p.leaf().Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now})
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

// NotAfter is when the certificate ends, or the first of those by which it is verified.
func (p *Pair) NotAfter() time.Time { return p.ends }

// Renewal is when the certificate has lived two thirds of its life.
func (p *Pair) Renewal() time.Time { return p.NotAfter().Add(-p.lifetime() / 3) }

func (p *Pair) lifetime() time.Duration { return p.ends.Sub(p.leaf().NotBefore) }

func (p *Pair) same(other *Pair) bool {
	return p != nil && other != nil && bytes.Equal(p.leaf().Raw, other.leaf().Raw)
}

// good reports whether there is a pair and it has not ended.
func (p *Pair) good(now time.Time) bool { return p != nil && !now.After(p.NotAfter()) }

// covers reports whether the certificate is for all of these names.
func (p *Pair) covers(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return p.leaf().VerifyHostname(name) != nil })
}

// without are the names on the certificate that are none of these.
func (p *Pair) without(names []string) []string {
	others := slices.Clone(p.leaf().DNSNames)
	for _, ip := range p.leaf().IPAddresses {
		others = append(others, ip.String())
	}
	return slices.DeleteFunc(others, func(name string) bool { return slices.Contains(names, name) })
}

// parse reads the certificates that text holds in PEM form; what else it holds is passed over.
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

// encode writes certificates in PEM form.
func encode(all []*x509.Certificate) []byte {
	var text []byte
	for _, c := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

// union is all of lists, each certificate once, in order.
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

// unexpired are those of all that have not ended.
func unexpired(all []*x509.Certificate, now time.Time) []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(all), func(c *x509.Certificate) bool { return now.After(c.NotAfter) })
}
