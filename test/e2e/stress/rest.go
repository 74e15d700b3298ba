package stress

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Use is what a replica holds.
type Use struct {
	Goroutines, Descriptors float64
	RSS, Live               float64 // bytes; Live is what was in use on the heap after the last garbage collection
	Collected               float64 // when that was, Unix seconds
}

func (u Use) String() string {
	return fmt.Sprintf("%.0f goroutines, %.0f descriptors, RSS %.1f MiB, live heap %.1f MiB", u.Goroutines, u.Descriptors, u.RSS/(1<<20), u.Live/(1<<20))
}

// Use is what the replica holds now, by its own metrics.
func (r *Replica) Use() (u Use, err error) {
	all, err := r.Metrics()
	if err != nil {
		return u, err
	}
	for series, into := range map[string]*float64{
		"go_goroutines": &u.Goroutines, "process_open_fds": &u.Descriptors, "process_resident_memory_bytes": &u.RSS,
		"go_memstats_next_gc_bytes": &u.Live, "go_memstats_last_gc_time_seconds": &u.Collected,
	} {
		_, rest, _ := strings.Cut(all, "\n"+series+" ")
		value, _, _ := strings.Cut(rest, "\n")
		if *into, err = strconv.ParseFloat(value, 64); err != nil {
			return u, fmt.Errorf("%s: %w", series, err)
		}
	}
	u.Live /= 2 // the next collection is due when the heap has doubled (GOGC=100)
	return u, nil
}

// AtRest is what the replica holds when no program calls it and it calls none: the connections to the endpoint and the sink
// are broken at their end, and those of its callers at theirs. It waits up to a minute for what is at most want. If want
// is nil, it looks for three seconds. It returns the least that it saw.
func (w *World) AtRest(t *testing.T, r *Replica, want *Use) Use {
	t.Helper()
	patience := time.Minute
	if want == nil {
		patience = 3 * time.Second
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

// NothingLeft fails the test if a replica at rest holds more than the one aside held before the faults. The slack is for
// connections to the API server, which are on their way out for minutes.
func (w *World) NothingLeft(t *testing.T, before Use) {
	t.Helper()
	const slack = 8
	want := Use{Goroutines: before.Goroutines + slack, Descriptors: before.Descriptors + slack}
	for i, r := range w.All() {
		now := w.AtRest(t, r, &want)
		t.Logf("replica %d of 3 at rest: %v; before the faults the one aside: %v", i+1, now, before)
		if now.Goroutines > want.Goroutines || now.Descriptors > want.Descriptors {
			t.Errorf("replica %d of 3 holds %v, and before the faults the one aside held %v", i+1, now, before)
		}
	}
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
