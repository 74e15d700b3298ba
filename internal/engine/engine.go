// Package engine puts the steps together to a [proxy.Proxy]. The server, the demo and a command-line tool that runs
// policies from a file all get their proxy from it.
//
// It takes parsed values and reads no environment. Where Namespaces come from and where records go is the caller's
// choice, so that a caller without a cluster, TLS or metrics does not link them.
package engine

import (
	"context"
	"log/slog"
	"time"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/circuit"
	"github.com/txn2/amp/internal/compare"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/proxy"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// Config is what a proxy is made of.
type Config struct {
	// Policies tells what a Namespace says; it must not be nil.
	Policies proxy.Policies
	// Recorder takes the record of each review; it must not be nil.
	Recorder proxy.Recorder
	// Log gets the lines of what goes wrong inside amp; it must not be nil.
	Log *slog.Logger

	// Endpoints says how endpoints are called; the zero value allows private addresses and empty answers only. New sets its
	// Processors to those below.
	Endpoints callout.Config
	// CircuitChanged is told that the circuit of an endpoint opened or closed: see [circuit.Config]. It may be nil.
	CircuitChanged func(host string, open bool)
	// Compared takes what came of each call of a candidate: see [proxy.CandidatesConfig]. Nil means that none is called.
	Compared func(ctx context.Context, c *compare.Candidate)
	// CandidateMemory is what calls of candidates may keep in memory; nil means that it has no bound.
	CandidateMemory *share.Pool
	// NoCircuit turns the circuits off: amp calls an endpoint even if the calls before failed. Tools use it, so that no answer
	// depends on another. Candidates have circuits all the same.
	NoCircuit bool
	// Patches checks the endpoints' patches; it must not be nil.
	Patches *patch.Checker
	// Processors are shared fairly among the namespaces; nil means that no work waits for other work.
	Processors *share.Processors

	// Timeout is the longest that a mutating review may take, all endpoints together, and twice what a validating one
	// may; with 0 every call is late.
	Timeout time.Duration
	// FailurePolicy holds if neither the path of a review nor its Namespace names one; empty means Fail.
	FailurePolicy review.FailurePolicy

	// EventsLevel is the most that an event tells. Empty means that events are off, and a namespace that asks for more gets no
	// warning.
	EventsLevel review.Level
	// EventsRequired makes a mutation fail whose event the Recorder cannot deliver; false means that no answer waits for
	// an event.
	EventsRequired bool
}

// New returns a proxy. It reads the files that config.Endpoints names; its error says which cannot be used.
func New(config Config) (*proxy.Proxy, error) {
	config.Endpoints.Processors = config.Processors
	endpoints, err := callout.New(config.Endpoints)
	if err != nil {
		return nil, err
	}
	var calls proxy.Endpoints = endpoints
	if !config.NoCircuit {
		calls = circuit.New(circuit.Config{Next: endpoints, Timeout: config.Timeout, Log: config.Log, Changed: config.CircuitChanged})
	}
	patches := config.Patches.On(config.Processors)
	p := &proxy.Proxy{
		Policies:       config.Policies,
		Endpoints:      calls,
		Check:          patches.Check,
		CheckStrictly:  patches.Strict().Check,
		CheckWhole:     patches.CheckWhole,
		Annotate:       patch.Annotate,
		Unannotate:     patch.Unannotate,
		Recorder:       config.Recorder,
		Log:            config.Log,
		Timeout:        config.Timeout,
		FailurePolicy:  config.FailurePolicy,
		Events:         config.EventsLevel,
		EventsRequired: config.EventsRequired,
		Processors:     config.Processors,
	}
	if config.Compared != nil {
		p.Candidates = newCandidates(config, endpoints, p)
	}
	return p, nil
}

// newCandidates returns what calls the candidates of the namespaces of p. A candidate may be on the host of an endpoint, and
// may fail. So it has connections and circuits of its own.
func newCandidates(config Config, endpoints *callout.Client, p *proxy.Proxy) *proxy.Candidates {
	calls := *p
	calls.Processors = config.Processors.Apart()
	patches := config.Patches.On(calls.Processors)
	calls.Check, calls.CheckStrictly = patches.Check, patches.Strict().Check
	calls.Endpoints = circuit.New(circuit.Config{Next: endpoints.Apart(calls.Processors), Timeout: config.Timeout, Log: config.Log.With("candidate", true)})
	return proxy.NewCandidates(proxy.CandidatesConfig{
		Calls: &calls, Apply: patch.Apply, Compared: config.Compared, Memory: config.CandidateMemory, Places: share.NewPlaces(proxy.CandidatePlaces),
	})
}
