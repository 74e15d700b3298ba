package certificates

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// check fails the test if an API server cannot verify a replica that is ready. It is called whenever an API server learns
// of a bundle, a replica logs that it serves another certificate, and time has passed. w.mu is held.
func (w *world) check() {
	if w.t.Failed() {
		return // the first failure is the one to look at
	}
	for _, r := range w.replicas {
		if r.reconciler == nil || !r.reconciler.Ready() {
			continue
		}
		pair := r.reconciler.current.Load().pair
		if w.lost[string(pair.leaf().Raw)] {
			continue
		}
		for name, c := range w.configs {
			for i, known := range c.known {
				if known.overwritten {
					continue
				}
				for _, bundle := range known.bundles {
					// An API server with an empty bundle could not call any replica before this one either.
					if w.unstaged[string(pair.leaf().Raw)] && w.trustsNone(bundle) {
						continue
					}
					if !w.verifies(pair, bundle) {
						w.t.Errorf("%s: API server %d, by the %s configuration, cannot verify %s, which serves a certificate until %s",
							time.Now().Format("15:04:05.000"), i, name, r.name, pair.NotAfter().Format("15:04:05"))
						return
					}
				}
			}
		}
	}
}

// trustsNone reports whether all CAs in a bundle have ended.
func (w *world) trustsNone(bundle []byte) bool {
	if len(bundle) == 0 {
		return true
	}
	last, known := w.ends[&bundle[0]]
	if !known {
		for _, ca := range parse(bundle) {
			if ca.NotAfter.After(last) {
				last = ca.NotAfter
			}
		}
		w.ends[&bundle[0]] = last
	}
	return time.Now().After(last)
}

func (w *world) verifies(p *Pair, bundle []byte) bool {
	if len(bundle) == 0 || time.Now().After(p.NotAfter()) {
		return false
	}
	key := verification{p, &bundle[0]}
	ok, known := w.verified[key]
	if !known {
		_, err := p.chain(parse(bundle), p.leaf().NotBefore)
		ok = err == nil && p.covers([]string{simulatedName})
		w.verified[key] = ok
	}
	return ok
}

// verification is of a pair by a bundle's text. Neither ever changes.
type verification struct {
	pair   *Pair
	bundle *byte
}

// pass lets a second pass.
func (w *world) pass() {
	time.Sleep(time.Second)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.check()
}

// settle lets nothing happen any more. Then the replicas must agree.
func (w *world) settle() {
	w.t.Helper()
	for _, r := range w.replicas {
		r.cutOff.Store(false)
		if r.reconciler == nil {
			w.start(r)
		}
	}
	time.Sleep(simulatedLifetime)
	err := w.agree()
	for range 180 { // a renewal may be under way, and a change may be unseen for a minute
		if err == nil {
			break
		}
		time.Sleep(time.Second)
		err = w.agree()
	}
	if err != nil {
		w.t.Error(err)
	}
}

// agree returns nil if all replicas are ready and serve what the Secret says, the bundles say the same, and no
// old CAs pile up.
func (w *world) agree() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.secret == nil {
		return errors.New("there is no Secret")
	}
	s, err := read(w.secret.data, time.Now())
	if err != nil {
		return err
	}
	for _, r := range w.replicas {
		if !r.reconciler.Ready() || !r.reconciler.current.Load().pair.same(s.Serving) {
			return fmt.Errorf("%s is not ready, or does not serve what the Secret says", r.name)
		}
	}
	if len(s.CAs) > 8 {
		return fmt.Errorf("%d CAs are trusted", len(s.CAs))
	}
	for name, c := range w.configs {
		for _, bundle := range c.bundles {
			if !bytes.Equal(bundle, w.secret.data[keyCAs]) {
				return fmt.Errorf("a bundle of the %s configuration is not what the Secret says", name)
			}
		}
	}
	return nil
}
