package serve

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// headroom is how much amp may allocate between two collections of garbage, if less than that is live. Go's default is as much
// as is live, which is 4 MiB for most clusters, and then a collection begins after 70 reviews and costs more than they do. A
// fixed GOGC would be right for one size of the cluster only: the more Namespaces, the more memory would it waste.
const headroom = 16 << 20

// keepHeadroom sets Go's GC percentage now and after each collection, so that there is at least the headroom until the next.
// What is live decides alone if it is more, and GOMEMLIMIT goes before both. A GOGC in the environment is the operator's
// choice, and stays.
func keepHeadroom() {
	if os.Getenv("GOGC") != "" {
		return
	}
	now := goPercent
	tune := func() {
		if percent := percentFor(scanned()); percent*10 < now*9 || percent*10 > now*11 { // each change stops the world
			now = percent
			debug.SetGCPercent(percent)
		}
	}
	tune()
	afterCollections(tune)
}

const (
	goPercent = 100     // Go's default
	goMinimum = 4 << 20 // bytes of a heap below which Go does not collect, at that percentage: it grows with the percentage
)

// percentFor is the percentage at which a heap with so many bytes to scan grows by the headroom, or by as much as it has.
func percentFor(scanned uint64) int {
	return max(goPercent, int(headroom*100/max(scanned, goMinimum)))
}

// scanned is how many bytes the collector went through: Go's percentage is of these.
func scanned() (bytes uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			bytes += s.Value.Uint64()
		}
	}
	return bytes
}

// afterCollections calls f after each collection, until the process ends. The finalizer of a value runs when the value has
// become garbage, and makes the next one.
func afterCollections(f func()) {
	type mark struct{ _ *byte } // with a pointer, or it may share its memory with what is never garbage
	var again func(*mark)
	again = func(*mark) {
		f()
		runtime.SetFinalizer(&mark{}, again)
	}
	runtime.SetFinalizer(&mark{}, again)
}
