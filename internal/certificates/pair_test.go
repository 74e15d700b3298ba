package certificates

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"testing"
	"time"
)

// TestPairWithAnIntermediate has the chain of a pair, which ends with its first certificate.
func TestPairWithAnIntermediate(t *testing.T) {
	root, between := newAuthority(t), newAuthority(t)
	ca := root.ca(start, start.Add(3*time.Hour))
	intermediate := root.sign(&x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "between"}, NotBefore: start, NotAfter: start.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, ca, between.key)
	p := between.issue(intermediate, start, start.Add(2*time.Hour))
	if _, err := newPair(p.cert, p.key, []*x509.Certificate{ca}, start); err == nil {
		t.Error("it is verified without the intermediate certificate")
	}
	p, err := newPair(slices.Concat(p.cert, encode([]*x509.Certificate{intermediate})), p.key, []*x509.Certificate{ca}, start)
	if err != nil {
		t.Fatal(err)
	}
	if !p.CA.Equal(ca) || !p.NotAfter().Equal(start.Add(time.Hour)) {
		t.Errorf("the CA is %v, and it ends at %v", p.CA.Subject, p.NotAfter())
	}
}

func TestPairIsValidUntilItsEnd(t *testing.T) {
	p := pair(t, start, time.Hour)
	if end := p.NotAfter(); !p.valid(end) || p.valid(end.Add(1)) || (*Pair)(nil).valid(end) {
		t.Error("it is not valid until its end, that included, or it is valid after")
	}
}

func TestNamesExcept(t *testing.T) {
	p := pair(t, start, time.Hour, "a.svc", "b.svc", "10.0.0.1", "::1")
	if names := p.namesExcept([]string{"b.svc", "::1", "c.svc"}); !slices.Equal(names, []string{"a.svc", "10.0.0.1"}) {
		t.Errorf("names %q", names)
	}
}
