package certificates

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
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

// issued is a pair of another authority, whose CA may end before the certificate that it signed.
func issued(t testing.TB, from, caEnd, end time.Time) *Pair {
	t.Helper()
	var keys [2]*ecdsa.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	sign := func(c, by *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, keys[0])
		if err != nil {
			t.Fatal(err)
		}
		if c, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		return c
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "another"}, NotBefore: from, NotAfter: caEnd,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	ca = sign(ca, ca, keys[0])
	leaf := sign(&x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: end, DNSNames: wanted.Names,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, ca, keys[1])
	der, err := x509.MarshalPKCS8PrivateKey(keys[1])
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPair(encode([]*x509.Certificate{leaf}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), []*x509.Certificate{ca}, from)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func cas(pairs ...*Pair) (all []*x509.Certificate) {
	for _, p := range pairs {
		all = append(all, p.CA)
	}
	return all
}

func TestDecide(t *testing.T) {
	day := 24 * time.Hour
	old, young, other := pair(t, start.Add(-60*day), 90*day), pair(t, start, 90*day), pair(t, start.Add(-day), 90*day)
	short := pair(t, start.Add(-20*time.Hour), day)
	foreign := pair(t, start.Add(-day), 3650*day)
	endsLate := issued(t, start, start.Add(30*day), start.Add(90*day))
	otherName := pair(t, start.Add(-day), 90*day, "amp-direct.amp-system.svc")

	// what each case begins with: a replica that serves old, as the Secret and the bundles say
	type world struct {
		now     time.Time
		memory  Memory
		secret  map[string][]byte
		bundles [][]byte
		missing bool
		hosts   []string
	}
	say := func(s State) map[string][]byte { return s.write(nil) }
	steady := func(p *Pair) world {
		s := State{Serving: p, CAs: cas(p)}
		return world{start, Memory{Serving: p, Verified: true, last: s}, say(s), [][]byte{encode(s.CAs), encode(s.CAs)}, false, nil}
	}
	fresh := func(w world) world { w.memory = Memory{}; return w }

	for name, test := range map[string]struct {
		world    func() world
		step     Step
		serving  *Pair // what the Secret is to say; nil: nothing, or some new one
		next     *Pair
		newPair  string              // serving or next: which is a new one
		cas      []*x509.Certificate // of which it says at least these, and not less than ...
		without  *Pair               // ... but not this one's
		serves   *Pair
		verified bool
		again    time.Duration
	}{
		"nothing is due": {world: func() world { return steady(other) },
			serving: other, cas: cas(other), serves: other, verified: true, again: other.Renewal().Sub(start)},
		"nothing is there": {world: func() world { return world{now: start, bundles: [][]byte{nil}} },
			step: Made, newPair: "serving"},
		"nothing is there, and no configuration either": {world: func() world { return world{now: start, missing: true} },
			step: Made, newPair: "serving"},
		"the Secret is lost, and this replica knows what it said": {world: func() world { w := steady(other); w.secret = nil; return w },
			step: Restored, serving: other, cas: cas(other), serves: other, verified: true},
		"the Secret is lost, and this replica is new: somebody may serve what the bundles trust": {
			world: func() world { w := fresh(steady(other)); w.secret = nil; return w },
			step:  Made, newPair: "next", cas: cas(other)},
		"what the Secret said is lost, and what this replica knows has ended": {
			world: func() world { w := steady(short); w.secret, w.now = nil, start.Add(day); return w },
			step:  Made, newPair: "serving", without: short, serves: short, verified: true},
		"the key is garbage": {world: func() world { w := steady(other); w.secret[keyKey] = []byte("garbage"); return w },
			step: Restored, serving: other, cas: cas(other), serves: other, verified: true},
		"the CAs are another's": {world: func() world { w := steady(other); w.secret[keyCAs] = encode(cas(foreign)); return w },
			step: Restored, serving: other, cas: cas(other), serves: other, verified: true},
		"two thirds are over": {world: func() world { w := steady(old); w.now = old.Renewal(); return w },
			step: Staged, serving: old, newPair: "next", cas: cas(old), serves: old, verified: true},
		"it is for another name": {world: func() world { w := steady(otherName); w.memory = Memory{}; return w },
			step: Staged, serving: otherName, newPair: "next", cas: cas(otherName), serves: otherName},
		"the next CA has only just come into the bundles": {
			world: func() world {
				w := steady(old)
				s := State{Serving: old, Next: young, CAs: cas(young, old)}
				w.secret, w.bundles = say(s), [][]byte{encode(s.CAs), encode(s.CAs)}
				return w
			},
			serving: old, next: young, cas: cas(young, old), serves: old, verified: true, again: time.Minute},
		"the next CA has been in the bundles for a minute": {
			world: func() world {
				w := steady(old)
				s := State{Serving: old, Next: young, CAs: cas(young, old, foreign)}
				w.secret, w.bundles = say(s), [][]byte{encode(s.CAs)}
				w.memory.held = map[string]time.Time{string(young.CA.Raw): start.Add(-time.Minute)}
				return w
			},
			step: Promoted, serving: young, cas: cas(young, old), without: foreign, serves: old, verified: true},
		"the next CA has been in one bundle for a minute": {
			world: func() world {
				w := steady(old)
				s := State{Serving: old, Next: young, CAs: cas(young, old)}
				w.secret, w.bundles = say(s), [][]byte{encode(s.CAs), encode(cas(old))}
				w.memory.held = map[string]time.Time{string(young.CA.Raw): start.Add(-time.Minute)}
				return w
			},
			serving: old, next: young, cas: cas(young, old), serves: old, verified: true},
		"one of several configurations is gone: those that are there count": {
			world: func() world {
				w := steady(old)
				s := State{Serving: old, Next: young, CAs: cas(young, old)}
				w.secret, w.bundles, w.missing = say(s), [][]byte{encode(s.CAs)}, true
				w.memory.held = map[string]time.Time{string(young.CA.Raw): start.Add(-time.Minute)}
				return w
			},
			step: Promoted, serving: young, cas: cas(young, old), serves: old, verified: true},
		"the webhooks call by another name": {world: func() world { w := fresh(steady(other)); w.hosts = []string{"other.amp-system.svc"}; return w },
			serving: other, cas: cas(other), serves: other},
		"the webhooks call by its name": {world: func() world { w := fresh(steady(other)); w.hosts = []string{simulatedName}; return w },
			serving: other, cas: cas(other), serves: other, verified: true},
		"two thirds of its CA's life are over, though not of its own": {
			world: func() world { w := steady(endsLate); w.now = start.Add(20 * day); return w },
			step:  Staged, serving: endsLate, newPair: "next", cas: cas(endsLate), serves: endsLate, verified: true},
		"its CA has ended, though it has not": {
			world: func() world { w := steady(endsLate); w.now = start.Add(31 * day); return w },
			step:  Made, newPair: "serving", without: endsLate, serves: endsLate, verified: true},
		"another pair is to be served, and trusted for a minute": {
			world: func() world {
				w := steady(other)
				s := State{Serving: young, CAs: cas(young, other)}
				w.secret, w.bundles = say(s), [][]byte{encode(s.CAs)}
				w.memory.held = map[string]time.Time{string(young.CA.Raw): start.Add(-time.Minute)}
				return w
			},
			serving: young, cas: cas(young, other), serves: young, verified: true},
		"another pair is to be served, and not trusted": {
			world: func() world {
				w := steady(other)
				w.secret = say(State{Serving: young, CAs: cas(young, other)})
				return w
			},
			serving: young, cas: cas(young, other), serves: other, verified: true},
		"another pair is to be served, and the own CA is lost": {
			world: func() world {
				w := steady(other)
				w.secret, w.bundles = say(State{Serving: young, CAs: cas(young)}), [][]byte{encode(cas(other, old))}
				return w
			},
			step: Trusted, serving: young, cas: cas(young, other, old), serves: other, verified: true},
		"a CA has ended": {
			world: func() world {
				w := steady(other)
				s := State{Serving: other, CAs: cas(other, short)}
				w.secret, w.bundles, w.now = say(s), [][]byte{encode(s.CAs)}, short.NotAfter().Add(time.Millisecond)
				return w
			},
			step: Trusted, serving: other, cas: cas(other), without: short, serves: other, verified: true},
		"a replica starts": {world: func() world { return fresh(steady(other)) },
			serving: other, cas: cas(other), serves: other, verified: true},
		"a replica starts where the bundles trust somebody else": {
			world:   func() world { w := fresh(steady(other)); w.bundles = [][]byte{encode(cas(foreign))}; return w },
			serving: other, cas: cas(other), serves: other},
		"a replica starts where the bundles trust nobody": {
			world:   func() world { w := fresh(steady(other)); w.bundles = [][]byte{nil, []byte("garbage")}; return w },
			serving: other, cas: cas(other), serves: other},
		"a replica starts where a configuration is missing": {
			world:   func() world { w := fresh(steady(other)); w.missing = true; return w },
			serving: other, cas: cas(other), serves: other},
		"what was verified once is not less so because of a bundle that somebody took away": {
			world:   func() world { w := steady(other); w.bundles = [][]byte{nil}; return w },
			serving: other, cas: cas(other), serves: other, verified: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.world()
			before := maps.Clone(w.secret)
			d, err := w.memory.Decide(w.now, wanted, Seen{Bundles: w.bundles, Hosts: w.hosts, Missing: w.missing, Secret: w.secret})
			if err != nil {
				t.Fatal(err)
			}
			if d.Step != test.step {
				t.Errorf("step %q because %q, want %q", d.Step, d.Because, test.step)
			}
			for which, is := range map[string][2]*Pair{"serving": {d.State.Serving, test.serving}, "next": {d.State.Next, test.next}} {
				if test.newPair == which {
					if is[0] == nil || !is[0].covers(wanted.Names) || !is[0].good(w.now) || !contains(d.State.CAs, is[0].CA) {
						t.Errorf("%s is no new pair with its CA", which)
					}
				} else if (is[0] == nil) != (is[1] == nil) || is[0] != nil && !is[0].same(is[1]) {
					t.Errorf("%s is another pair than was to be expected", which)
				}
			}
			for i, ca := range test.cas {
				if !contains(d.State.CAs, ca) {
					t.Errorf("CA %d is missing", i)
				}
			}
			if test.without != nil && contains(d.State.CAs, test.without.CA) {
				t.Error("a CA has stayed")
			}
			if (d.Step == "") != bytes.Equal(d.Bundle, encode(d.State.CAs)) {
				t.Errorf("the bundle %q is to be written at step %q", d.Bundle, d.Step)
			}
			if !w.memory.Serving.same(test.serves) && (w.memory.Serving != nil || test.serves != nil) || w.memory.Verified != test.verified {
				t.Errorf("it serves another pair, or verified is %v", w.memory.Verified)
			}
			if test.again != 0 && !d.Again.Equal(w.now.Add(test.again)) {
				t.Errorf("it looks again at %v, want %v", d.Again, w.now.Add(test.again))
			}
			if !equal(before, w.secret) {
				t.Error("what was seen has been changed")
			}
		})
	}
}

// TestWhoWantsOtherNamesDoesNotUndo has two replicas that differ in AMP_TLS_DNS_NAMES, as in a rollout.
func TestWhoWantsOtherNamesDoesNotUndo(t *testing.T) {
	a, b := Config{Names: []string{"a.svc"}, Lifetime: time.Hour}, Config{Names: []string{"b.svc", "127.0.0.1"}, Lifetime: time.Hour}
	p := pair(t, start, time.Hour, a.Names...)
	s := State{Serving: p, CAs: cas(p)}
	var m Memory
	d, err := m.Decide(start, b, Seen{Bundles: [][]byte{encode(s.CAs)}, Secret: s.write(nil)})
	if err != nil || d.Step != Staged || !d.State.Next.covers(append(a.Names, b.Names...)) {
		t.Fatalf("step %q, %v", d.Step, err)
	}
	if due := (State{Serving: d.State.Next}).due(start, a.Names); due != "" {
		t.Errorf("then the other one renews: %s", due)
	}
}

// TestLostAfterAPromotion has the Secret deleted right after a promotion by which a CA of another authority left.
func TestLostAfterAPromotion(t *testing.T) {
	day := 24 * time.Hour
	foreign := pair(t, start.Add(-day), 3650*day)
	old, young := pair(t, start.Add(-61*day), 90*day), pair(t, start, 90*day)
	s := State{Serving: old, Next: young, CAs: cas(young, old, foreign)}
	seen := Seen{Bundles: [][]byte{encode(s.CAs)}, Secret: s.write(nil)}
	var m Memory
	for i, want := range []Step{"", Promoted, Restored} {
		if want == Restored {
			seen.Secret = nil
		}
		d, err := m.Decide(start.Add(time.Duration(i)*time.Minute), wanted, seen)
		if err != nil || d.Step != want {
			t.Fatalf("look %d: step %q, not %q: %v", i, d.Step, want, err)
		}
	}
}

// TestClocksThatDiffer has two replicas, one ahead of the other by hours: they agree on one renewal.
func TestClocksThatDiffer(t *testing.T) {
	for _, ahead := range []time.Duration{30 * time.Minute, 3 * time.Hour, 20 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			p := pair(t, start.Add(-60*24*time.Hour+ahead/2), 90*24*time.Hour) // due for the one, and not yet for the other
			secret, bundle := State{Serving: p, CAs: cas(p)}.write(nil), encode(cas(p))
			steps := map[Step]int{}
			var replicas [2]Memory
			for second := range 400 {
				for i := range replicas {
					now := start.Add(time.Duration(second)*time.Second + time.Duration(i)*ahead)
					d, err := replicas[i].Decide(now, wanted, Seen{Bundles: [][]byte{bundle}, Secret: secret})
					if err != nil {
						t.Fatal(err)
					}
					if d.Step != "" {
						steps[d.Step]++
						secret = d.State.write(secret)
					} else {
						bundle = d.Bundle
					}
				}
			}
			if steps[Staged] != 1 || steps[Promoted] != 1 || len(steps) != 2 || len(parse(bundle)) != 2 {
				t.Errorf("steps %v, %d CAs", steps, len(parse(bundle)))
			}
		})
	}
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
			if s := (State{Serving: p}).settle(); s != test.settle {
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

// FuzzRead has anything in the Secret: what comes of it can be written, and read again as the same.
func FuzzRead(f *testing.F) {
	now := time.Now()
	serving, next := pair(f, now, time.Hour), pair(f, now, time.Hour)
	data := State{Serving: serving, Next: next, CAs: cas(next, serving)}.write(nil)
	f.Add(data[keyCert], data[keyKey], data[keyCAs], data[keyNextCert], data[keyNextKey])
	f.Add(data[keyCert], data[keyNextKey], data[keyCAs], []byte("garbage"), []byte(nil))
	f.Add([]byte(nil), []byte(nil), data[keyCAs], data[keyNextCert], data[keyNextKey])
	f.Fuzz(func(t *testing.T, cert, key, cas, nextCert, nextKey []byte) {
		s, err := read(map[string][]byte{keyCert: cert, keyKey: key, keyCAs: cas, keyNextCert: nextCert, keyNextKey: nextKey}, now)
		if (err == nil) != (s.Serving != nil) {
			t.Fatalf("a pair to be served: %v, error %v", s.Serving != nil, err)
		}
		written := s.write(nil)
		again, _ := read(written, now)
		if !equal(again.write(nil), written) || (s.Next != nil) != (again.Next != nil) || s.Serving != nil && !s.Serving.same(again.Serving) {
			t.Error("what was written is read as something else")
		}
	})
}
