package harness

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// Authority is a certificate authority of the test.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	PEM         []byte // its certificate
}

// Pair is a certificate with its key, PEM.
type Pair struct {
	Certificate, Key []byte
	Serial           *big.Int
}

// NewAuthority makes a certificate authority.
func NewAuthority(name string) *Authority { return NewAuthorityAt(name, time.Now()) }

// NewAuthorityAt makes a certificate authority as a machine does whose clock shows the time. Its certificate, and those
// that it issues, are valid for a day from then.
func NewAuthorityAt(name string, now time.Time) *Authority {
	key := newKey()
	template := &x509.Certificate{
		NotBefore:             now.Add(-time.Minute),
		NotAfter:              now.Add(24 * time.Hour),
		Subject:               pkix.Name{CommonName: name},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der := sign(template, template, key, key)
	certificate, err := x509.ParseCertificate(der)
	must(err)
	return &Authority{certificate: certificate, key: key, PEM: encode("CERTIFICATE", der)}
}

// Issue signs a certificate for the subject. It is valid for servers on loopback and for clients.
func (a *Authority) Issue(subject pkix.Name, names ...string) Pair {
	key := newKey()
	template := &x509.Certificate{
		NotBefore:   a.certificate.NotBefore,
		NotAfter:    a.certificate.NotAfter,
		Subject:     subject,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der := sign(template, a.certificate, key, a.key)
	return Pair{Certificate: encode("CERTIFICATE", der), Key: encodeKey(key), Serial: template.SerialNumber}
}

func sign(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
	var err error
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	must(err)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	must(err)
	return der
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return key
}

func encodeKey(key *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	return encode("PRIVATE KEY", der)
}

func encodePublic(key *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	must(err)
	return encode("PUBLIC KEY", der)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// must panics on an error. It is for calls that fail only if this package is wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
