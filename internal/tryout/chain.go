package tryout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/emit"
	"github.com/txn2/amp/internal/engine"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/proxy"
	"github.com/txn2/amp/internal/review"
)

// Chain is a chain of endpoints that is asked about many Pods, each time in a dry run. One proxy asks, and keeps its
// connections. It has no circuit, so that no answer depends on the ones before. A Chain is safe for concurrent use.
type Chain struct{ proxy *proxy.Proxy }

// ChainConfig says whom a [Chain] asks.
type ChainConfig struct {
	Endpoints []string      // URLs, asked in order
	CAFile    string        // PEM file with the CAs of https endpoints; empty: the system's
	Timeout   time.Duration // for one Pod, as AMP_TIMEOUT; 0 is [review.DefaultTimeout]
	Source    string        // the CloudEvents attribute of the requests
	Version   string        // of this program, for the User-Agent
}

// NewChain returns a chain. Its error says which URL or file cannot be used.
func NewChain(config ChainConfig) (*Chain, error) {
	policy, err := (&Question{Phase: review.Mutate, Endpoints: config.Endpoints}).policy()
	if err != nil {
		return nil, err
	}
	p, err := newProxy(engine.Config{
		Policies: policies{policy}, Timeout: config.Timeout, NoCircuit: true,
		Endpoints: callout.Config{CAFile: config.CAFile, Source: config.Source, UserAgent: outbound.UserAgent(config.Version)},
	}, anywhere...)
	if err != nil {
		return nil, err
	}
	return &Chain{p}, nil
}

// Answer is what a chain wants of one Pod.
type Answer struct {
	Outcome review.Outcome  // mutated, unchanged, denied or rejected
	Message string          // why it was denied or failed
	Pod     json.RawMessage // as the chain wants it; as it came if it was denied or failed
	Ops     []events.Op     // those of the endpoints, as amp completed them
	Silent  bool            // an endpoint did not answer at all
}

// Ask asks about a Pod of a namespace that user creates. Its error says why the question cannot be asked.
func (c *Chain) Ask(ctx context.Context, pod json.RawMessage, namespace, user string) (*Answer, error) {
	body, err := (&Question{Pod: pod, Namespace: namespace, User: user, DryRun: true}).body()
	if err != nil {
		return nil, err
	}
	r, err := review.Read(body, review.Mutate)
	if err != nil {
		return nil, err
	}
	r.FailurePolicy = review.Fail
	record, _ := c.proxy.Review(ctx, r, time.Now(), 0)
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	a := &Answer{Outcome: record.Verdict.Outcome, Message: record.Verdict.Message, Pod: pod, Ops: emit.Ops(record.Run.Steps)}
	var ops []review.Op
	for i := range record.Run.Steps {
		step := &record.Run.Steps[i]
		a.Silent = a.Silent || step.Result == review.ResultUnreachable || step.Result == review.ResultLate
		ops = append(ops, step.Ops...)
	}
	if a.Outcome == review.OutcomeMutated {
		if a.Pod, err = patch.Apply(r.Pod, ops); err != nil {
			return nil, fmt.Errorf("applying the patch: %w", err)
		}
	}
	return a, nil
}
