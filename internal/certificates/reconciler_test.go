package certificates

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// one is a cluster for one replica, whose calls take no time.
type one struct {
	mu      sync.Mutex
	err     error // of every call
	missing []string
	data    map[string][]byte
	bundle  []byte
	hosts   []string
	wrote   func() // after a bundle was written
	writes  int
	looks   int
}

// become changes the cluster.
func (o *one) become(err error, missing []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err, o.missing = err, missing
}

func (o *one) Configurations(context.Context) ([]Configuration, []string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.looks++
	if o.missing != nil {
		return nil, o.missing, o.err
	}
	return []Configuration{{Name: "amp", Bundles: [][]byte{o.bundle}, Hosts: o.hosts, Write: func(_ context.Context, bundle []byte) error {
		o.bundle = bundle
		o.writes++
		if o.wrote != nil {
			o.wrote()
		}
		return nil
	}}}, nil, o.err
}

func (o *one) Secret(context.Context) (Secret, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return Secret{Data: o.data, Write: func(_ context.Context, data map[string][]byte) error { o.data = data; return nil }}, o.err
}

// run runs a reconciler in a bubble of time until the test ends.
func run(t *testing.T, o *one) (k *Reconciler, changed chan struct{}, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	k, err := NewReconciler(o, Config{Names: []string{simulatedName}, Lifetime: time.Hour}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changed = make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() { defer close(ended); k.Run(ctx, changed) }()
	t.Cleanup(func() { cancel(); <-ended })
	synctest.Wait()
	return k, changed, log
}

func TestReconcilerFromNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &one{}
		k, _, _ := run(t, o)
		if !k.Ready() || !k.NotAfter().Equal(time.Now().Add(time.Hour)) || !bytes.Contains(o.data[keyCert], []byte("BEGIN")) || !bytes.Equal(o.bundle, o.data[keyCAs]) {
			t.Errorf("ready %v, until %v, with the Secret %q", k.Ready(), k.NotAfter(), o.data)
		}
		if o.looks != 3 {
			t.Errorf("it looked %d times, want one for the Secret, one for the bundle and one to see that all is well", o.looks)
		}
	})
}

func TestReconcilerSaysOnceWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &one{err: errors.New("no such luck")}
		k, changed, log := run(t, o)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := strings.Count(log.String(), "no such luck"); n != 1 || k.Ready() || !k.NotAfter().IsZero() || k.Certificate() == nil {
			t.Errorf("said %d times, ready %v:\n%s", n, k.Ready(), log)
		}
		if o.looks < 60 || o.looks > 140 {
			t.Errorf("tried %d times in ten minutes", o.looks)
		}
		o.become(nil, []string{"amp"})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := strings.Count(log.String(), "there is no webhook configuration named amp (AMP_WEBHOOKS)"); n != 1 || k.Ready() {
			t.Errorf("said %d times, ready %v:\n%s", n, k.Ready(), log)
		}
		o.become(nil, nil)
		changed <- struct{}{}
		synctest.Wait()
		if !k.Ready() || strings.Count(log.String(), "the certificate is kept up to date again") != 1 {
			t.Errorf("ready %v:\n%s", k.Ready(), log)
		}
	})
}

func TestReconcilerSaysByWhichNameItIsCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _, log := run(t, &one{hosts: []string{"other.amp-system.svc"}})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := strings.Count(log.String(), "the webhooks call other.amp-system.svc, which is not on the certificate: add it to AMP_TLS_DNS_NAMES"); n != 1 || k.Ready() || !k.NotAfter().IsZero() {
			t.Errorf("said %d times, ready %v, until %v:\n%s", n, k.Ready(), k.NotAfter(), log)
		}
	})
}

func TestReconcilerDoesNotFightAsFastAsItCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &one{}
		o.wrote = func() { o.bundle = []byte("another's") } // at once
		run(t, o)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if o.writes < 500 || o.writes > 620 {
			t.Errorf("%d writes in ten minutes", o.writes)
		}
	})
}

func TestReconcilerOutlivesTheClusterUntilItsCertificateEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &one{}
		k, _, _ := run(t, o)
		o.become(errors.New("away"), nil)
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if !k.Ready() {
			t.Error("not ready, although what it serves is good and trusted")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if k.Ready() {
			t.Error("ready, although what it serves has ended")
		}
		o.become(nil, nil)
		time.Sleep(lastRetry + time.Second)
		synctest.Wait()
		if !k.Ready() {
			t.Error("not ready again")
		}
		if cas := parse(o.data[keyCAs]); len(cas) != 1 {
			t.Errorf("%d CAs are trusted", len(cas))
		}
	})
}
