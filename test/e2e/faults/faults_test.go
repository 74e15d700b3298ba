// Package faults lets everything around amp fail while Pods are created, and amp itself, and checks what amp promises.
package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/txn2/amp/test/e2e/harness"
	"github.com/txn2/amp/test/e2e/stress"
)

// The variables of the test.
const (
	forVariable  = "AMP_FAULTS_FOR"  // how long faults happen, a Go duration; at least until each has happened once
	seedVariable = "AMP_FAULTS_SEED" // the order of the faults, as an earlier run printed it
)

// Two Pods every 60 ms and a review for every two of them: the cores are shared with an API server and with other tests. A
// longer test goes slower, so that there are at most 20,000 Pods in each namespace, and as many reviews.
const (
	quickest = 60 * time.Millisecond
	most     = 20_000

	eventBytes = 40 << 10 // of two Pods' and a review's events in the database, generously
)

// seen is what the clients saw.
type seen struct {
	mu      sync.Mutex
	creates []stress.Create
	answers []stress.Answer
}

func (s *seen) create(c stress.Create) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.creates = append(s.creates, c)
}

func (s *seen) answer(a stress.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, a)
}

// heals waits until Pods that were asked for after from are mutated in both namespaces, and the replica that only the
// test calls answers with a patch.
func (s *seen) heals(w *stress.World, from time.Time, patience time.Duration) error {
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		strict, lenient, aside := false, false, false
		s.mu.Lock()
		for i := len(s.creates) - 1; i >= 0 && i >= len(s.creates)-200; i-- {
			if c := s.creates[i]; c.From.After(from) && c.Mutated {
				strict, lenient = strict || c.Namespace == w.Strict.Name, lenient || c.Namespace == w.Lenient.Name
			}
		}
		for i := len(s.answers) - 1; i >= 0 && i >= len(s.answers)-200; i-- {
			aside = aside || s.answers[i].From.After(from) && s.answers[i].Patched
		}
		s.mu.Unlock()
		if strict && lenient && aside {
			return nil
		}
		if time.Since(began) > patience {
			return fmt.Errorf("after %v Pods are mutated again: under Fail %v, under Ignore %v, by the replica aside %v", patience, strict, lenient, aside)
		}
	}
}

func TestFaultsUnderLoad(t *testing.T) {
	length, seed := settings(t)
	began := time.Now()
	since := func(what string) { t.Logf("%s after %.0f s", what, time.Since(began).Seconds()) }
	t.Logf("%s=%d %s=%v", seedVariable, seed, forVariable, length)
	chance := rand.New(rand.NewPCG(seed, 0))
	pace := max(quickest, length/most)
	w := stress.New(t, stress.Options{
		// Certificates live so short that they are renewed all the time.
		Environment: []string{"AMP_TLS_LIFETIME=15s"},
		Disk:        64<<20 + int(length/pace)*eventBytes,
	})
	since("all runs")
	caller := stress.NewCaller(w.Aside)
	run := func(s *seen, from int) (stop func()) {
		streams := []*harness.Stream{
			harness.NewStreamAt(pace, most, offset(from, w.Creator(w.Strict, s.create))),
			harness.NewStreamAt(pace, most, offset(from, w.Creator(w.Lenient, s.create))),
			harness.NewStreamAt(2*pace, most, offset(from, func(n int) error {
				a := caller.Review(w.Strict.Name, fmt.Sprintf("aside-%d", n), harness.Pod(fmt.Sprintf("aside-%d", n), stress.Asks))
				s.answer(a)
				return a.Err
			})),
		}
		return func() {
			for _, stream := range streams {
				stream.Stop()
			}
			caller.Close()
			w.Quiet(t)
		}
	}

	// What amp holds when it has worked and nothing has happened to it yet.
	warm, s := &seen{}, &seen{}
	stop := run(warm, most)
	err := warm.heals(w, time.Now().Add(2*time.Second), time.Minute)
	stop()
	if err != nil {
		t.Fatalf("before any fault: %v", err)
	}
	before := w.AtRest(t, w.Aside, nil)

	since("faults begin")
	lags := stress.NewLags()
	stop = run(s, 0)
	windows := play(t, w, s, chance, length)
	if err := s.heals(w, time.Now(), 2*time.Minute); err != nil {
		t.Errorf("after all faults: %v", err)
	}
	stop()
	lags.Stop()
	since("faults have ended")

	w.Audit.Kill() // what it acknowledged is on its disk, or lost
	if err := w.Audit.Start(); err != nil {
		t.Fatal(err)
	}
	j := &judge{T: t, w: w, seen: s, windows: windows, lags: lags}
	w.NothingLeft(t, before)
	j.strictIsMutated()
	j.lenientIsNotRefused()
	j.inTime()
	j.recorded()
	j.summary()
	since("judged")
}

// play lets faults happen, each at least once, and goes on until the time is over.
func play(t *testing.T, w *stress.World, s *seen, chance *rand.Rand, length time.Duration) []stress.Window {
	t.Helper()
	var windows []stress.Window
	began := time.Now()
	for {
		deck := w.Deck(chance)
		for _, fault := range deck {
			if len(windows) >= len(deck) && time.Since(began) > length {
				return windows
			}
			window, err := fault.Play(hold(chance))
			if err != nil {
				t.Fatal(err)
			}
			// The next fault may come before all works again, but mostly it shall find something to break.
			if err := s.heals(w, window.To, 3*time.Second); err != nil {
				t.Logf("%s: %v", fault.Name, err)
			}
			window.To = time.Now()
			windows = append(windows, window)
		}
	}
}

// hold is how long a fault lasts: shorter than a review may take, or longer.
func hold(chance *rand.Rand) time.Duration {
	return 500*time.Millisecond + time.Duration(chance.Int64N(int64(1800*time.Millisecond)))
}

func offset(by int, do func(int) error) func(int) error {
	return func(n int) error { return do(n + by) }
}

func settings(t *testing.T) (length time.Duration, seed uint64) {
	t.Helper()
	length, seed = time.Minute, rand.Uint64()
	var err error
	if v := os.Getenv(forVariable); v != "" {
		if length, err = time.ParseDuration(v); err != nil {
			t.Fatalf("%s: %v", forVariable, err)
		}
	}
	if v := os.Getenv(seedVariable); v != "" {
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	return length, seed
}
