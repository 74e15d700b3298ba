package serve

import (
	"math"
	"runtime/debug"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/proxy"
	"github.com/txn2/amp/internal/share"
)

const (
	// minInFlightBytes is one body of 7 MiB and one answer of 1 MiB.
	minInFlightBytes = 8 << 20
	// defaultInFlightBytes holds if the process has no limit of memory.
	defaultInFlightBytes = 64 << 20
)

// candidateBytes is what the calls of candidates may keep in memory: some hundred with usual Pods, or one with a Pod of a
// megabyte. Reviews do not share it, and so it does not count as theirs (AMP_IN_FLIGHT_BYTES).
const candidateBytes = 8 << 20

func newCandidateMemory() *share.Pool { return share.NewBytes(candidateBytes, candidateBytes) }

// newMemory returns what reviews in flight may keep in memory.
//
// By default that is a quarter of what Go's runtime may use (GOMEMLIMIT). The rest, of 200 MiB in the manifests, is for two
// large checks of patches (up to 60 MB each, see share.Processors), the queue of events (16 MiB), idle connections and what the garbage collector
// has not collected yet.
func newMemory(config *Config) *share.Pool {
	bytes := config.InFlightBytes
	if bytes == 0 {
		bytes = defaultInFlightBytes
		if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
			bytes = max(limit/4, minInFlightBytes)
		}
	}
	// The largest review, if it is the only one.
	return share.NewBytes(bytes, proxy.MaxReview+callout.AnswerFactor*config.EndpointMaxBytes)
}
