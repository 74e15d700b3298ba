package certificates

import "time"

// Replica is the state of one replica: what it serves, and what it remembers from one reconciliation to the next.
// The zero value is a replica that has just started.
type Replica struct {
	Serving  *Pair // what it serves; nil: nothing yet
	Verified bool  // whether every bundle has verified that

	last         Stored               // what the Secret said when it last had a pair to be served
	atOnce       bool                 // whether that pair may be served without the settle time: see serve
	trustedSince map[string]time.Time // the CAs that every bundle has, by their DER, and since when the replica has seen that
}

// ready reports whether what the replica serves is verified and has not ended.
func (r *Replica) ready(now time.Time) bool { return r.Verified && r.Serving.valid(now) }

// observe lets the replica remember which CAs are trusted, and serve another pair where it may. names are those that the
// API server calls or the configuration wants.
func (r *Replica) observe(o *Observed, names []string) {
	r.trustedSince = r.trust(o)
	if o.Secret.Serving != nil { // otherwise: row 1 of serve
		r.serve(o, names)
	}
}

// trust returns since when every bundle has had which CAs. A configuration that does not exist does not count: the
// API server calls nothing by it.
func (r *Replica) trust(o *Observed) map[string]time.Time {
	since := map[string]time.Time{}
	for _, ca := range o.trusted() {
		if !o.inEveryBundle(ca) {
			continue
		}
		before, ok := r.trustedSince[string(ca.Raw)]
		if !ok {
			before = o.At
		}
		since[string(ca.Raw)] = before
	}
	return since
}

// settles returns when the replica will have seen the pair's CA in every bundle for the settle time. By then every API
// server knows it. ok is false if the CA is not in every bundle.
func (r *Replica) settles(p *Pair, s Stored) (at time.Time, ok bool) {
	since, ok := r.trustedSince[string(p.CA.Raw)]
	return since.Add(settle(s.Serving, s.Next, r.Serving)), ok
}

// settled reports whether the pair's CA has settled.
func (r *Replica) settled(p *Pair, s Stored, now time.Time) bool {
	at, ok := r.settles(p, s)
	return ok && !now.Before(at)
}

// waits returns until when a replica that is not ready waits for a CA to settle; the zero time if it does not. That is so
// in rows 7 and 9 of serve, and where the Secret has no pair to be served but a next one.
func (r *Replica) waits(s Stored, now time.Time) (until time.Time) {
	if r.ready(now) {
		return until
	}
	for _, p := range []*Pair{s.Serving, s.Next} {
		if p == nil {
			continue
		}
		if at, ok := r.settles(p, s); ok && at.After(now) && (until.IsZero() || at.Before(until)) {
			until = at
		}
	}
	return until
}

// serve changes which pair the replica serves. P is the pair that the Secret says is to be served.
// Each row is a case of TestServe. The last column names what leads there in TestSimulation.
//
//	row | this replica       | P's CA is in the bundles   | it serves | ready       | what leads there
//	----+--------------------+----------------------------+-----------+-------------+---------------------------------------
//	1   | any; there is no P |                            | as before | as before   | the Secret is deleted or overwritten
//	2   | ready with P       | any                        | P         | yes         | a bundle is overwritten
//	3   | ready with another | all, for the settle time   | P         | yes         | a renewal is promoted
//	4   | ready with another | otherwise                  | its own   | yes         | another authority's pair in the Secret
//	5   | unverified         | all, when it first saw P   | P         | yes         | this replica starts
//	6   | unverified         | alone, when it first saw P | P         | once in all | all replicas start, the first time
//	7   | unverified         | otherwise                  | P         | as in row 3 | it starts after a bundle was overwritten
//	8   | ended              | alone, when it first saw P | P         | once in all | all replicas were cut off for a lifetime
//	9   | ended              | otherwise                  | P         | as in row 3 | this replica was cut off for a lifetime
//	10  | not ready, while a | any                        | P         | no          | (not simulated: a name in AMP_WEBHOOKS
//	    | webhook            |                            |           |             | may be wrong)
//	    | configuration is   |                            |           |             |
//	    | missing            |                            |           |             |
//
// Ready with another is a replica whose own pair is verified and has not ended. Unverified is one whose pair the bundles have
// not verified, or that serves nothing yet. Ended is one whose verified pair has ended. All means that every bundle has P's
// CA; alone, that no bundle has another CA, whether or not it has P's.
//
// In addition, a replica serves P as verified only if every bundle verifies P and P has all names. Rows 3 and 4 hold since a
// program other than amp may have written P. Rows 5, 6 and 8 do not wait for the settle time. In row 5 amp wrote P
// after its CA had settled. In rows 6 and 8 no replica can be serving what another CA signed.
func (r *Replica) serve(o *Observed, names []string) {
	p := o.Secret.Serving
	if !p.same(r.last.Serving) {
		_, trusted := r.trustedSince[string(p.CA.Raw)]
		r.atOnce = trusted && !r.Verified || o.trustsOnly(p.CA)
	}
	r.last = o.Secret

	ready := r.ready(o.At)
	mayServe := r.settled(p, o.Secret, o.At) || r.atOnce && !ready
	mayCall := ready || len(o.Missing) == 0
	verified := mayServe && mayCall && p.covers(names) && o.verifies(p)
	switch {
	case p.same(r.Serving):
		if verified || !r.Verified {
			r.Serving = p // its chain may be another
		}
		r.Verified = r.Verified || verified
	case verified || !ready:
		r.Serving, r.Verified = p, verified
	}
}
