package certificates

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"time"
)

// The keys in the Secret's data. amp does not change any other key in it.
const (
	keyCert     = "tls.crt" // the certificate that is served now
	keyKey      = "tls.key"
	keyCAs      = "ca.crt" // the CAs to trust
	keyNextCert = "next.crt"
	keyNextKey  = "next.key"
)

// Stored is what the Secret says.
type Stored struct {
	Serving *Pair               // the pair that all replicas serve; nil: there is none that can be used
	Next    *Pair               // the pair that they will serve once its CA is trusted; nil: no renewal is under way
	CAs     []*x509.Certificate // every CA that signed what a replica may still serve; newest first
}

// read parses the Secret's data. The error says why no pair in it can be served: a pair must match its key, be valid
// now, and be signed by one of the CAs beside it.
func read(data map[string][]byte, now time.Time) (Stored, error) {
	if data == nil {
		return Stored{}, errors.New("there is no Secret")
	}
	s := Stored{CAs: parse(data[keyCAs])}
	var err error
	if s.Serving, err = newPair(data[keyCert], data[keyKey], s.CAs, now); err != nil {
		s.Serving, err = nil, fmt.Errorf("%s: %w", keyCert, err)
	}
	// A next pair that is damaged is dropped: another one is made.
	if next, err := newPair(data[keyNextCert], data[keyNextKey], s.CAs, now); err == nil {
		s.Next = next
	}
	return s, err
}

// write returns a copy of the Secret's data that says this.
func (s Stored) write(data map[string][]byte) map[string][]byte {
	data = maps.Clone(data)
	if data == nil {
		data = map[string][]byte{}
	}
	data[keyCAs] = encode(s.CAs)
	// The Secret's type requires these two keys, even while there is no pair.
	data[keyCert], data[keyKey] = []byte{}, []byte{}
	if s.Serving != nil {
		data[keyCert], data[keyKey] = s.Serving.cert, s.Serving.key
	}
	delete(data, keyNextCert)
	delete(data, keyNextKey)
	if s.Next != nil {
		data[keyNextCert], data[keyNextKey] = s.Next.cert, s.Next.key
	}
	return data
}

// settle is how long a CA must have been in every bundle before a certificate that it signed is served, because
// the API servers of a control plane learn of a change at different times. Of all pairs that are stored or served, the
// shortest lifetime counts: after a short lifetime, a long settle time would end later than the certificate that is
// served. A pair may be nil.
func settle(pairs ...*Pair) time.Duration {
	d := time.Minute
	for _, p := range pairs {
		if p != nil {
			d = min(d, p.lifetime()/20)
		}
	}
	return d
}

// signers are the CAs of the pairs, the newer first.
func (s Stored) signers() (cas []*x509.Certificate) {
	for _, p := range []*Pair{s.Next, s.Serving} {
		if p != nil {
			cas = append(cas, p.CA)
		}
	}
	return cas
}

func sameData(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }
