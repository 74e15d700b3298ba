package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"
)

var (
	start  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	wanted = Config{Names: []string{simulatedName}, Lifetime: 90 * 24 * time.Hour}
)

func pair(t testing.TB, made time.Time, lifetime time.Duration, names ...string) *Pair {
	t.Helper()
	if names == nil {
		names = wanted.Names
	}
	p, err := Make(made, lifetime, names)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// authority is another certificate authority.
type authority struct {
	t   testing.TB
	key *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return authority{t, key}
}

func (a authority) sign(c, by *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		a.t.Fatal(err)
	}
	return c
}

// ca is a certificate of the authority. Each of them verifies what the authority has signed.
func (a authority) ca(from, end time.Time) *x509.Certificate {
	a.t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "another"}, NotBefore: from, NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	return a.sign(c, c, a.key)
}

func (a authority) issue(ca *x509.Certificate, from, end time.Time) *Pair {
	a.t.Helper()
	key := newAuthority(a.t).key
	leaf := a.sign(&x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: end, DNSNames: wanted.Names,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, ca, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	p, err := newPair(encode([]*x509.Certificate{leaf}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), []*x509.Certificate{ca}, from)
	if err != nil {
		a.t.Fatal(err)
	}
	return p
}

// issued is a pair of another authority, whose CA may end before the certificate that it signed.
func issued(t testing.TB, from, caEnd, end time.Time) *Pair {
	t.Helper()
	a := newAuthority(t)
	return a.issue(a.ca(from, caEnd), from, end)
}

func cas(pairs ...*Pair) (all []*x509.Certificate) {
	for _, p := range pairs {
		all = append(all, p.CA)
	}
	return all
}

func TestMake(t *testing.T) {
	for name, test := range map[string]struct {
		lifetime, before, renewal, settle time.Duration
	}{
		"90 days":    {2160 * time.Hour, time.Hour, 2160*time.Hour - 2161*time.Hour/3, time.Minute},
		"10 seconds": {10 * time.Second, time.Second, 10*time.Second - 11*time.Second/3, 550 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			p := pair(t, start, test.lifetime, "amp.amp-system.svc", "10.0.0.1", "::1")
			leaf := p.leaf()
			if !leaf.NotBefore.Equal(start.Add(-test.before)) || !leaf.NotAfter.Equal(start.Add(test.lifetime)) || !p.CA.NotAfter.Equal(leaf.NotAfter) {
				t.Errorf("good from %v to %v, the CA until %v", leaf.NotBefore, leaf.NotAfter, p.CA.NotAfter)
			}
			if !p.Renewal().Equal(start.Add(test.renewal)) {
				t.Errorf("renewed at %v", p.Renewal())
			}
			if s := settle(nil, p); s != test.settle {
				t.Errorf("settled after %v", s)
			}
			if !p.covers([]string{"amp.amp-system.svc", "10.0.0.1", "::1"}) || p.covers([]string{"other"}) {
				t.Errorf("it is for %q and %v", leaf.DNSNames, leaf.IPAddresses)
			}
			if leaf.IsCA || !p.CA.IsCA || !p.CA.MaxPathLenZero || !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
				t.Error("it may do more than serve")
			}
			if other := pair(t, start, test.lifetime); other.CA.Subject.String() == p.CA.Subject.String() {
				t.Error("two CAs have the same name")
			}
		})
	}
}
