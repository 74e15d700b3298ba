package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// NewPair is what [Decide] wants to be made.
type NewPair struct {
	Names []string // of the certificate: DNS names and IP addresses

	// ServeNow puts the pair into the Secret as the one that is served. By default it is put there as the next one,
	// which is served once its CA is trusted.
	ServeNow bool
}

// make returns the stored content with the new pair in it, which is valid for lifetime from now on.
func (n NewPair) make(s Stored, now time.Time, lifetime time.Duration) (Stored, error) {
	p, err := Make(now, lifetime, n.Names)
	if err != nil {
		return s, err
	}
	if n.ServeNow {
		s.Serving = p
	} else {
		s.Next = p
	}
	s.CAs = union([]*x509.Certificate{p.CA}, s.CAs)
	return s, nil
}

// Make makes a CA, a key, and the certificate for that key, signed by the CA. Both certificates are valid for
// lifetime from now on. The CA's key is not kept. names are DNS names and IP addresses.
func Make(now time.Time, lifetime time.Duration, names []string) (*Pair, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a CA's key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	// Valid a little before now, since the clock of an API server may be behind.
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
	// Each CA has a name of its own: some verifiers find an issuer by its name alone.
	ca.Subject = pkix.Name{CommonName: fmt.Sprintf("amp CA %x", ca.SerialNumber.Bytes()[:4])}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, fmt.Errorf("signing a CA: %w", err)
	}
	if ca, err = x509.ParseCertificate(caDER); err != nil { // with the identifier of its key, which the leaf names
		return nil, fmt.Errorf("parsing the new CA: %w", err)
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
