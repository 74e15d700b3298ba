package stress

import (
	"fmt"
	"testing"
	"time"
)

// Use is what a replica holds.
type Use struct{ Goroutines, Descriptors, RSS float64 }

func (u Use) String() string {
	return fmt.Sprintf("%.0f goroutines, %.0f descriptors, %.1f MiB", u.Goroutines, u.Descriptors, u.RSS/(1<<20))
}

// Use is what the replica holds now, by its own metrics.
func (r *Replica) Use() (u Use, err error) {
	for series, into := range map[string]*float64{
		"go_goroutines": &u.Goroutines, "process_open_fds": &u.Descriptors, "process_resident_memory_bytes": &u.RSS,
	} {
		if *into, err = r.Metric(series); err != nil {
			return u, err
		}
	}
	return u, nil
}

// AtRest is what the replica holds when nobody calls it and it calls nobody: the connections to the endpoint and the sink
// are broken at their end, and those of its callers at theirs. It waits up to half a minute for what is at most want, and
// returns the last it saw. If want is nil, it returns the least that it sees within five seconds.
func (w *World) AtRest(t *testing.T, r *Replica, want *Use) Use {
	t.Helper()
	patience := 30 * time.Second
	if want == nil {
		patience = 5 * time.Second
	}
	var least Use
	for began := time.Now(); time.Since(began) < patience; time.Sleep(200 * time.Millisecond) {
		u, err := r.Use()
		if err != nil {
			t.Fatalf("reading amp's metrics: %v", err)
		}
		if least.Goroutines == 0 || u.Goroutines <= least.Goroutines && u.Descriptors <= least.Descriptors {
			least = u
		}
		if want != nil && least.Goroutines <= want.Goroutines && least.Descriptors <= want.Descriptors {
			break
		}
	}
	return least
}

// Quiet breaks the connections of all replicas to the endpoint, the sink and the front's callers.
func (w *World) Quiet(t *testing.T) {
	t.Helper()
	w.Front.Break()
	w.Endpoint.Kill()
	w.Sink.Kill()
	if err := w.Endpoint.Start(); err != nil {
		t.Fatal(err)
	}
	if err := w.Sink.Start(); err != nil {
		t.Fatal(err)
	}
}
