package certificates

import (
	"crypto/x509"
	"slices"
	"time"
)

// Config is what amp's certificate has to be like.
type Config struct {
	Names    []string // DNS names and IP addresses
	Lifetime time.Duration
}

// Step says why the Secret is to be written. One reconciliation takes one step.
type Step string

// The steps: see the table at [Decide].
const (
	Made     Step = "made"     // there was no pair to serve, and this replica does not know an earlier one
	Restored Step = "restored" // there was no pair to serve, but this replica knows the one that was there
	Staged   Step = "staged"   // a renewal is due; the CA of the next pair has to be trusted first
	Promoted Step = "promoted" // the CA of the next pair is trusted: that pair is to be served
	Trusted  Step = "trusted"  // the CA of what this replica serves was missing, or a CA has ended
)

// Decision is what is to be done.
type Decision struct {
	Step   Step     // why the Secret is to be written; empty: it is as it has to be
	Reason string   // what led to the step, where the step does not say it
	Secret Stored   // what the Secret has to say, apart from New
	New    *NewPair // to be made and put into the Secret; nil: none

	// Bundle is what the caBundle of every webhook has to be. It is nil if there is a step: the CAs are stored in the
	// Secret before they are written into a bundle.
	Bundle []byte

	// RequeueAfter is when to look at the cluster again, after [Observed.At], even if nothing changes there. It is set
	// only if there is no step. After a step the replica looks again at once.
	RequeueAfter time.Duration
}

// Decide returns the next step, and the replica's new state, with the pair that it serves from now on. It is a pure
// function: it does not change what it is given, and makes no keys.
//
//	the Secret says           | this replica                 | step
//	--------------------------+------------------------------+-------------------------------------------------------
//	no pair to serve          | knows the last one           | restored: the last one again
//	no pair to serve          | does not know one            | made: a new pair, as the next one. If no bundle has a
//	                          |                              | CA, it is made as the pair to serve
//	a pair that is due        | any                          | staged: a next pair, and its CA
//	a next pair               | has seen its CA in all       | promoted: the next pair is to be served
//	                          | bundles for the settle time  |
//	CAs                       | serves a verified pair that  | trusted: these CAs, the one that signed its pair, and
//	                          | none of them signed          | those in the bundles
//	a CA that has ended       | any                          | trusted: without it
//	anything else             | any                          | none: the bundles get the CAs in the Secret
//
// So every API server can verify every replica:
//   - A pair is served only after all bundles had its CA for the settle time, or when no replica can be serving
//     another one.
//   - A CA leaves the Secret, and so the bundles, when it has ended. amp may have adopted a CA that ends years later. If
//     such a CA outlives the new pair, the next renewal removes it.
func Decide(config Config, replica Replica, o *Observed) (Decision, Replica) {
	replica.observe(o, slices.Concat(config.Names, o.Hosts))
	d := replica.next(config, o)
	if replica.ready(o.At) && !contains(d.Secret.CAs, replica.Serving.CA) {
		// Another program has overwritten the Secret, so the CAs of other replicas may be missing, too.
		d.Secret.CAs = union(d.Secret.CAs, []*x509.Certificate{replica.Serving.CA}, o.trusted())
	}
	d.Secret.CAs = unexpired(union(d.Secret.signers(), d.Secret.CAs), o.At)
	if d.New != nil || !sameData(d.Secret.write(o.data), o.data) {
		if d.Step == "" {
			d.Step = Trusted
		}
		return d, replica
	}
	d.Bundle = encode(d.Secret.CAs)
	d.RequeueAfter = replica.requeueAfter(d.Secret, o.At)
	return d, replica
}

// next returns the step that the Secret's pairs and the time ask for, if any.
func (r *Replica) next(config Config, o *Observed) (d Decision) {
	d.Secret = o.Secret
	s := &d.Secret
	switch due := s.due(o.At, config.Names); {
	case s.Serving == nil && r.last.Serving.valid(o.At):
		d.Step, d.Reason = Restored, o.unusable.Error()
		s.Serving, s.CAs = r.last.Serving, union(s.CAs, r.last.CAs, o.trusted())
		if s.Next == nil && r.last.Next.valid(o.At) {
			s.Next = r.last.Next
		}
	case s.Next != nil && r.settled(s.Next, o.Secret, o.At):
		d.Step = Promoted
		// If one renewal follows another early, for instance for other names, these CAs stay: a replica may still serve
		// a certificate that they signed.
		if s.Serving != nil && !o.At.Before(s.Serving.Renewal()) {
			s.CAs = slices.DeleteFunc(slices.Clone(s.CAs), func(ca *x509.Certificate) bool {
				return ca.NotAfter.After(o.Secret.Next.NotAfter()) && !ca.Equal(o.Secret.Serving.CA)
			})
		}
		s.Serving, s.Next = s.Next, nil
	case s.Serving == nil:
		// The CAs in the bundles stay. A replica that has not read the Secret since, or one of an installation that this
		// one replaces, may still serve a certificate that they signed.
		s.CAs = union(s.CAs, o.trusted())
		if s.Next == nil {
			d.Step, d.Reason = Made, o.unusable.Error()
			d.New = &NewPair{Names: config.Names, ServeNow: len(o.trusted()) == 0}
		}
	case due != "":
		names := config.Names
		if due == dueNames {
			// During a rollout other replicas may want other names. A certificate for all names keeps the replicas
			// from replacing each other's. The next renewal drops the names that no replica wants.
			names = append(slices.Clone(names), s.Serving.namesExcept(names)...)
		}
		d.Step, d.Reason, d.New = Staged, due, &NewPair{Names: names}
	}
	return d
}

// Why a renewal is due.
const (
	dueTime  = "two thirds of its lifetime have passed"
	dueNames = "it does not have every name in AMP_TLS_DNS_NAMES"
)

// due says why a renewal has to begin; empty: it does not.
func (s Stored) due(now time.Time, names []string) string {
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

// requeueAfter is how long it takes until time alone brings the next step: a CA has settled, a renewal is due or a CA
// has ended.
func (r *Replica) requeueAfter(s Stored, now time.Time) time.Duration {
	var times []time.Time
	for _, p := range []*Pair{s.Next, s.Serving} {
		if p == nil {
			continue
		}
		if at, ok := r.settles(p, s); ok && !(r.Verified && p.same(r.Serving)) {
			times = append(times, at)
		}
		times = append(times, p.Renewal())
	}
	for _, ca := range s.CAs {
		times = append(times, ca.NotAfter.Add(time.Millisecond)) // NotAfter itself is still valid
	}
	times = slices.DeleteFunc(times, func(t time.Time) bool { return !t.After(now) })
	if len(times) == 0 {
		return time.Minute
	}
	return slices.MinFunc(times, time.Time.Compare).Sub(now)
}
