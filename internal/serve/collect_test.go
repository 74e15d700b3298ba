package serve

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestPercentFor(t *testing.T) {
	for scanned, want := range map[uint64]int{0: 400, 1 << 20: 400, 4 << 20: 400, 8 << 20: 200, 16 << 20: 100, 100 << 20: 100} {
		if got := percentFor(scanned); got != want {
			t.Errorf("%d MiB: %d %%, want %d", scanned>>20, got, want)
		}
	}
}

// percent returns the GC percentage.
func percent() int {
	p := debug.SetGCPercent(100)
	debug.SetGCPercent(p)
	return p
}

// becomes waits until the percentage is within a range. It collects again and again, because a finalizer runs some time after its
// collection.
func becomes(t *testing.T, least, most int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; runtime.GC() {
		if p := percent(); least <= p && p <= most {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("the percentage is %d, want %d to %d", p, least, most)
		}
	}
}

func TestKeepHeadroom(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	t.Setenv("GOGC", "")
	keepHeadroom()
	becomes(t, 101, 400)
	large := make([]byte, 64<<20)
	becomes(t, 100, 100)
	runtime.KeepAlive(large)
	large = nil
	becomes(t, 101, 400)
}

func TestKeepHeadroomLeavesTheOperatorsChoice(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(70))
	t.Setenv("GOGC", "70")
	keepHeadroom()
	if p := percent(); p != 70 {
		t.Errorf("the percentage is %d", p)
	}
}
