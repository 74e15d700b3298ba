package certificates

import (
	"crypto/x509"
	"slices"
	"time"
)

// Config is what amp's certificate is to be like.
type Config struct {
	Names    []string // DNS names and IP addresses
	Lifetime time.Duration
}

// Seen is what a replica finds in the cluster.
type Seen struct {
	Bundles [][]byte          // the caBundle of every webhook
	Hosts   []string          // by which the API server calls
	Missing bool              // whether a webhook configuration does not exist
	Secret  map[string][]byte // the Secret's data; to be read after the configurations
}

// Memory is what a replica keeps from one look at the cluster to the next.
type Memory struct {
	Serving  *Pair // what it serves; nil: nothing yet
	Verified bool  // whether that has verified against all bundles

	last    State                // the last one with something to serve
	trusted bool                 // whether it may serve that at once: see serve
	held    map[string]time.Time // the CAs that all bundles hold, by their DER, and since when it has seen that
}

// Step says why the Secret is to be written.
type Step string

// The steps, of which one look takes one.
const (
	Made     Step = "made"     // nothing was to be served, and this replica does not know what had been
	Restored Step = "restored" // nothing was to be served, but this replica knows what had been
	Staged   Step = "staged"   // a renewal is due, and its CA is to be trusted first
	Promoted Step = "promoted" // it is trusted: to be served
	Trusted  Step = "trusted"  // the CA of what this replica serves was missing, or one has ended
)

// Decision is what is to be done.
type Decision struct {
	Step    Step   // why the Secret is to be written; empty: it is as it should be
	Because string // more on that
	State   State  // what the Secret is to say

	// Bundle is what the caBundle of every webhook is to be; nil while the Secret is to be written: what the API
	// server trusts stands there first.
	Bundle []byte

	Again time.Time // when there is something to do that no change in the cluster tells of
}

// Decide names the next step, and changes what the replica serves:
//
//	the Secret says           | this replica               | step
//	--------------------------+----------------------------+----------------------------------------------------
//	nothing to be served      | knows what it last was     | restored: that again
//	nothing to be served      | does not                   | made: the next pair or, where the bundles trust
//	                          |                            | nobody else, what is to be served at once
//	a pair to be renewed      |                            | staged: the next pair, and its CA
//	a next pair               | saw its CA in all bundles  | promoted: it is to be served
//	                          | for the settle time        |
//	CAs                       | serves what none has signed| trusted: with the one that has, and the bundles'
//	another pair than it      | can verify it, see serve   | none: it serves that pair from now on
//	serves                    |                            |
//
// This is what keeps every API server able to verify every replica: what the Secret says is to be served was
// trusted by all bundles for the settle time, or there was nobody who served anything else; and a CA leaves
// the Secret, and so the bundles, when it has ended. Only one that outlives what replaces it, as a CA that
// amp did not make may by years, leaves with the next renewal.
func (m *Memory) Decide(now time.Time, config Config, seen Seen) (Decision, error) {
	bundles := make([][]*x509.Certificate, len(seen.Bundles))
	for i, text := range seen.Bundles {
		bundles[i] = unexpired(parse(text), now)
	}
	m.hold(now, bundles)
	s, unusable := read(seen.Secret, now)
	m.serve(now, slices.Concat(config.Names, seen.Hosts), bundles, seen.Missing, s)

	var d Decision
	switch due := s.due(now, config.Names); {
	case s.Serving == nil && m.last.Serving.good(now):
		d.Step, d.Because = Restored, unusable.Error()
		s.Serving, s.CAs = m.last.Serving, union(s.CAs, m.last.CAs, union(bundles...))
		if s.Next == nil && m.last.Next.good(now) {
			s.Next = m.last.Next
		}
	case s.Next != nil && m.settled(s.Next, s, now):
		d.Step = Promoted
		s.CAs = slices.DeleteFunc(slices.Clone(s.CAs), func(ca *x509.Certificate) bool {
			// Renewals that follow on one another, for other names for one, are too close to what it signed.
			return s.Serving != nil && !now.Before(s.Serving.Renewal()) && ca.NotAfter.After(s.Next.NotAfter()) && !ca.Equal(s.Serving.CA)
		})
		s.Serving, s.Next = s.Next, nil
	case s.Serving == nil:
		// Somebody may serve what the bundles trust: replicas that were not asked yet, or those of another
		// installation that this one replaces.
		s.CAs = union(s.CAs, union(bundles...))
		if s.Next == nil {
			next, err := Make(now, config.Lifetime, config.Names)
			if err != nil {
				return d, err
			}
			d.Step, d.Because, s.Next = Made, unusable.Error(), next
			if len(union([]*x509.Certificate{next.CA}, union(bundles...))) == 1 {
				s.Serving, s.Next = next, nil
			}
		}
	case due != "":
		names := config.Names
		if due == dueNames {
			// Replicas that want other names may be at work, in a rollout: with all names neither undoes the
			// other's. Those that nobody wants are gone with the next renewal.
			names = append(slices.Clone(names), s.Serving.without(names)...)
		}
		next, err := Make(now, config.Lifetime, names)
		if err != nil {
			return d, err
		}
		d.Step, d.Because, s.Next = Staged, due, next
	}

	if m.Verified && m.Serving.good(now) && !contains(s.CAs, m.Serving.CA) {
		// Somebody has overwritten the Secret, and others may miss their CA, too.
		s.CAs = union(s.CAs, []*x509.Certificate{m.Serving.CA}, union(bundles...))
	}
	s.CAs = unexpired(union(s.signers(), s.CAs), now)
	d.State = s
	if !equal(s.write(seen.Secret), seen.Secret) {
		if d.Step == "" {
			d.Step = Trusted
		}
		return d, nil
	}
	d.Bundle = encode(s.CAs)
	d.Again = m.again(now, s)
	return d, nil
}

// Why a renewal is due.
const (
	dueTime  = "two thirds of its life are over"
	dueNames = "it is not for every name in AMP_TLS_DNS_NAMES"
)

// due says why a renewal is to be begun, if it is.
func (s State) due(now time.Time, names []string) string {
	switch {
	case s.Serving == nil || s.Next != nil:
		return ""
	case !now.Before(s.Serving.Renewal()):
		return dueTime
	case !s.Serving.covers(names):
		return dueNames
	}
	return ""
}

// signers are the CAs of the pairs, the newer first.
func (s State) signers() (cas []*x509.Certificate) {
	for _, p := range []*Pair{s.Next, s.Serving} {
		if p != nil {
			cas = append(cas, p.CA)
		}
	}
	return cas
}

// hold remembers since when all bundles have held which CAs. A configuration that does not exist has no say: nobody
// calls by it.
func (m *Memory) hold(now time.Time, bundles [][]*x509.Certificate) {
	held := map[string]time.Time{}
	for _, ca := range union(bundles...) {
		if slices.ContainsFunc(bundles, func(b []*x509.Certificate) bool { return !contains(b, ca) }) {
			continue
		}
		since, ok := m.held[string(ca.Raw)]
		if !ok {
			since = now
		}
		held[string(ca.Raw)] = since
	}
	m.held = held
}

// settled reports whether the replica has seen the CA of a pair in all bundles long enough for every API
// server to have seen it.
func (m *Memory) settled(p *Pair, s State, now time.Time) bool {
	since, ok := m.held[string(p.CA.Raw)]
	return ok && now.Sub(since) >= s.settle()
}

// serve changes what the replica serves to what the Secret says, once that verifies against all bundles. Since
// somebody else than amp may have put it there, it must have done so for the settle time. Who serves nothing
// yet, and has not served before, does not wait where it did when the replica first saw it; nor does who serves nothing
// any more where the bundles trust nobody else. But there must be every configuration that it was told of, for its name
// may be misspelt. names are those that the certificate must have.
func (m *Memory) serve(now time.Time, names []string, bundles [][]*x509.Certificate, missing bool, s State) {
	if s.Serving == nil {
		return
	}
	if !s.Serving.same(m.last.Serving) {
		_, held := m.held[string(s.Serving.CA.Raw)]
		m.trusted = held && !m.Verified || len(union([]*x509.Certificate{s.Serving.CA}, union(bundles...))) == 1
	}
	m.last = s
	serves := m.Verified && m.Serving.good(now)
	verified := (serves || !missing) && s.Serving.covers(names) && (m.settled(s.Serving, s, now) || m.trusted && !serves) &&
		!slices.ContainsFunc(bundles, func(b []*x509.Certificate) bool {
			_, err := s.Serving.chain(b, now)
			return err != nil
		})
	switch {
	case s.Serving.same(m.Serving):
		if verified || !m.Verified { // its chain may be another
			m.Serving = s.Serving
		}
		m.Verified = m.Verified || verified
	case verified || !serves:
		m.Serving, m.Verified = s.Serving, verified
	}
}

// again is when time alone brings the next step.
func (m *Memory) again(now time.Time, s State) time.Time {
	var times []time.Time
	for _, p := range []*Pair{s.Next, s.Serving} {
		if p == nil {
			continue
		}
		if since, ok := m.held[string(p.CA.Raw)]; ok && !(m.Verified && p.same(m.Serving)) {
			times = append(times, since.Add(s.settle()))
		}
		times = append(times, p.Renewal())
	}
	for _, ca := range s.CAs {
		times = append(times, ca.NotAfter.Add(time.Millisecond)) // good until then, and that included
	}
	times = slices.DeleteFunc(times, func(t time.Time) bool { return !t.After(now) })
	if len(times) == 0 {
		return now.Add(time.Minute)
	}
	return slices.MinFunc(times, time.Time.Compare)
}
