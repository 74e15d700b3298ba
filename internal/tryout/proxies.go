package tryout

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/engine"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/proxy"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/serve"
)

// defaults are the settings of a proxy whose operator has set nothing.
var defaults = sync.OnceValues(func() (*serve.Config, error) {
	return serve.Load(func(string) string { return "" })
})

// policies is the one namespace of a question.
type policies struct{ policy *review.Policy }

func (p policies) Policy(context.Context, string) (*review.Policy, error) { return p.policy, nil }

// recorder takes records and keeps none: the proxy returns them.
type recorder struct{}

func (recorder) Deliver(context.Context, *review.Record) (sent bool, err error) { return true, nil }
func (recorder) Record(context.Context, *review.Record)                         {}
func (recorder) Panicked()                                                      {}
func (recorder) BadRequest(int)                                                 {}
func (recorder) Shed(review.ShedReason)                                         {}

// anywhere is what may be called of the URLs that the user named, as AMP_ENDPOINT_ALLOW has it: an author's endpoint is on
// loopback, or anywhere. amp's own rules are for clusters.
var anywhere = []string{"*", "127.0.0.0/8", "::1/128"}

// allow is what may be called. Others than the user may write the Namespace and choose its URLs. On loopback such a URL could
// lead to a program that only the user may reach, for example to a kubectl proxy with the user's rights.
func (q *Question) allow() []string {
	if len(q.Endpoints) > 0 {
		return anywhere
	}
	return []string{"*"}
}

// kind says what the proxy of a question depends on.
type kind struct {
	caFile, version string
	named           bool // the user named the URLs
}

// kept are the proxies of the questions so far. A proxy keeps its connections, so an endpoint that serves one connection at a
// time answers each question, as it does amp's reviews.
var kept = struct {
	sync.Mutex
	proxies map[kind]*proxy.Proxy
}{proxies: map[kind]*proxy.Proxy{}}

// proxy returns what asks the question. It has no circuit, so that no answer depends on the ones before.
func (q *Question) proxy(policy *review.Policy) (*proxy.Proxy, error) {
	kept.Lock()
	defer kept.Unlock()
	is := kind{q.CAFile, q.Version, len(q.Endpoints) > 0}
	shared := kept.proxies[is]
	if shared == nil {
		var err error
		shared, err = newProxy(engine.Config{NoCircuit: true, Endpoints: callout.Config{
			CAFile: q.CAFile, Source: "https://amp.txn2.com/try", UserAgent: outbound.UserAgent(q.Version),
		}}, q.allow()...)
		if err != nil {
			// The client of endpoints names its files by the variables of the proxy. Here a flag says which.
			return nil, errors.New(strings.ReplaceAll(err.Error(), "AMP_ENDPOINT_CA: ", "--ca: "))
		}
		kept.proxies[is] = shared
	}
	own := *shared
	own.Policies, own.Timeout = policies{policy}, cmp.Or(q.Timeout, DefaultTimeout)
	return &own, nil
}

// newProxy puts a proxy together like that of an operator who has set nothing but AMP_ENDPOINT_ALLOW, to allow. config has
// what differs; its Timeout may be 0.
func newProxy(config engine.Config, allow ...string) (*proxy.Proxy, error) {
	settings, err := defaults()
	if err != nil {
		return nil, err
	}
	if config.Endpoints.Allow, err = callout.ParseRules(allow...); err != nil {
		return nil, err
	}
	config.Endpoints.MaxBytes = settings.EndpointMaxBytes
	config.Recorder, config.Log, config.Patches = recorder{}, slog.New(slog.DiscardHandler), settings.Patches
	config.FailurePolicy, config.EventsLevel = settings.FailurePolicy, review.LevelFull
	config.Timeout = cmp.Or(config.Timeout, DefaultTimeout)
	return engine.New(config)
}
