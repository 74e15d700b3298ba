package certificates

import (
	"crypto/x509"
	"testing"
	"time"
)

// TestServe has the rows of the table at Replica.serve.
func TestServe(t *testing.T) {
	const day, settle = 24 * time.Hour, time.Minute
	own, p, other := pair(t, start.Add(-day), 90*day), pair(t, start, 90*day), pair(t, start.Add(-2*day), 90*day)
	short := pair(t, start.Add(-2*time.Hour), time.Hour) // has ended
	otherName := pair(t, start, 90*day, "amp-direct.amp-system.svc")

	verified := func(p *Pair) Replica {
		return Replica{Serving: p, Verified: true, last: Stored{Serving: p, CAs: cas(p)}}
	}
	unverified := func(p *Pair) Replica { return Replica{Serving: p, last: Stored{Serving: p, CAs: cas(p)}} }
	bundles := func(all ...[]byte) [][]byte { return all }
	of := func(pairs ...*Pair) []byte { return encode(cas(pairs...)) }

	// look is what the replica observes at a time, and what it then serves.
	type look struct {
		at      time.Duration // since start
		p       *Pair         // in the Secret; nil: none
		bundles [][]byte
		serves  *Pair
		ready   bool
	}
	for _, test := range []struct {
		name    string
		replica Replica
		missing int // in so many looks, the first ones, a configuration is missing
		looks   []look
	}{
		{"1: a new replica, and there is no P", Replica{}, 0, []look{
			{0, nil, bundles(of(other)), nil, false}}},
		{"1: a ready replica, and there is no P", verified(own), 0, []look{
			{0, nil, bundles(nil, of(other)), own, true}}},
		{"2: P's CA is in no bundle any more", verified(p), 0, []look{
			{0, p, bundles(nil, of(other)), p, true},
			{2 * settle, p, bundles([]byte("garbage")), p, true}}},
		{"2: and a configuration is missing", verified(p), 1, []look{
			{0, p, nil, p, true}}},
		{"3: P's CA has settled", verified(own), 0, []look{
			{0, p, bundles(of(p, own), of(p, own)), own, true},
			{settle - time.Second, p, bundles(of(p, own), of(own, p)), own, true},
			{settle, p, bundles(of(p, own), of(p, own)), p, true}}},
		{"3: it had settled before P was to be served", verified(own), 0, []look{
			{0, own, bundles(of(p, own)), own, true},
			{settle, p, bundles(of(p, own)), p, true}}},
		{"3: and a configuration is missing", verified(own), 9, []look{
			{0, p, bundles(of(p, own)), own, true},
			{settle, p, bundles(of(p, own)), p, true}}},
		{"4: one bundle does not have P's CA", verified(own), 0, []look{
			{0, p, bundles(of(p, own), of(own)), own, true},
			{2 * settle, p, bundles(of(p, own), of(own)), own, true}}},
		{"4: P's CA was missing in between", verified(own), 0, []look{
			{0, p, bundles(of(p, own)), own, true},
			{settle / 2, p, bundles(of(own)), own, true},
			{settle * 3 / 4, p, bundles(of(p, own)), own, true},
			{settle * 3 / 2, p, bundles(of(p, own)), own, true},
			{settle * 7 / 4, p, bundles(of(p, own)), p, true}}},
		{"4: no bundle has another CA than P's", verified(own), 0, []look{
			{0, p, bundles(of(p)), own, true},
			{settle - time.Second, p, bundles(of(p)), own, true}}},
		{"4: P does not have all names", verified(own), 0, []look{
			{0, otherName, bundles(of(otherName, own)), own, true},
			{2 * settle, otherName, bundles(of(otherName, own)), own, true}}},
		{"5: all bundles have P's CA", Replica{}, 0, []look{
			{0, p, bundles(of(p, own), of(own, p)), p, true}}},
		{"5: and P does not have all names", Replica{}, 0, []look{
			{0, otherName, bundles(of(otherName)), otherName, false},
			{2 * settle, otherName, bundles(of(otherName)), otherName, false}}},
		{"5: it serves another pair, which is not verified", unverified(own), 0, []look{
			{0, p, bundles(of(p, other)), p, true}}},
		{"6: no bundle has a CA", Replica{}, 0, []look{
			{0, p, bundles(nil, nil), p, false},
			{time.Second, p, bundles(of(p), nil), p, false},
			{2 * time.Second, p, bundles(of(p), of(p)), p, true}}},
		{"7: the bundles have another CA", Replica{}, 0, []look{
			{0, p, bundles(of(own)), p, false},
			{time.Second, p, bundles(of(p, own)), p, false},
			{settle, p, bundles(of(p, own)), p, false},
			{settle + time.Second, p, bundles(of(p, own)), p, true}}},
		{"7: one bundle does not have P's CA", Replica{}, 0, []look{
			{0, p, bundles(of(p, own), of(own)), p, false},
			{2 * settle, p, bundles(of(p, own), of(own)), p, false}}},
		{"8: no bundle has another CA than P's", verified(short), 0, []look{
			{0, p, bundles(of(p)), p, true}}},
		{"8: no bundle has a CA", verified(short), 0, []look{
			{0, p, bundles(nil), p, false},
			{time.Second, p, bundles(of(p)), p, true}}},
		{"8: what the bundles have besides has ended", verified(short), 0, []look{
			{0, p, bundles(of(short, p)), p, true}}},
		{"9: all bundles have P's CA, and another one", verified(short), 0, []look{
			{0, p, bundles(of(p, other)), p, false},
			{settle - time.Second, p, bundles(of(p, other)), p, false},
			{settle, p, bundles(of(p, other)), p, true}}},
		{"10: a configuration is missing", Replica{}, 2, []look{
			{0, p, bundles(of(p)), p, false},
			{2 * settle, p, bundles(of(p)), p, false},
			{2*settle + time.Second, p, bundles(of(p)), p, true}}},
		{"10: a configuration is missing, and the pair has ended", verified(short), 1, []look{
			{0, p, bundles(of(p)), p, false},
			{time.Second, p, bundles(of(p)), p, true}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := test.replica
			for i, look := range test.looks {
				var secret map[string][]byte
				if look.p != nil {
					secret = Stored{Serving: look.p, CAs: cas(look.p)}.write(nil)
				}
				o := observed(start.Add(look.at), secret, look.bundles...)
				if i < test.missing {
					o.Missing = []string{"amp"}
				}
				r.observe(o, wanted.Names)
				if serves := r.Serving == nil && look.serves == nil || r.Serving.same(look.serves); !serves || r.ready(o.At) != look.ready {
					t.Fatalf("after %v it serves what it has to: %v; ready %v, want %v", look.at, serves, r.ready(o.At), look.ready)
				}
			}
		})
	}
}

// TestServeWithARenewedCA has another authority renew its CA with the same key: the pair is the same, and ends later.
func TestServeWithARenewedCA(t *testing.T) {
	a := newAuthority(t)
	ca, renewed := a.ca(start, start.Add(time.Hour)), a.ca(start, start.Add(2*time.Hour))
	p := a.issue(ca, start, start.Add(3*time.Hour))
	r := Replica{Serving: p, Verified: true, last: Stored{Serving: p, CAs: cas(p)}}
	s := Stored{Serving: p, CAs: []*x509.Certificate{ca, renewed}}
	for _, look := range []struct{ after, left time.Duration }{{0, time.Hour}, {time.Minute, 2*time.Hour - time.Minute}} {
		now := start.Add(look.after)
		r.observe(observed(now, s.write(nil), encode(s.CAs)), wanted.Names)
		if left := r.Serving.NotAfter().Sub(now); !r.ready(now) || left != look.left {
			t.Errorf("after %v: ready %v, for another %v", look.after, r.ready(now), left)
		}
	}
}
