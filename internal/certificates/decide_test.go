package certificates

import (
	"bytes"
	"crypto/x509"
	"maps"
	"reflect"
	"testing"
	"time"
)

// observed is what a replica observes that reads these bundles and this Secret.
func observed(at time.Time, secret map[string][]byte, bundles ...[]byte) *Observed {
	return Observe(at, []Configuration{{Bundles: bundles}}, nil, secret)
}

// take decides, and returns the decision with what the Secret says once the pair that it asks for is made.
func take(t testing.TB, config Config, replica *Replica, o *Observed) (d Decision) {
	t.Helper()
	d, *replica = Decide(config, *replica, o)
	if d.New != nil {
		var err error
		if d.Secret, err = d.New.make(d.Secret, o.At, config.Lifetime); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestDecide(t *testing.T) {
	day := 24 * time.Hour
	old, young, other := pair(t, start.Add(-60*day), 90*day), pair(t, start, 90*day), pair(t, start.Add(-day), 90*day)
	short := pair(t, start.Add(-20*time.Hour), day)
	foreign := pair(t, start.Add(-day), 3650*day)
	endsLate := issued(t, start, start.Add(30*day), start.Add(90*day))
	foreignCA := issued(t, start.Add(-61*day), start.Add(3650*day), start.Add(29*day)) // has a CA that ends late
	endedLeaf := issued(t, start.Add(-day), start.Add(3650*day), start.Add(-time.Hour))
	otherName := pair(t, start.Add(-day), 90*day, "amp-direct.amp-system.svc")

	// situation is what a case begins with. In a steady one the replica serves what the Secret and the bundles say.
	type situation struct {
		now     time.Time
		replica Replica
		secret  map[string][]byte
		bundles [][]byte
		missing []string
		hosts   []string
	}
	say := func(s Stored) map[string][]byte { return s.write(nil) }
	steady := func(p *Pair) situation {
		s := Stored{Serving: p, CAs: cas(p)}
		return situation{start, Replica{Serving: p, Verified: true, last: s}, say(s), [][]byte{encode(s.CAs), encode(s.CAs)}, nil, nil}
	}
	fresh := func(w situation) situation { w.replica = Replica{}; return w }

	for name, test := range map[string]struct {
		given        func() situation
		step         Step
		serving      *Pair // what the Secret is to say; nil: no pair, or a new one
		next         *Pair
		newPair      string              // which of serving and next is a new one
		cas          []*x509.Certificate // what the Secret is to say, apart from others
		without      *Pair               // the pair whose CA the Secret is not to say
		serves       *Pair
		verified     bool
		requeueAfter time.Duration
	}{
		"nothing is due": {given: func() situation { return steady(other) },
			serving: other, cas: cas(other), serves: other, verified: true, requeueAfter: other.Renewal().Sub(start)},
		"nothing is there": {given: func() situation { return situation{now: start, bundles: [][]byte{nil}} },
			step: Made, newPair: "serving"},
		"nothing is there, and no configuration either": {given: func() situation { return situation{now: start, missing: []string{"amp"}} },
			step: Made, newPair: "serving"},
		"the Secret is lost, and this replica knows what it said": {given: func() situation { w := steady(other); w.secret = nil; return w },
			step: Restored, serving: other, cas: cas(other), serves: other, verified: true},
		"the Secret is lost, and the bundles trust another CA, too": {
			given: func() situation {
				w := steady(other)
				w.secret, w.bundles = nil, [][]byte{encode(cas(other)), encode(cas(foreign))}
				return w
			},
			step: Restored, serving: other, cas: cas(other, foreign), serves: other, verified: true},
		"the Secret is lost during a renewal": {
			given: func() situation {
				w := steady(old)
				w.replica.last = Stored{Serving: old, Next: young, CAs: cas(young, old, foreign)}
				w.secret = nil
				return w
			},
			step: Restored, serving: old, next: young, cas: cas(young, old, foreign), serves: old, verified: true},
		"the Secret is lost, and this replica is new: other replicas may serve what the bundles trust": {
			given: func() situation { w := fresh(steady(other)); w.secret = nil; return w },
			step:  Made, newPair: "next", cas: cas(other)},
		"what the Secret said is lost, and what this replica knows has ended": {
			given: func() situation { w := steady(short); w.secret, w.now = nil, start.Add(day); return w },
			step:  Made, newPair: "serving", without: short, serves: short, verified: true},
		"what the Secret said is lost, and what this replica knows has ended before its CA": {
			given: func() situation { w := steady(endedLeaf); w.secret, w.bundles = nil, nil; return w },
			step:  Made, newPair: "serving", without: endedLeaf, serves: endedLeaf, verified: true},
		"the Secret has a next pair only": {
			given: func() situation {
				w := fresh(steady(other))
				s := Stored{Next: young, CAs: cas(young, other)}
				w.secret, w.bundles = say(s), [][]byte{encode(s.CAs)}
				return w
			},
			next: young, cas: cas(young, other), requeueAfter: time.Minute},
		"the key is garbage": {given: func() situation { w := steady(other); w.secret[keyKey] = []byte("garbage"); return w },
			step: Restored, serving: other, cas: cas(other), serves: other, verified: true},
		"the CAs are those of another authority": {given: func() situation { w := steady(other); w.secret[keyCAs] = encode(cas(foreign)); return w },
			step: Restored, serving: other, cas: cas(other), serves: other, verified: true},
		"two thirds are over": {given: func() situation { w := steady(old); w.now = old.Renewal(); return w },
			step: Staged, serving: old, newPair: "next", cas: cas(old), serves: old, verified: true},
		"it is for another name": {given: func() situation { w := steady(otherName); w.replica = Replica{}; return w },
			step: Staged, serving: otherName, newPair: "next", cas: cas(otherName), serves: otherName},
		"the next CA has only just come into the bundles": {
			given: func() situation {
				w := steady(old)
				s := Stored{Serving: old, Next: young, CAs: cas(young, old)}
				w.secret, w.bundles = say(s), [][]byte{encode(s.CAs), encode(s.CAs)}
				return w
			},
			serving: old, next: young, cas: cas(young, old), serves: old, verified: true, requeueAfter: time.Minute},
		"the next CA has been in the bundles for a minute": {
			given: func() situation {
				w := steady(old)
				s := Stored{Serving: old, Next: young, CAs: cas(young, old, foreign)}
				w.secret, w.bundles = say(s), [][]byte{encode(s.CAs)}
				w.replica.trustedSince = map[string]time.Time{string(young.CA.Raw): start.Add(-time.Minute)}
				return w
			},
			step: Promoted, serving: young, cas: cas(young, old), without: foreign, serves: old, verified: true},
		"the next CA has been in one bundle for a minute": {
			given: func() situation {
				w := steady(old)
				s := Stored{Serving: old, Next: young, CAs: cas(young, old)}
				w.secret, w.bundles = say(s), [][]byte{encode(s.CAs), encode(cas(old))}
				w.replica.trustedSince = map[string]time.Time{string(young.CA.Raw): start.Add(-time.Minute)}
				return w
			},
			serving: old, next: young, cas: cas(young, old), serves: old, verified: true},
		"the CA of the pair that a renewal replaces stays, although it ends late": {
			given: func() situation {
				w := steady(foreignCA)
				s := Stored{Serving: foreignCA, Next: young, CAs: cas(young, foreignCA, foreign)}
				w.secret, w.bundles = say(s), [][]byte{encode(s.CAs)}
				w.replica.trustedSince = map[string]time.Time{string(young.CA.Raw): start.Add(-time.Minute)}
				w.replica.Verified = false // otherwise this replica would put its CA back
				return w
			},
			step: Promoted, serving: young, cas: cas(young, foreignCA), without: foreign, serves: foreignCA},
		"a renewal before its time, for other names: a CA that ends late stays": {
			given: func() situation {
				w := steady(other)
				s := Stored{Serving: other, Next: young, CAs: cas(young, other, foreign)}
				w.secret, w.bundles = say(s), [][]byte{encode(s.CAs)}
				w.replica.trustedSince = map[string]time.Time{string(young.CA.Raw): start.Add(-time.Minute)}
				return w
			},
			step: Promoted, serving: young, cas: cas(young, other, foreign), serves: other, verified: true},
		"one of several configurations is gone: those that are there count": {
			given: func() situation {
				w := steady(old)
				s := Stored{Serving: old, Next: young, CAs: cas(young, old)}
				w.secret, w.bundles, w.missing = say(s), [][]byte{encode(s.CAs)}, []string{"amp"}
				w.replica.trustedSince = map[string]time.Time{string(young.CA.Raw): start.Add(-time.Minute)}
				return w
			},
			step: Promoted, serving: young, cas: cas(young, old), serves: old, verified: true},
		"the webhooks call by another name": {given: func() situation { w := fresh(steady(other)); w.hosts = []string{"other.amp-system.svc"}; return w },
			serving: other, cas: cas(other), serves: other},
		"the webhooks call by its name": {given: func() situation { w := fresh(steady(other)); w.hosts = []string{simulatedName}; return w },
			serving: other, cas: cas(other), serves: other, verified: true},
		"two thirds of its CA's life are over, though not of its own": {
			given: func() situation { w := steady(endsLate); w.now = start.Add(20 * day); return w },
			step:  Staged, serving: endsLate, newPair: "next", cas: cas(endsLate), serves: endsLate, verified: true},
		"its CA has ended, though it has not": {
			given: func() situation { w := steady(endsLate); w.now = start.Add(31 * day); return w },
			step:  Made, newPair: "serving", without: endsLate, serves: endsLate, verified: true},
		"another pair is to be served, and trusted for a minute": {
			given: func() situation {
				w := steady(other)
				s := Stored{Serving: young, CAs: cas(young, other)}
				w.secret, w.bundles = say(s), [][]byte{encode(s.CAs)}
				w.replica.trustedSince = map[string]time.Time{string(young.CA.Raw): start.Add(-time.Minute)}
				return w
			},
			serving: young, cas: cas(young, other), serves: young, verified: true},
		"another pair is to be served, and not trusted": {
			given: func() situation {
				w := steady(other)
				w.secret = say(Stored{Serving: young, CAs: cas(young, other)})
				return w
			},
			serving: young, cas: cas(young, other), serves: other, verified: true},
		"another pair is to be served, and the CA of what this replica serves is lost": {
			given: func() situation {
				w := steady(other)
				w.secret, w.bundles = say(Stored{Serving: young, CAs: cas(young)}), [][]byte{encode(cas(other, old))}
				return w
			},
			step: Trusted, serving: young, cas: cas(young, other, old), serves: other, verified: true},
		"another pair is to be served, and the bundles have lost the CA of what this replica serves, too": {
			given: func() situation {
				w := steady(other)
				w.secret, w.bundles = say(Stored{Serving: young, CAs: cas(young)}), [][]byte{encode(cas(old))}
				return w
			},
			step: Trusted, serving: young, cas: cas(young, other, old), serves: other, verified: true},
		"a CA ends soon": {
			given: func() situation {
				w := steady(other)
				s := Stored{Serving: other, CAs: cas(other, short)}
				w.secret, w.bundles = say(s), [][]byte{encode(s.CAs)}
				return w
			},
			serving: other, cas: cas(other, short), serves: other, verified: true, requeueAfter: 4*time.Hour + time.Millisecond},
		"a CA has ended": {
			given: func() situation {
				w := steady(other)
				s := Stored{Serving: other, CAs: cas(other, short)}
				w.secret, w.bundles, w.now = say(s), [][]byte{encode(s.CAs)}, short.NotAfter().Add(time.Millisecond)
				return w
			},
			step: Trusted, serving: other, cas: cas(other), without: short, serves: other, verified: true},
		"a replica starts": {given: func() situation { return fresh(steady(other)) },
			serving: other, cas: cas(other), serves: other, verified: true},
		"a replica starts where the bundles trust another CA": {
			given:   func() situation { w := fresh(steady(other)); w.bundles = [][]byte{encode(cas(foreign))}; return w },
			serving: other, cas: cas(other), serves: other},
		"a replica starts where the bundles trust no CA": {
			given:   func() situation { w := fresh(steady(other)); w.bundles = [][]byte{nil, []byte("garbage")}; return w },
			serving: other, cas: cas(other), serves: other},
		"a replica starts where a configuration is missing": {
			given:   func() situation { w := fresh(steady(other)); w.missing = []string{"amp"}; return w },
			serving: other, cas: cas(other), serves: other},
		"what was verified stays so when a bundle is emptied": {
			given:   func() situation { w := steady(other); w.bundles = [][]byte{nil}; return w },
			serving: other, cas: cas(other), serves: other, verified: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.given()
			secret, replica, trustedSince := maps.Clone(w.secret), w.replica, maps.Clone(w.replica.trustedSince)
			o := Observe(w.now, []Configuration{{Bundles: w.bundles, Hosts: w.hosts}}, w.missing, w.secret)
			d := take(t, wanted, &w.replica, o)
			if d.Step != test.step {
				t.Errorf("step %q, reason %q, want %q", d.Step, d.Reason, test.step)
			}
			for which, is := range map[string][2]*Pair{"serving": {d.Secret.Serving, test.serving}, "next": {d.Secret.Next, test.next}} {
				if test.newPair == which {
					if is[0] == nil || !is[0].covers(wanted.Names) || !is[0].valid(w.now) || !contains(d.Secret.CAs, is[0].CA) {
						t.Errorf("%s is not a new pair with its CA", which)
					}
				} else if (is[0] == nil) != (is[1] == nil) || is[0] != nil && !is[0].same(is[1]) {
					t.Errorf("%s is not the expected pair", which)
				}
			}
			for i, ca := range test.cas {
				if !contains(d.Secret.CAs, ca) {
					t.Errorf("CA %d is missing", i)
				}
			}
			for i, ca := range d.Secret.signers() {
				if !d.Secret.CAs[i].Equal(ca) {
					t.Errorf("CA %d is not that of the pair: the newest come first", i)
				}
			}
			if test.without != nil && contains(d.Secret.CAs, test.without.CA) {
				t.Error("a CA has stayed")
			}
			if (d.Step == "") != bytes.Equal(d.Bundle, encode(d.Secret.CAs)) {
				t.Errorf("the bundle %q is to be written at step %q", d.Bundle, d.Step)
			}
			if !w.replica.Serving.same(test.serves) && (w.replica.Serving != nil || test.serves != nil) || w.replica.Verified != test.verified {
				t.Errorf("it serves another pair, or verified is %v", w.replica.Verified)
			}
			if test.requeueAfter != 0 && d.RequeueAfter != test.requeueAfter {
				t.Errorf("it reconciles again after %v, want %v", d.RequeueAfter, test.requeueAfter)
			}
			if !sameData(secret, w.secret) || !maps.Equal(trustedSince, replica.trustedSince) {
				t.Error("what Decide was given has been changed")
			}
			first, after := Decide(wanted, replica, o)
			if second, again := Decide(wanted, replica, o); !reflect.DeepEqual(first, second) || !reflect.DeepEqual(after, again) {
				t.Error("it decides another way when it is asked again")
			}
		})
	}
}
