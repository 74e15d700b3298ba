package certificates

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"time"
)

// The keys of the Secret; others in it are left alone.
const (
	keyCert     = "tls.crt" // what is served now
	keyKey      = "tls.key"
	keyCAs      = "ca.crt" // whom to trust
	keyNextCert = "next.crt"
	keyNextKey  = "next.key"
)

// State is what the Secret says.
type State struct {
	Serving *Pair               // what replicas serve; nil: nothing that could be used
	Next    *Pair               // what they will serve once its CA is trusted; nil: no renewal is under way
	CAs     []*x509.Certificate // whoever has signed what a replica may still serve; newest first
}

// read reads the Secret's data. The error says why there is nothing in it that could be served: a pair must
// fit together, be good now, and be signed by one of the CAs beside it.
func read(data map[string][]byte, now time.Time) (State, error) {
	if data == nil {
		return State{}, errors.New("there is no Secret")
	}
	s := State{CAs: parse(data[keyCAs])}
	var err error
	if s.Serving, err = newPair(data[keyCert], data[keyKey], s.CAs, now); err != nil {
		s.Serving, err = nil, fmt.Errorf("%s: %w", keyCert, err)
	}
	// What was staged is worth nothing damaged: another is made.
	if next, err := newPair(data[keyNextCert], data[keyNextKey], s.CAs, now); err == nil {
		s.Next = next
	}
	return s, err
}

// write returns data with the state in it.
func (s State) write(data map[string][]byte) map[string][]byte {
	data = maps.Clone(data)
	if data == nil {
		data = map[string][]byte{}
	}
	data[keyCAs] = encode(s.CAs)
	// The Secret's type wants these two keys, also while there is nothing to be served.
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

// settle is how long a CA must have been in the configurations before the certificate that it signed is
// served: the API servers of a control plane hear of a change at their own pace. The shorter of the two lives
// counts, or a first long one would come after the last short one has ended.
func (s State) settle() time.Duration {
	d := time.Minute
	for _, p := range []*Pair{s.Serving, s.Next} {
		if p != nil {
			d = min(d, p.lifetime()/20)
		}
	}
	return d
}

func equal(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }
