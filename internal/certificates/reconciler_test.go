package certificates

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// soloCluster is a cluster with one replica, whose calls take no time.
type soloCluster struct {
	mu      sync.Mutex
	err     error // of every call
	missing []string
	data    map[string][]byte
	bundle  []byte
	hosts   []string
	wrote   func() // called after a bundle was written
	writes  int
	looks   int

	lifetime time.Duration // of the certificates; 0: an hour
}

// access reads or changes the cluster while no call does.
func (o *soloCluster) access(do func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	do()
}

// become changes what the cluster answers.
func (o *soloCluster) become(err error, missing []string) {
	o.access(func() { o.err, o.missing = err, missing })
}

func (o *soloCluster) Configurations(context.Context) ([]Configuration, []string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.looks++
	if o.missing != nil {
		return nil, o.missing, o.err
	}
	return []Configuration{{Name: "amp", Bundles: [][]byte{o.bundle}, Hosts: o.hosts, Write: func(_ context.Context, bundle []byte) error {
		o.access(func() {
			o.bundle = bundle
			o.writes++
			if o.wrote != nil {
				o.wrote()
			}
		})
		return nil
	}}}, nil, o.err
}

func (o *soloCluster) Secret(context.Context) (Secret, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return Secret{Data: o.data, Write: func(_ context.Context, data map[string][]byte) error { o.access(func() { o.data = data }); return nil }}, o.err
}

// run runs a reconciler on the virtual clock of a synctest bubble until the test ends.
func run(t *testing.T, o *soloCluster) (r *Reconciler, changed chan struct{}, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	r, err := NewReconciler(o, Config{Names: []string{simulatedName}, Lifetime: cmp.Or(o.lifetime, time.Hour)}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changed = make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx, changed) }()
	t.Cleanup(func() { cancel(); <-ended })
	synctest.Wait()
	return r, changed, log
}

func TestReconcilerFromNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &soloCluster{}
		r, _, _ := run(t, o)
		if !r.Ready() || !r.NotAfter().Equal(time.Now().Add(time.Hour)) || !bytes.Contains(o.data[keyCert], []byte("BEGIN")) || !bytes.Equal(o.bundle, o.data[keyCAs]) {
			t.Errorf("ready %v, until %v, with the Secret %q", r.Ready(), r.NotAfter(), o.data)
		}
		if o.looks != 4 {
			t.Errorf("it looked %d times, want two before the Secret is written, one before the bundle is, and one after", o.looks)
		}
	})
}

func TestReconcilerReportsAProblemOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &soloCluster{err: errors.New("no answer")}
		r, changed, log := run(t, o)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := strings.Count(log.String(), "no answer"); n != 1 || r.Ready() || !r.NotAfter().IsZero() || r.Certificate() == nil {
			t.Errorf("logged %d times, ready %v:\n%s", n, r.Ready(), log)
		}
		if o.looks < 60 || o.looks > 140 {
			t.Errorf("tried %d times in ten minutes", o.looks)
		}
		o.become(nil, []string{"amp"})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := strings.Count(log.String(), "there is no webhook configuration named amp (AMP_WEBHOOKS)"); n != 1 || r.Ready() {
			t.Errorf("logged %d times, ready %v:\n%s", n, r.Ready(), log)
		}
		o.become(nil, nil)
		changed <- struct{}{}
		synctest.Wait()
		if !r.Ready() || strings.Count(log.String(), "the certificate is kept up to date again") != 1 {
			t.Errorf("ready %v:\n%s", r.Ready(), log)
		}
	})
}

func TestReconcilerReportsNamesThatAreNotOnTheCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, log := run(t, &soloCluster{hosts: []string{"other.amp-system.svc"}})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := strings.Count(log.String(), "the webhooks call other.amp-system.svc, which is not on the certificate: add it to AMP_TLS_DNS_NAMES"); n != 1 || r.Ready() || !r.NotAfter().IsZero() {
			t.Errorf("logged %d times, ready %v, until %v:\n%s", n, r.Ready(), r.NotAfter(), log)
		}
	})
}

func TestReconcilerLimitsItsWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &soloCluster{}
		o.wrote = func() { o.bundle = []byte("another's") } // each time, at once
		run(t, o)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if o.writes < 500 || o.writes > 620 {
			t.Errorf("%d writes in ten minutes", o.writes)
		}
	})
}

func TestReconcilerWithoutTheClusterIsReadyUntilItsCertificateEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &soloCluster{}
		r, _, _ := run(t, o)
		o.become(errors.New("away"), nil)
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if !r.Ready() {
			t.Error("not ready, although what it serves is valid and trusted")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if r.Ready() {
			t.Error("ready, although what it serves has ended")
		}
		o.become(nil, nil)
		time.Sleep(lastRetry + time.Second)
		synctest.Wait()
		if !r.Ready() {
			t.Error("not ready again")
		}
		if cas := parse(o.data[keyCAs]); len(cas) != 1 {
			t.Errorf("%d CAs are trusted", len(cas))
		}
	})
}

func TestReconcilerRenewsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &soloCluster{lifetime: 30 * time.Second}
		r, _, _ := run(t, o)
		certificates := map[string]bool{}
		for range 300 {
			time.Sleep(time.Second)
			synctest.Wait()
			o.access(func() { certificates[string(o.data[keyCert])] = true })
			if left := time.Until(r.NotAfter()); !r.Ready() || left < 5*time.Second {
				t.Fatalf("ready %v, with a certificate for another %v", r.Ready(), left)
			}
		}
		if n := len(certificates); n < 14 || n > 17 {
			t.Errorf("%d certificates in 5 minutes, want one for every 20 s", n)
		}
	})
}

func TestReconcilerSeesWhatNoWatchReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &soloCluster{}
		run(t, o)
		o.access(func() { o.bundle = []byte("another CA") })
		time.Sleep(resync)
		synctest.Wait()
		if !bytes.Equal(o.bundle, o.data[keyCAs]) {
			t.Errorf("after %v the bundle is still %q", resync, o.bundle)
		}
	})
}

func TestReconcilerRetriesSoonAfterANewProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &soloCluster{err: errors.New("no answer")}
		_, changed, log := run(t, o)
		time.Sleep(10 * time.Minute) // by then it retries every lastRetry
		o.become(nil, nil)
		time.Sleep(lastRetry)
		synctest.Wait()
		o.become(errors.New("no answer"), nil)
		changed <- struct{}{}
		synctest.Wait()
		o.become(nil, nil)
		time.Sleep(firstRetry)
		synctest.Wait()
		if n := strings.Count(log.String(), "the certificate is kept up to date again"); n != 2 {
			t.Errorf("up to date again %d times:\n%s", n, log)
		}
	})
}

func TestReconcilerWithARenewedCA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		a := newAuthority(t)
		ca, renewed := a.ca(now, now.Add(time.Hour)), a.ca(now, now.Add(2*time.Hour))
		s := Stored{Serving: a.issue(ca, now, now.Add(3*time.Hour)), CAs: []*x509.Certificate{ca}}
		o := &soloCluster{data: s.write(nil), bundle: encode(s.CAs)}
		r, changed, _ := run(t, o)
		if !r.Ready() || !r.NotAfter().Equal(ca.NotAfter) {
			t.Errorf("ready %v, until %v", r.Ready(), r.NotAfter())
		}
		s.CAs = append(s.CAs, renewed)
		o.access(func() { o.data = s.write(nil) })
		changed <- struct{}{}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if !r.Ready() || !r.NotAfter().Equal(renewed.NotAfter) {
			t.Errorf("with a renewed CA: ready %v, until %v", r.Ready(), r.NotAfter())
		}
	})
}

func TestReconcilerSaysUntilWhenItWaits(t *testing.T) {
	for name, stored := range map[string]bool{
		"the Secret is gone: the namespace was deleted and installed again": false,
		"the bundles were overwritten, and then this replica started":       true,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &soloCluster{bundle: encode(cas(pair(t, time.Now(), time.Hour)))}
				if p := pair(t, time.Now(), time.Hour, simulatedName); stored {
					o.data = Stored{Serving: p, CAs: cas(p)}.write(nil)
				}
				until := time.Now().Add(time.Minute).UTC().Format("15:04:05 UTC")
				want := "until " + until + " amp waits until every API server knows its new CA: the webhooks had another CA, for example that of an earlier installation"
				r, changed, log := run(t, o)
				for range 3 {
					time.Sleep(time.Minute/3 - time.Second)
					changed <- struct{}{}
					synctest.Wait()
					if err := r.NotReady(); r.Ready() || err == nil || err.Error() != want {
						t.Fatalf("ready %v: %v, want %s", r.Ready(), err, want)
					}
				}
				time.Sleep(4 * time.Second)
				synctest.Wait()
				if err := r.NotReady(); !r.Ready() || err != nil {
					t.Errorf("ready %v after a minute: %v", r.Ready(), err)
				}
				if n := strings.Count(log.String(), "not ready yet"); n != 1 || !strings.Contains(log.String(), `msg="not ready yet" reason="`+want) {
					t.Errorf("logged %d times:\n%s", n, log)
				}
			})
		})
	}
}

func TestReconcilerSaysWhyItIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &soloCluster{err: errors.New("no answer")}
		idle, err := NewReconciler(o, Config{Names: []string{simulatedName}, Lifetime: time.Hour}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if why := idle.NotReady(); why == nil || why.Error() != "amp has not read its certificate from the cluster yet" {
			t.Error(why)
		}
		r, changed, _ := run(t, o)
		if why := r.NotReady(); why == nil || why.Error() != "amp cannot keep its certificate up to date: no answer" {
			t.Error(why)
		}
		// It also has to wait for the CA to settle; but that would not be enough.
		o.access(func() {
			o.err, o.bundle, o.hosts = nil, encode(cas(pair(t, time.Now(), time.Hour))), []string{"other.amp-system.svc"}
		})
		changed <- struct{}{}
		synctest.Wait()
		if why := r.NotReady(); why == nil || !strings.HasPrefix(why.Error(), "amp cannot keep its certificate up to date: the webhooks call other.amp-system.svc") {
			t.Error(why)
		}
	})
}
