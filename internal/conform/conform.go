// Package conform sends every shape of a Pod to an endpoint and judges the answers, as amp and the API server do. It reads
// an answer and checks its patch with the proxy's own packages, so its judgement is amp's. It does not know what the
// endpoint is meant to do.
//
// START HERE: [Run] is the order of what is asked.
package conform

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/shapes"
)

// Config says what is asked. Only Endpoint must be set.
type Config struct {
	// Endpoint is the URL to call, at any address but the clouds' metadata addresses.
	Endpoint *url.URL
	// Phase is the phase of the reviews; empty means mutate.
	Phase review.Phase
	// Shapes are what is sent; nil means all of package shapes. More are sent after them.
	Shapes, More []shapes.Shape
	// Budget is the time for one answer; 0 is amp's own default: 1500 ms, or half of it in the validate phase.
	Budget time.Duration
	// MaxBytes is the most bytes of an answer; 0 is amp's own default, 1 MiB.
	MaxBytes int64
	// Deny are the places that a patch must not touch; nil is amp's own default.
	Deny []string
	// CAFile is a PEM file with the CAs of the endpoint's certificate; empty for the system's roots.
	CAFile string
	// OnlyDryRuns leaves out all reviews that are not dry runs, and so the rule that compares both.
	OnlyDryRuns bool
	// UserAgent is the header of that name.
	UserAgent string
}

// DefaultMaxBytes is the default of amp for AMP_ENDPOINT_MAX_BYTES.
const DefaultMaxBytes = 1 << 20

// BudgetOf is the default budget of a phase: a validating review has half the time.
func BudgetOf(phase review.Phase) time.Duration {
	if phase == review.Validate {
		return review.DefaultTimeout / 2
	}
	return review.DefaultTimeout
}

// NotAsked is the error of a run that could not ask.
type NotAsked struct{ Cause string }

func (e *NotAsked) Error() string { return e.Cause }

// maxLate is how many shapes in a row may get no answer in time. The next ones would get none either, and take the whole
// budget each.
const maxLate = 3

// Run asks the endpoint and returns the report. It asks about one Pod after the other, then about all at once, and at the
// end it sends requests that are no reviews. Its error is a *NotAsked, without a report, or that of ctx: then the report says
// what was known when ctx ended.
func Run(ctx context.Context, config Config) (*Report, error) {
	r, err := newRun(config)
	if err != nil {
		return nil, err
	}
	if err := r.all(ctx); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		r.stop = fmt.Sprintf("interrupted after %d of %d Pods", len(r.firsts), len(r.shapes))
	}
	return r.report(), ctx.Err()
}

// all asks everything, until ctx ends. Its error is a *NotAsked.
func (r *run) all(ctx context.Context) error {
	late := 0
	for i := range r.shapes {
		first := r.shape(ctx, &r.shapes[i])
		if ctx.Err() != nil {
			return nil
		}
		if i == 0 && first.result() == review.ResultUnreachable && !r.reached(ctx, first) {
			return &NotAsked{"endpoint " + r.endpoint.Name + ": " + first.err.Error()}
		}
		if late++; first.result() != review.ResultLate {
			late = 0
		}
		if late == maxLate {
			r.stop = fmt.Sprintf("%d Pods in a row got no answer in time, so the other %d were not sent", maxLate, len(r.shapes)-i-1)
			return nil
		}
	}
	r.parallel(ctx)
	r.wrongRequests(ctx)
	return nil
}

// run is one run.
type run struct {
	config   Config
	endpoint review.Endpoint
	client   *callout.Client
	direct   *http.Transport // for requests that amp does not send
	checker  *patch.Checker
	shapes   []shapes.Shape
	at       time.Time // of all reviews: two equal requests are equal in all bytes

	requests atomic.Int64
	firsts   []*exchange     // the first exchange about each shape
	took     []time.Duration // of the reviews that were sent alone
	findings []*Finding
	tried    map[string]bool // the rules that were tried
	stop     string          // why the run ended early
}

func newRun(config Config) (*run, error) {
	if config.Phase == "" {
		config.Phase = review.Mutate
	}
	if config.Budget == 0 {
		config.Budget = BudgetOf(config.Phase)
	}
	if config.MaxBytes == 0 {
		config.MaxBytes = DefaultMaxBytes
	}
	if config.Deny == nil {
		config.Deny = patch.DefaultDeny()
	}
	r := &run{config: config, endpoint: review.NewEndpoint(config.Endpoint), at: time.Now(), tried: map[string]bool{}}
	var err error
	if r.client, err = Client(config.CAFile, config.UserAgent, config.MaxBytes, keep); err != nil {
		return nil, &NotAsked{err.Error()}
	}
	if r.direct, err = direct(config.CAFile); err != nil {
		return nil, &NotAsked{err.Error()}
	}
	if r.checker, err = patch.New(config.Deny); err != nil {
		return nil, &NotAsked{err.Error()}
	}
	all := config.Shapes
	if all == nil {
		if all, err = shapes.All(config.Phase); err != nil {
			return nil, &NotAsked{err.Error()}
		}
	}
	r.shapes = slices.Concat(all, config.More)
	uids := map[string]bool{}
	for i := range r.shapes {
		own := *r.shapes[i].Review
		// An endpoint may take what has the ce-id of another review for that review.
		for n := i; uids[own.UID]; n++ {
			own.UID = shapes.UID(n)
		}
		uids[own.UID] = true
		own.Phase, own.DryRun = config.Phase, own.DryRun || config.OnlyDryRuns
		r.shapes[i].Review = &own
	}
	return r, nil
}

// Client returns a client that calls like amp's, but at any address but the clouds' metadata addresses: the author of an
// endpoint runs it on loopback, and the API server is not a danger to its own administrator.
func Client(caFile, userAgent string, maxBytes int64, answered Answered) (*callout.Client, error) {
	allow, err := callout.ParseRules("*", "0.0.0.0/0", "::/0")
	if err != nil {
		return nil, err
	}
	return callout.New(callout.Config{
		Allow: allow, CAFile: caFile, MaxBytes: maxBytes, Source: "https://amp.txn2.com/conform", UserAgent: userAgent, Answered: answered,
	})
}

// reached reports whether a call that got no answer came as far as the endpoint: over a connection, and with TLS if its URL says
// https.
func (r *run) reached(ctx context.Context, e *exchange) bool {
	var op *net.OpError
	if errors.As(e.err, &op) && op.Op == "remote error" {
		return false // a server that misses a client certificate says so after the handshake (TLS 1.3)
	}
	ctx, cancel := context.WithTimeout(ctx, r.config.Budget)
	defer cancel()
	u := r.endpoint.URL
	dial := new(net.Dialer).DialContext
	if u.Scheme == "https" {
		dial = (&tls.Dialer{Config: r.direct.TLSClientConfig}).DialContext
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), u.Scheme)))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// result is how the call ended.
func (e *exchange) result() review.Result {
	var f *review.Failure
	if errors.As(e.err, &f) {
		return f.Result
	}
	return review.ResultOK
}
