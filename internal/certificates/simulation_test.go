package certificates

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSimulation runs worlds. A world has replicas that run the real reconciler on a virtual clock, against a cluster in
// which
//   - every call takes time, may fail, and may be answered with an error although it was done;
//   - watches report late or not at all;
//   - replicas crash, start and are cut off, and other programs delete and overwrite the Secret and the bundles (events);
//   - an API server learns of a bundle late, by up to almost the settle time.
//
// At any time every API server must be able to verify every replica that is ready, by the bundles that the API server
// knows (check). A bundle that another program has overwritten does not count until amp has written it again. A replica that is cut
// off does not count, either, once other programs have removed its CA from everywhere and no other replica remembers it.
//
// AMP_WORLDS=n runs n worlds and AMP_SEED=n the one with that seed. Every test run has the worlds of three fixed seeds;
// .ci/run has more.
func TestSimulation(t *testing.T) {
	worlds, first := 3, uint64(1)
	if n, err := strconv.Atoi(os.Getenv("AMP_WORLDS")); err == nil {
		worlds, first = n, rand.Uint64()
	}
	if n, err := strconv.ParseUint(os.Getenv("AMP_SEED"), 10, 64); err == nil {
		worlds, first = 1, n
	}
	for i := range worlds {
		seed := first + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
		})
	}
}

func simulate(t *testing.T, seed uint64) {
	w := newWorld(t, seed)
	for i := range 2 + w.number(2) {
		r := &process{name: fmt.Sprintf("amp-%d", i)}
		w.replicas = append(w.replicas, r)
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
		w.settle()
	}
	w.end()
	t.Logf("%d replicas, %d writes, %d certificates", len(w.replicas), w.writes, len(w.promoted))
	if t.Failed() {
		lines := strings.SplitAfter(w.log.String(), "\n")
		t.Logf("AMP_SEED=%d, the end of the log:\n%s", seed, strings.Join(lines[max(0, len(lines)-80):], ""))
	}
}

// TestWhatNobodyKnowsIsLost: a replica is cut off, the other one has ended, and the Secret is deleted. If one bundle is left, the other
// replica finds the first one's CA there, and keeps it. If no bundle is left, it cannot find that CA.
func TestWhatNobodyKnowsIsLost(t *testing.T) {
	for name, tc := range map[string]struct{ left, lost int }{
		"a bundle of one webhook is left": {1, 0},
		"no bundle is left":               {0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				cut, other := &process{name: "amp-0"}, &process{name: "amp-1"}
				w.replicas = []*process{cut, other}
				w.start(cut)
				w.start(other)
				for w.agree() != nil {
					w.pass()
				}
				cut.cutOff.Store(true)
				w.crash(other)
				deleteSecret(w, nil)
				w.mu.Lock()
				left := tc.left
				for config, c := range w.configs {
					bundles := slices.Clone(c.bundles)
					for i := range bundles {
						if left--; left < 0 {
							bundles[i] = []byte("garbage")
						}
					}
					w.storeBundles(config, bundles, true)
				}
				w.mu.Unlock()
				w.start(other)
				for range 200 {
					w.pass()
				}
				if len(w.lost) != tc.lost || !other.reconciler.Ready() {
					t.Errorf("%d pairs are lost, want %d; ready: %v", len(w.lost), tc.lost, other.reconciler.Ready())
				}
				w.settle()
				w.end()
			})
		})
	}
}
