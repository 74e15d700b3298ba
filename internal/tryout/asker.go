package tryout

import (
	"cmp"
	"context"
	"log/slog"
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

// notOnLoopback is what may be called of the URLs of a Namespace. Others than the user may write it. On loopback such a URL could
// lead to a program that only the user may reach, for example to a kubectl proxy with the user's rights.
var notOnLoopback = []string{"*"}

// Asker asks questions. It keeps its connections, so an endpoint that serves one connection at a time answers each question,
// as it does amp's reviews. It has no circuit, so that no answer depends on the ones before. An Asker is safe for concurrent
// use.
type Asker struct {
	named       *proxy.Proxy // for URLs that the user named
	ofNamespace *proxy.Proxy // for those of the Namespace
}

// NewAsker returns an Asker. caFile is a PEM file with the CAs of https endpoints, empty for the system's; version is that of
// this program, for the User-Agent. The error says which file cannot be used.
func NewAsker(caFile, version string) (*Asker, error) {
	config := engine.Config{NoCircuit: true, Endpoints: callout.Config{
		CAFile: caFile, Source: "https://amp.txn2.com/try", UserAgent: outbound.UserAgent(version),
	}}
	named, err := newProxy(config, anywhere...)
	if err != nil {
		return nil, err
	}
	ofNamespace, err := newProxy(config, notOnLoopback...)
	if err != nil {
		return nil, err
	}
	return &Asker{named, ofNamespace}, nil
}

// proxy returns what asks the question.
func (a *Asker) proxy(q *Question, policy *review.Policy) *proxy.Proxy {
	own := *a.ofNamespace
	if len(q.Endpoints) > 0 {
		own = *a.named
	}
	own.Policies, own.Timeout = policies{policy}, cmp.Or(q.Timeout, review.DefaultTimeout)
	return &own
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
	config.Timeout = cmp.Or(config.Timeout, review.DefaultTimeout)
	return engine.New(config)
}
