// Package soak lets amp work at half of what it can do for a long time, among faults and bad tenants, and checks that what
// it holds does not grow. `make soak` runs it; it is not a part of `make e2e`.
package soak

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/txn2/amp/test/e2e/harness"
	"github.com/txn2/amp/test/e2e/stress"
)

// The variables of the test.
const (
	forVariable  = "AMP_SOAK_FOR"  // how long, a Go duration
	rateVariable = "AMP_SOAK_RATE" // reviews a second; by default half of what amp is measured to do
	seedVariable = "AMP_SOAK_SEED" // the order of the faults, as an earlier run printed it
	outVariable  = "AMP_SOAK_OUT"  // the folder for soak.svg and soak.md
)

func TestSoak(t *testing.T) {
	if os.Getenv(forVariable) == "" {
		t.Skipf("SKIPPED: %s says for how long, see `make soak`", forVariable)
	}
	length, err := time.ParseDuration(os.Getenv(forVariable))
	if err != nil {
		t.Fatalf("%s: %v", forVariable, err)
	}
	seed := rand.Uint64()
	if v := os.Getenv(seedVariable); v != "" {
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("%s=%d", seedVariable, seed)
	w := stress.New(t, stress.Options{
		// As shipped, events do not hold up answers. The log would hold a gigabyte.
		Environment: []string{"AMP_EVENTS=async", "AMP_TLS_LIFETIME=1m", "AMP_LOG_LEVEL=error"},
		Audit:       []string{"AMP_AUDIT_RETENTION=1m"},
		Disk:        512 << 20,
	})
	good := newLoad(w)
	most := good.saturate(t, 5*time.Second)
	rate := most / 2
	if v := os.Getenv(rateVariable); v != "" {
		if rate, err = strconv.ParseFloat(v, 64); err != nil {
			t.Fatalf("%s: %v", rateVariable, err)
		}
	}
	t.Logf("amp answers %.0f reviews a second; the test sends %.0f", most, rate)
	good.close()
	w.Quiet(t)
	before := w.AtRest(t, w.Aside, nil)

	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var marks []mark
	others := newOthers(t, w)
	done := make(chan struct{})
	go func() { defer close(done); good.keep(ctx, rate) }()
	go others.run(ctx)
	faults := make(chan []mark)
	go func() { faults <- fail(t, ctx, w, rand.New(rand.NewPCG(seed, 0)), began) }()
	samples := watch(ctx, w, good, max(time.Second, length/600))
	<-done
	marks = <-faults
	others.wait()
	good.close()

	folder := os.Getenv(outVariable)
	if folder == "" {
		folder = t.TempDir()
	}
	total := good.total()
	report := table(samples, total, others, rate, most, len(marks))
	for name, text := range map[string]string{"soak.svg": plot(samples, marks, length), "soak.md": report} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
	t.Logf("\n%s\nin %s: soak.svg, soak.md", report, folder)
	for _, err := range flat(samples) {
		t.Error(err)
	}
	if total.patched < total.sent/2 {
		t.Errorf("of %d reviews of the good tenant only %d were answered with a patch", total.sent, total.patched)
	}
	w.Quiet(t)
	w.NothingLeft(t, before)
	collected(t, w.Aside, before)
}

// collected fails the test if, at rest and after a garbage collection, more is in use on the heap than the whole process
// held before. Go collects at least every two minutes.
func collected(t *testing.T, r *stress.Replica, before stress.Use) {
	t.Helper()
	began := time.Now()
	for {
		u, err := r.Use()
		// The second collection empties the pools.
		if err == nil && u.Collected > float64(began.Unix()+130) {
			t.Logf("after all was collected: %v", u)
			if u.Live > before.RSS {
				t.Errorf("at rest %.1f MiB are in use on the heap; before, the whole process held %.1f MiB", u.Live/(1<<20), before.RSS/(1<<20))
			}
			return
		}
		if time.Since(began) > 6*time.Minute {
			t.Fatalf("amp has not collected its garbage twice within six minutes: %v, %v", u, err)
		}
		time.Sleep(time.Second)
	}
}

// fail lets a fault happen every fifteen seconds.
func fail(t *testing.T, ctx context.Context, w *stress.World, chance *rand.Rand, began time.Time) (marks []mark) {
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for {
		for _, fault := range w.Deck(chance) {
			select {
			case <-ctx.Done():
				return marks
			case <-tick.C:
			}
			window, err := fault.Play(500*time.Millisecond + time.Duration(chance.Int64N(int64(2*time.Second))))
			if err != nil {
				t.Error(err)
				return marks
			}
			marks = append(marks, mark{window.From.Sub(began), window.To.Sub(began), fault.Name})
		}
	}
}

// watch takes a sample of the replica aside every so often. While it does not answer, there is none.
func watch(ctx context.Context, w *stress.World, good *load, every time.Duration) (samples []sample) {
	began, last := time.Now(), time.Now()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return samples
		case <-tick.C:
		}
		use, err := w.Aside.Use()
		if err != nil {
			continue
		}
		now := time.Now()
		s := sample{at: now.Sub(began), Use: use}
		s.rate, s.p99 = good.interval(now.Sub(last))
		last = now
		samples = append(samples, s)
	}
}

var asks = harness.Pod("soak", stress.Asks)
