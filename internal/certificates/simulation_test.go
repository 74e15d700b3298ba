package certificates

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The simulation: replicas that run the real keeper on a clock of their own making, against a cluster where
// every call takes its time, may fail, and may be answered with an error although it was done; where watches
// tell late or not at all, replicas crash, start and are cut off, and somebody deletes and overwrites the
// Secret and the bundles.
//
// All the time, every API server must be able to verify every replica that is ready, by the bundles as it
// knows them, which is late by up to almost the settle time. Only where somebody has overwritten a bundle is
// that not asked until amp has written it again.

const (
	simulatedLifetime = 10 * time.Minute
	simulatedName     = "amp.amp-system.svc" // by which the API servers call
	webhooksEach      = 2
	apiServers        = 2
)

// world is the simulated cluster.
type world struct {
	t    *testing.T
	rand *rand.Rand
	mu   sync.Mutex // held for what takes no time only

	version int
	secret  *stored
	configs map[string]*config
	copies  []*copied

	verified map[meeting]bool
	writes   int
	promoted map[string]bool // what was ever to be served, by the certificate
	unstaged map[string]bool // and of that, what was so at once
	log      bytes.Buffer
}

type stored struct {
	version int
	data    map[string][]byte
}

// config is a webhook configuration, as stored and as each API server knows it.
type config struct {
	version int
	bundles [][]byte
	spoilt  bool // overwritten, and not yet by amp
	known   [apiServers]view
}

type view struct {
	version int
	bundles [][]byte
	spoilt  bool
}

// copied is one replica: its present life, if it is alive.
type copied struct {
	name    string
	keeper  *Keeper
	changed chan struct{}
	stop    context.CancelFunc
	cutOff  atomic.Bool
	ended   chan struct{}
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rand: rand.New(rand.NewPCG(seed, 0)), configs: map[string]*config{}, verified: map[meeting]bool{}, promoted: map[string]bool{}, unstaged: map[string]bool{}}
	for _, name := range []string{"mutating", "validating"} {
		c := &config{bundles: make([][]byte, webhooksEach)}
		for i := range c.known {
			c.known[i].bundles = c.bundles
		}
		w.configs[name] = c
	}
	return w
}

// chance is true once in n times, number one below n, and upTo a duration up to d.
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

// call is one call of the API by a replica: do happens some time between its beginning and its end.
func (w *world) call(ctx context.Context, r *copied, do func() error) error {
	time.Sleep(w.upTo(30 * time.Millisecond))
	if w.chance(40) { // now and then a call is slow, and what was read before is old
		time.Sleep(w.upTo(patience / 2))
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

// cluster is the world as a replica reaches it.
type cluster struct {
	w *world
	r *copied
}

func (c cluster) Configurations(ctx context.Context) (found []Configuration, missing []string, err error) {
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
					c.w.store(name, slices.Repeat([][]byte{bundle}, webhooksEach), false)
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

func (c cluster) Secret(ctx context.Context) (s Secret, err error) {
	err = c.w.call(ctx, c.r, func() error {
		version := 0
		if c.w.secret != nil {
			version, s.Data = c.w.secret.version, maps.Clone(c.w.secret.data)
		}
		s.Write = func(ctx context.Context, data map[string][]byte) error {
			return c.w.call(ctx, c.r, func() error {
				is := 0
				if c.w.secret != nil {
					is = c.w.secret.version
				}
				if is != version {
					return ErrConflict
				}
				c.w.serves(data)
				c.w.keep(data)
				return nil
			})
		}
		return nil
	})
	return s, err
}

// serves notes what is to be served for the first time, and whether that was never staged. w.mu is held.
func (w *world) serves(data map[string][]byte) {
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

// keep stores the Secret, and store a configuration, of which the API servers hear later. w.mu is held.
func (w *world) keep(data map[string][]byte) {
	w.version++
	w.writes++
	w.secret = &stored{w.version, data}
	if data == nil {
		w.secret = nil
	}
	w.tell()
}

func (w *world) store(name string, bundles [][]byte, spoilt bool) {
	w.version++
	w.writes++
	c := w.configs[name]
	c.version, c.bundles, c.spoilt = w.version, bundles, spoilt
	now := view{w.version, bundles, spoilt}
	// Just short of the settle time of a certificate that is good for simulatedLifetime and a tenth before.
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
	w.tell()
}

// tell tells the replicas that something has changed, later or not at all. w.mu is held.
func (w *world) tell() {
	for _, r := range w.copies {
		if r.keeper == nil || w.rand.IntN(20) == 0 {
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

// start begins a life of a replica, and crash ends it wherever it is.
func (w *world) start(r *copied) {
	names := []string{simulatedName}
	if w.chance(5) {
		names = append(names, "amp-direct.amp-system.svc") // a rollout that has not got far
	}
	log := slog.New(slog.NewTextHandler(writer{w}, nil)).With("replica", r.name)
	keeper, err := NewKeeper(cluster{w, r}, Config{Names: names, Lifetime: simulatedLifetime}, log)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	changed, ended := make(chan struct{}, 1), make(chan struct{})
	w.mu.Lock()
	r.keeper, r.changed, r.stop, r.ended = keeper, changed, cancel, ended
	r.cutOff.Store(false)
	w.mu.Unlock()
	go func() {
		defer close(ended)
		keeper.Run(ctx, changed)
	}()
	w.note("%s starts with %q", r.name, names)
}

func (w *world) crash(r *copied) {
	r.stop()
	w.mu.Lock()
	r.keeper = nil
	w.mu.Unlock()
	<-r.ended
	w.note("%s ends", r.name)
}

type writer struct{ w *world }

func (l writer) Write(b []byte) (int, error) {
	l.w.note("  %s", strings.TrimSpace(string(b)))
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.w.check() // it may serve another certificate
	return len(b), nil
}

// check fails the test if an API server cannot verify a replica that is ready: whenever an API server learns of
// a bundle, a replica says what it serves, and time has passed. w.mu is held.
func (w *world) check() {
	if w.t.Failed() {
		return // once is enough
	}
	for _, r := range w.copies {
		if r.keeper == nil || !r.keeper.Ready() {
			continue
		}
		pair := r.keeper.current.Load().pair
		for name, c := range w.configs {
			for i, known := range c.known {
				if known.spoilt {
					continue
				}
				for _, bundle := range known.bundles {
					// Who is the first, or comes after all have ended, takes nothing from anybody.
					if w.unstaged[string(pair.leaf().Raw)] && len(unexpired(parse(bundle), time.Now())) == 0 {
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

// pass lets a second pass.
func (w *world) pass() {
	time.Sleep(time.Second)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.check()
}

func (w *world) verifies(p *Pair, bundle []byte) bool {
	if len(bundle) == 0 || time.Now().After(p.NotAfter()) {
		return false
	}
	key := meeting{p, &bundle[0]}
	ok, known := w.verified[key]
	if !known {
		_, err := p.chain(parse(bundle), p.leaf().NotBefore)
		ok = err == nil && p.covers([]string{simulatedName})
		w.verified[key] = ok
	}
	return ok
}

// meeting is a pair and the text of a bundle, neither of which is ever changed.
type meeting struct {
	pair   *Pair
	bundle *byte
}

// disturb does one of the things that happen to a cluster.
func (w *world) disturb() {
	r := w.copies[w.number(len(w.copies))]
	garbage := [][]byte{nil, []byte("garbage"), []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}[w.number(3)]
	overwrite := func(keys ...string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.secret == nil {
			return
		}
		data := maps.Clone(w.secret.data)
		for _, key := range keys {
			data[key] = garbage
		}
		w.keep(data)
	}
	switch what := w.number(13); what {
	case 0, 1, 2:
		if r.keeper != nil {
			w.crash(r)
			time.Sleep(w.upTo(time.Minute))
		}
		w.start(r)
	case 3:
		w.note("%s is cut off", r.name)
		r.cutOff.Store(true)
		time.AfterFunc(w.upTo(2*simulatedLifetime), func() { r.cutOff.Store(false); w.note("%s is no longer cut off", r.name) })
	case 4, 5:
		w.note("the Secret is deleted")
		w.mu.Lock()
		w.keep(nil)
		w.mu.Unlock()
	case 6:
		w.note("the Secret is overwritten")
		overwrite(keyCert, keyKey, keyCAs, keyNextCert, keyNextKey)
	case 7:
		key := []string{keyCert, keyKey, keyCAs, keyNextCert, keyNextKey}[w.number(5)]
		w.note("%s is overwritten", key)
		overwrite(key)
	case 8, 9:
		w.mu.Lock()
		defer w.mu.Unlock()
		for name, c := range w.configs {
			if w.rand.IntN(2) == 0 {
				bundles := slices.Clone(c.bundles)
				bundles[w.rand.IntN(len(bundles))] = garbage
				fmt.Fprintf(&w.log, "%s a bundle of the %s configuration is overwritten\n", time.Now().Format("15:04:05.000"), name)
				w.store(name, bundles, true)
			}
		}
	case 10:
		w.note("all end, one starts after the other")
		for _, r := range w.copies {
			if r.keeper != nil {
				w.crash(r)
			}
		}
		for _, r := range w.copies {
			time.Sleep(w.upTo(2 * time.Second))
			w.start(r)
		}
	case 11:
		for _, r := range w.copies {
			if r.keeper == nil || r.cutOff.Load() || !r.keeper.Ready() {
				return // who is not ready cannot know that it is not amp's, and what it must not forget
			}
		}
		w.note("somebody puts a certificate of another authority into the Secret")
		// Its CA ends with it, or before. One that outlives it leaves with the second renewal, of which a replica does
		// not hear that is cut off for that long.
		now := time.Now()
		other := issued(w.t, now.Add(-simulatedLifetime/10), now.Add(simulatedLifetime), now.Add(time.Duration(1+w.number(2))*simulatedLifetime))
		w.mu.Lock()
		w.keep(State{Serving: other, CAs: []*x509.Certificate{other.CA}}.write(nil))
		w.mu.Unlock()
		for range 120 {
			w.pass()
		}
	case 12: // nothing, for longer
		time.Sleep(w.upTo(simulatedLifetime))
	}
}

// TestSimulation runs some worlds; AMP_SEED=n runs that one, and AMP_WORLDS=n that many.
func TestSimulation(t *testing.T) {
	seeds, first := 3, uint64(1)
	if n, err := strconv.Atoi(os.Getenv("AMP_WORLDS")); err == nil {
		seeds = n
		first = rand.Uint64()
	}
	if n, err := strconv.ParseUint(os.Getenv("AMP_SEED"), 10, 64); err == nil {
		first, seeds = n, 1
	}
	for i := range seeds {
		seed := first + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { simulate(t, seed) }) })
	}
}

func simulate(t *testing.T, seed uint64) {
	w := newWorld(t, seed)
	for i := range 2 + w.number(2) {
		r := &copied{name: fmt.Sprintf("amp-%d", i)}
		w.copies = append(w.copies, r)
		w.start(r)
	}
	start := time.Now()
	for time.Since(start) < 20*simulatedLifetime && !t.Failed() {
		for range 1 + w.number(150) {
			w.pass()
		}
		w.disturb()
	}
	if !t.Failed() {
		// Left alone, they agree.
		for _, r := range w.copies {
			r.cutOff.Store(false)
			if r.keeper == nil {
				w.start(r)
			}
		}
		time.Sleep(simulatedLifetime)
		err := w.agree()
		for range 180 { // a renewal may be under way, and each change is seen within a minute
			if err == nil {
				break
			}
			time.Sleep(time.Second)
			err = w.agree()
		}
		if err != nil {
			t.Error(err)
		}
	}
	for _, r := range w.copies {
		if r.keeper != nil {
			w.crash(r)
		}
	}
	time.Sleep(time.Hour) // what was to happen later has
	t.Logf("%d replicas, %d writes, %d certificates", len(w.copies), w.writes, len(w.promoted))
	if t.Failed() {
		lines := strings.SplitAfter(w.log.String(), "\n")
		t.Logf("AMP_SEED=%d, the last that happened:\n%s", seed, strings.Join(lines[max(0, len(lines)-80):], ""))
	}
}

// agree is nil if all replicas are ready and serve what the Secret says, which is what the bundles say, and old
// CAs do not pile up.
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
	for _, r := range w.copies {
		if !r.keeper.Ready() || !r.keeper.current.Load().pair.same(s.Serving) {
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
