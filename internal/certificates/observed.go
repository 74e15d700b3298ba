package certificates

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"
)

// Observed is what a replica read in the cluster, and when.
type Observed struct {
	At      time.Time             // when it was read
	Bundles [][]*x509.Certificate // the CAs in each caBundle that have not ended; equal bundles are here once
	Hosts   []string              // the names that the API server calls
	Missing []string              // the webhook configurations that do not exist
	Secret  Stored                // what the Secret says

	unusable error             // why the Secret has no pair that can be served; nil: it has one
	data     map[string][]byte // the Secret's data; nil: there is no Secret
}

// Observe parses what was read at that time. The Secret must have been read after the configurations: what is then
// written into a configuration, on condition that it has not changed, is never older than what is in it.
func Observe(at time.Time, configurations []Configuration, missing []string, data map[string][]byte) *Observed {
	o := &Observed{At: at, Missing: missing, data: data}
	var texts [][]byte
	for _, c := range configurations {
		o.Hosts = append(o.Hosts, c.Hosts...)
		for _, text := range c.Bundles {
			if slices.ContainsFunc(texts, func(known []byte) bool { return bytes.Equal(known, text) }) {
				continue
			}
			texts = append(texts, text)
			o.Bundles = append(o.Bundles, unexpired(parse(text), at))
		}
	}
	o.Secret, o.unusable = read(data, at)
	return o
}

// trusted are the CAs in any bundle.
func (o *Observed) trusted() []*x509.Certificate { return union(o.Bundles...) }

// trustsOnly reports whether no bundle has another CA than this one.
func (o *Observed) trustsOnly(ca *x509.Certificate) bool {
	return !slices.ContainsFunc(o.trusted(), func(c *x509.Certificate) bool { return !c.Equal(ca) })
}

// inEveryBundle reports whether all bundles have the CA.
func (o *Observed) inEveryBundle(ca *x509.Certificate) bool {
	return !slices.ContainsFunc(o.Bundles, func(bundle []*x509.Certificate) bool { return !contains(bundle, ca) })
}

// verifies reports whether every bundle verifies the pair.
func (o *Observed) verifies(p *Pair) bool {
	return !slices.ContainsFunc(o.Bundles, func(bundle []*x509.Certificate) bool {
		_, err := p.chain(bundle, o.At)
		return err != nil
	})
}
