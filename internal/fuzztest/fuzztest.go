// Package fuzztest bounds what the fuzz targets run. No program links it.
package fuzztest

import (
	"runtime/metrics"
	"syscall"
	"testing"
	"time"
)

// allocated is the metric that counts the bytes of all objects ever made, those that are gone included.
const allocated = "/gc/heap/allocs:bytes"

// Within runs f, and fails the test if f takes more than cpu of the processor or allocates more than that many bytes. Both
// are of the whole process, so nothing else may run in it, as when a fuzz target runs. It goes by the processor's time,
// which does not pass while other processes run: a wall clock would fail on a busy machine.
//
// The attacks that these bounds are about took minutes and gigabytes. So a bound may be wide: a second and some 64 MB.
func Within(t testing.TB, cpu time.Duration, bytes uint64, f func()) {
	t.Helper()
	beforeCPU, beforeBytes := used()
	defer func() { // also if f ends the test
		t.Helper()
		afterCPU, afterBytes := used()
		if took := afterCPU - beforeCPU; took > cpu {
			t.Errorf("it took %s of the processor; the bound is %s", took, cpu)
		}
		if took := afterBytes - beforeBytes; took > bytes {
			t.Errorf("it allocated %d bytes; the bound is %d", took, bytes)
		}
	}()
	f()
}

// used returns the processor's time and the bytes that the process has taken so far.
func used() (cpu time.Duration, bytes uint64) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // it has no other cause than a wrong argument
	}
	sample := []metrics.Sample{{Name: allocated}}
	metrics.Read(sample)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), sample[0].Value.Uint64()
}
