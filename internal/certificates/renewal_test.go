package certificates

import (
	"testing"
	"time"
)

// TestReplicasThatWantOtherNames has two replicas that differ in AMP_TLS_DNS_NAMES, as in a rollout.
func TestReplicasThatWantOtherNames(t *testing.T) {
	a, b := Config{Names: []string{"a.svc"}, Lifetime: time.Hour}, Config{Names: []string{"b.svc", "127.0.0.1"}, Lifetime: time.Hour}
	p := pair(t, start, time.Hour, a.Names...)
	s := Stored{Serving: p, CAs: cas(p)}
	d := take(t, b, new(Replica), observed(start, s.write(nil), encode(s.CAs)))
	if d.Step != Staged || !d.Secret.Next.covers(append(a.Names, b.Names...)) {
		t.Fatalf("step %q", d.Step)
	}
	if due := (Stored{Serving: d.Secret.Next}).due(start, a.Names); due != "" {
		t.Errorf("then the other one renews: %s", due)
	}
}

// TestLostAfterAPromotion has the Secret deleted right after a promotion by which a CA of another authority left.
func TestLostAfterAPromotion(t *testing.T) {
	day := 24 * time.Hour
	foreign := pair(t, start.Add(-day), 3650*day)
	old, young := pair(t, start.Add(-61*day), 90*day), pair(t, start, 90*day)
	s := Stored{Serving: old, Next: young, CAs: cas(young, old, foreign)}
	secret := s.write(nil)
	var replica Replica
	for i, want := range []Step{"", Promoted, Restored} {
		if want == Restored {
			secret = nil
		}
		if d := take(t, wanted, &replica, observed(start.Add(time.Duration(i)*time.Minute), secret, encode(s.CAs))); d.Step != want {
			t.Fatalf("reconciliation %d: step %q, not %q", i, d.Step, want)
		}
	}
}

// TestClocksThatDiffer has two replicas, one ahead of the other by hours: they agree on one renewal.
func TestClocksThatDiffer(t *testing.T) {
	for _, ahead := range []time.Duration{30 * time.Minute, 3 * time.Hour, 20 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			p := pair(t, start.Add(-60*24*time.Hour+ahead/2), 90*24*time.Hour) // due for the one, and not yet for the other
			secret, bundle := Stored{Serving: p, CAs: cas(p)}.write(nil), encode(cas(p))
			steps := map[Step]int{}
			var replicas [2]Replica
			for sinceStart := time.Duration(0); sinceStart < 400*time.Second; sinceStart += 5 * time.Second {
				for i := range replicas {
					now := start.Add(sinceStart + time.Duration(i)*ahead)
					d := take(t, wanted, &replicas[i], observed(now, secret, bundle))
					if d.Step != "" {
						steps[d.Step]++
						secret = d.Secret.write(secret)
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

// TestAnotherLifetime has two replicas that were started anew with another AMP_TLS_LIFETIME. Both are ready until what the
// first one renews is served by both.
func TestAnotherLifetime(t *testing.T) {
	for name, test := range map[string]struct{ from, to time.Duration }{
		"from seconds to months": {12 * time.Second, 90 * 24 * time.Hour},
		"from a minute to hours": {time.Minute, 2 * time.Hour},
		"from months to seconds": {90 * 24 * time.Hour, 12 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{Names: wanted.Names, Lifetime: test.to}
			p := pair(t, start, test.from)
			secret, bundle := Stored{Serving: p, CAs: cas(p)}.write(nil), encode(cas(p))
			var replicas [2]Replica
			begin, end := p.Renewal().Add(-time.Second), p.NotAfter().Add(time.Second)
			if test.from > test.to {
				end = begin.Add(time.Minute)
			}
			for now := begin; now.Before(end); now = now.Add(100 * time.Millisecond) {
				for i := range replicas {
					d := take(t, config, &replicas[i], observed(now, secret, bundle))
					if d.Step != "" {
						secret = d.Secret.write(secret)
					} else {
						bundle = d.Bundle
					}
					if !replicas[i].ready(now) {
						t.Fatalf("%v after the renewal was due, replica %d is not ready", now.Sub(p.Renewal()), i)
					}
				}
			}
			for i, r := range replicas {
				if r.Serving.same(p) {
					t.Errorf("replica %d serves what it served before", i)
				}
			}
		})
	}
}
