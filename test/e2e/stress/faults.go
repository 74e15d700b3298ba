package stress

import (
	"context"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/txn2/amp/test/e2e/harness"
)

var ampName = pkix.Name{CommonName: "amp"}

// Fault is something that happens to the installation for a while.
type Fault struct {
	Name string
	// API says that the API server does not work, so that it may refuse any Pod.
	API bool
	// Late says that a replica is stopped, or cut from its caller: it is not to blame for answers that come late.
	Late bool
	// begin begins it. The returned function ends it, and returns when what was away works again.
	begin func() (end func() error, err error)
}

// Window is the time during which a fault lasted.
type Window struct {
	Fault
	From, To time.Time
}

// Deck are all faults, in random order. Where a fault happens to one replica, chance decides to which; all but the end of
// its process happen to the replica aside as well.
func (w *World) Deck(chance *rand.Rand) []Fault {
	one := w.Replicas[chance.IntN(len(w.Replicas))]
	two := []*Replica{one, w.Aside}
	deck := []Fault{
		{Name: "SIGKILL of one replica", begin: w.kill(one)},
		{Name: "SIGKILL of both replicas", begin: w.kill(w.Replicas...)},
		{Name: "SIGKILL of the API server", API: true, begin: func() (func() error, error) {
			return func() error { return nil }, w.API.Restart()
		}},
		{Name: "SIGKILL of etcd", API: true, begin: killed(w.API.Etcd)},
		{Name: "SIGKILL of the endpoint", begin: killed(w.Endpoint)},
		{Name: "SIGKILL of the sink", begin: killed(w.Sink)},
		{Name: "SIGKILL of the audit function", begin: killed(w.Audit)},
		{Name: "cut: API server to amp", Late: true, begin: cut(each(two, w.toWebhook))},
		{Name: "cut: amp to API server", begin: cut(each(two, w.toAPI))},
		{Name: "cut: amp to endpoint", begin: cut(each(two, func(r *Replica) harness.Path { return w.toService(r.host, w.endpoint) }))},
		{Name: "cut: amp to sink", begin: cut(each(two, func(r *Replica) harness.Path { return w.toService(r.host, w.sink) }))},
		{Name: "cut: sink to audit function", begin: cut([]harness.Path{w.toService(w.sink, w.audit)})},
		{Name: "cut: API server to etcd", API: true, begin: cut([]harness.Path{w.toEtcd()})},
		{Name: "SIGSTOP of replicas", Late: true, begin: hung(one, w.Aside)},
		{Name: "SIGSTOP of the API server", API: true, begin: hung(w.API)},
		{Name: "SIGSTOP of etcd", API: true, begin: hung(w.API.Etcd)},
		{Name: "SIGSTOP of the endpoint", begin: hung(w.Endpoint)},
		{Name: "SIGSTOP of the sink", begin: hung(w.Sink)},
		{Name: "SIGSTOP of the audit function", begin: hung(w.Audit)},
		{Name: "the audit function's disk is full", begin: w.fill},
		{Name: "the audit function starts on a full disk", begin: w.fillAndRestart},
		{Name: "a certificate of the past in the Secret", begin: w.clock(-48 * time.Hour)},
		{Name: "a certificate of the future in the Secret", begin: w.clock(48 * time.Hour)},
	}
	chance.Shuffle(len(deck), func(i, k int) { deck[i], deck[k] = deck[k], deck[i] })
	return deck
}

// Play lets a fault happen for a while.
func (f Fault) Play(hold time.Duration) (Window, error) {
	window := Window{Fault: f, From: time.Now()}
	end, err := f.begin()
	if err == nil {
		time.Sleep(hold) // how long a fault lasts is part of it
		err = end()
	}
	window.To = time.Now()
	if err != nil {
		return window, fmt.Errorf("%s: %w", f.Name, err)
	}
	return window, nil
}

func (w *World) kill(replicas ...*Replica) func() (func() error, error) {
	return func() (func() error, error) {
		for _, r := range replicas {
			r.Kill()
		}
		return func() error {
			var errs []error
			for _, r := range replicas {
				errs = append(errs, r.launch())
			}
			for _, r := range replicas {
				errs = append(errs, r.UntilReady())
			}
			return errors.Join(errs...)
		}, nil
	}
}

func killed(s *harness.Service) func() (func() error, error) {
	return func() (func() error, error) {
		s.Kill()
		return s.Start, nil
	}
}

func each(replicas []*Replica, path func(*Replica) harness.Path) []harness.Path {
	var paths []harness.Path
	for _, r := range replicas {
		paths = append(paths, path(r))
	}
	return paths
}

func cut(paths []harness.Path) func() (func() error, error) {
	return func() (func() error, error) {
		var mends []func() error
		var errs []error
		for _, p := range paths {
			mend, err := p.Cut()
			mends, errs = append(mends, mend), append(errs, err)
		}
		return func() error {
			var errs []error
			for _, mend := range mends {
				errs = append(errs, mend())
			}
			return errors.Join(errs...)
		}, errors.Join(errs...)
	}
}

// pausable is a process that SIGSTOP stops and SIGCONT continues.
type pausable interface {
	Pause()
	Resume()
}

func hung(all ...pausable) func() (func() error, error) {
	return func() (func() error, error) {
		for _, p := range all {
			p.Pause()
		}
		return func() error {
			for _, p := range all {
				p.Resume()
			}
			return nil
		}, nil
	}
}

// clock is a replica whose clock is wrong by a while.
func (w *World) clock(by time.Duration) func() (func() error, error) {
	return func() (func() error, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		return func() error { return nil }, w.Rewind(ctx, harness.NewAuthorityAt("amp-ca", time.Now().Add(by)))
	}
}
