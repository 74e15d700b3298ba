package certificates

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	simulatedLifetime = 10 * time.Minute
	simulatedName     = "amp.amp-system.svc" // the name that the API servers call
	webhooksEach      = 2
	apiServers        = 2
)

// world is the simulated cluster.
type world struct {
	t    *testing.T
	rand *rand.Rand
	mu   sync.Mutex // is not held while virtual time passes

	version  int
	secret   *storedSecret
	configs  map[string]*webhookConfig
	replicas []*process

	writes   int
	promoted map[string]bool // the leaf certificates that the Secret ever said are to be served
	unstaged map[string]bool // and those of them that were never a next pair
	lost     map[string]bool // and those of them whose CA no replica that is not cut off can find (noteLost)
	log      bytes.Buffer

	verified map[verification]bool
	ends     map[*byte]time.Time // when the last CA ends in the bundle that begins there
}

type storedSecret struct {
	version int
	data    map[string][]byte
}

// webhookConfig is a webhook configuration, as stored and as each API server knows it.
type webhookConfig struct {
	view
	known [apiServers]view
}

type view struct {
	version     int
	bundles     [][]byte
	overwritten bool // by another program, and since then not by amp
}

// process is one replica, which may be running.
type process struct {
	name       string
	reconciler *Reconciler // nil: it is not running
	changed    chan struct{}
	stop       context.CancelFunc
	ended      chan struct{}
	cutOff     atomic.Bool // from the cluster's API
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rand: rand.New(rand.NewPCG(seed, 0)), configs: map[string]*webhookConfig{}, promoted: map[string]bool{}, unstaged: map[string]bool{}, lost: map[string]bool{},
		verified: map[verification]bool{}, ends: map[*byte]time.Time{}}
	for _, name := range []string{"mutating", "validating"} {
		c := &webhookConfig{view: view{bundles: make([][]byte, webhooksEach)}}
		for i := range c.known {
			c.known[i].bundles = c.bundles
		}
		w.configs[name] = c
	}
	return w
}

// chance is true once in n times, number is below n, and upTo is a duration below d.
func (w *world) chance(n int) bool { return w.number(n) == 0 }

func (w *world) number(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(n)
}

func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.number(int(d))) }

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(&w.log, "%s %s\n", time.Now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}

// call is one API call of a replica: do happens some time between the beginning and the end of the call.
func (w *world) call(ctx context.Context, r *process, do func() error) error {
	time.Sleep(w.upTo(30 * time.Millisecond))
	if w.chance(40) { // a call is slow at times, and what was read before is old then
		time.Sleep(w.upTo(reconcileTimeout / 2))
	}
	if r.cutOff.Load() || w.chance(30) {
		return errors.New("no answer")
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.mu.Lock()
	err := do()
	w.mu.Unlock()
	time.Sleep(w.upTo(30 * time.Millisecond))
	if w.chance(30) {
		return errors.New("the answer was lost")
	}
	return err
}

// simulatedCluster is the world as one replica calls it.
type simulatedCluster struct {
	w *world
	r *process
}

func (c simulatedCluster) Configurations(ctx context.Context) (found []Configuration, missing []string, err error) {
	for _, name := range []string{"mutating", "validating"} {
		var read Configuration
		err := c.w.call(ctx, c.r, func() error {
			stored := c.w.configs[name]
			version := stored.version
			read = Configuration{Name: name, Bundles: slices.Clone(stored.bundles)}
			read.Write = func(ctx context.Context, bundle []byte) error {
				return c.w.call(ctx, c.r, func() error {
					if stored.version != version {
						return ErrConflict
					}
					c.w.storeBundles(name, slices.Repeat([][]byte{bundle}, webhooksEach), false)
					return nil
				})
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
		found = append(found, read)
	}
	return found, nil, nil
}

func (c simulatedCluster) Secret(ctx context.Context) (s Secret, err error) {
	err = c.w.call(ctx, c.r, func() error {
		version := 0
		if c.w.secret != nil {
			version, s.Data = c.w.secret.version, maps.Clone(c.w.secret.data)
		}
		s.Write = func(ctx context.Context, data map[string][]byte) error {
			return c.w.call(ctx, c.r, func() error {
				now := 0
				if c.w.secret != nil {
					now = c.w.secret.version
				}
				if now != version {
					return ErrConflict
				}
				c.w.notePair(data)
				c.w.noteLost(c.r, data)
				c.w.storeSecret(data)
				return nil
			})
		}
		return nil
	})
	return s, err
}

// notePair notes a pair that is to be served for the first time, and whether it was staged. w.mu is held.
func (w *world) notePair(data map[string][]byte) {
	now, err := read(data, time.Now())
	if err != nil {
		return
	}
	leaf := string(now.Serving.leaf().Raw)
	if !w.promoted[leaf] {
		w.promoted[leaf] = true
		w.unstaged[leaf] = w.secret == nil || !bytes.Equal(w.secret.data[keyNextCert], now.Serving.cert)
	}
}

// noteLost notes what is lost when a replica that has just started writes a Secret. That replica remembers nothing. It can keep only the
// CAs that it finds in the Secret and in the bundles.
//
// If it finds none, an API server that has not learned of that yet still trusts other CAs. It does not count until amp's next bundle.
// If the CA of a replica that is cut off is not among them, no API server will learn of this CA again. w.mu is held.
func (w *world) noteLost(writer *process, data map[string][]byte) {
	if writer.reconciler == nil || writer.reconciler.Ready() {
		return // it has a memory
	}
	var found [][]byte
	if w.secret != nil {
		found = append(found, w.secret.data[keyCAs])
	}
	for _, c := range w.configs {
		found = append(found, c.bundles...)
	}
	if !slices.ContainsFunc(found, func(cas []byte) bool { return !w.trustsNone(cas) }) {
		for _, c := range w.configs {
			for i := range c.known {
				c.known[i].overwritten = true
			}
		}
	}
	known := append(found, data[keyCAs])
	for _, r := range w.replicas {
		if !r.cutOff.Load() || r.reconciler == nil || !r.reconciler.Ready() {
			continue
		}
		pair := r.reconciler.current.Load().pair
		if !slices.ContainsFunc(known, func(cas []byte) bool { return w.verifies(pair, cas) }) {
			w.lost[string(pair.leaf().Raw)] = true
		}
	}
}

// storeSecret stores the Secret; nil deletes it. w.mu is held.
func (w *world) storeSecret(data map[string][]byte) {
	w.version++
	w.writes++
	w.secret = &storedSecret{w.version, data}
	if data == nil {
		w.secret = nil
	}
	w.notify()
}

// storeBundles stores the bundles of a configuration, which the API servers learn of later. w.mu is held.
func (w *world) storeBundles(name string, bundles [][]byte, overwritten bool) {
	w.version++
	w.writes++
	c := w.configs[name]
	c.view = view{w.version, bundles, overwritten}
	now := c.view
	// Just under the settle time of a certificate whose life is simulatedLifetime and a tenth of that before.
	late := (simulatedLifetime + simulatedLifetime/10) / 20 * 95 / 100
	for i := range c.known {
		time.AfterFunc(time.Duration(w.rand.Int64N(int64(late))), func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if c.known[i].version < now.version {
				c.known[i] = now
				w.check()
			}
		})
	}
	w.notify()
}

// notify lets the replicas' watches report a change, late or not at all. w.mu is held.
func (w *world) notify() {
	for _, r := range w.replicas {
		if r.reconciler == nil || w.rand.IntN(20) == 0 {
			continue
		}
		changed := r.changed
		time.AfterFunc(time.Duration(w.rand.Int64N(int64(200*time.Millisecond))), func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	}
}

// start starts a replica.
func (w *world) start(r *process) {
	names := []string{simulatedName}
	if w.chance(5) {
		names = append(names, "amp-direct.amp-system.svc") // an unfinished rollout
	}
	log := slog.New(slog.NewTextHandler(writer{w}, nil)).With("replica", r.name)
	reconciler, err := NewReconciler(simulatedCluster{w, r}, Config{Names: names, Lifetime: simulatedLifetime}, log)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	changed, ended := make(chan struct{}, 1), make(chan struct{})
	w.mu.Lock()
	r.reconciler, r.changed, r.stop, r.ended = reconciler, changed, cancel, ended
	r.cutOff.Store(false)
	w.mu.Unlock()
	go func() {
		defer close(ended)
		reconciler.Run(ctx, changed)
	}()
	w.note("%s starts with %q", r.name, names)
}

// crash ends a replica wherever it is in its work.
func (w *world) crash(r *process) {
	r.stop()
	w.mu.Lock()
	r.reconciler = nil
	w.mu.Unlock()
	<-r.ended
	w.note("%s ends", r.name)
}

// end ends all replicas, and waits for every timer.
func (w *world) end() {
	for _, r := range w.replicas {
		if r.reconciler != nil {
			w.crash(r)
		}
	}
	time.Sleep(time.Hour)
}

// writer takes the replicas' log.
type writer struct{ w *world }

func (l writer) Write(b []byte) (int, error) {
	l.w.note("  %s", strings.TrimSpace(string(b)))
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.w.check() // the replica may serve another certificate
	return len(b), nil
}
