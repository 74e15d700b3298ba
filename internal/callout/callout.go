// Package callout calls one endpoint: it decides whether amp may call it, sends the Pod and reads the answer. Of a
// patch it reads the form only. It does not know namespaces and decides nothing about the Pod.
//
// The URL comes from a tenant, and amp can reach what tenants cannot. So amp checks every connection at the address that
// it really goes to, and sends a credential only to a host that the operator named.
package callout

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/reload"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// Config is what a [Client] needs. Its values are ready to be used: a Client fills in no default.
type Config struct {
	// Allow says where amp may call (AMP_ENDPOINT_ALLOW); the zero value allows private addresses only.
	Allow Rules
	// APIServer is where the API server listens, as host:port: amp calls it only if Allow lists that very address and
	// port. It is empty if there is none.
	APIServer []string
	// APIServers returns further addresses at which API servers listen now; nil if there are none to be known.
	APIServers func() []netip.AddrPort

	// CAFile is a PEM file with the CAs that endpoints' certificates are verified by (AMP_ENDPOINT_CA); empty for the
	// system's roots.
	CAFile string
	// CertFile is a PEM file with the client certificate (AMP_ENDPOINT_CERT); empty for none.
	CertFile string
	// KeyFile is a PEM file with the client certificate's key (AMP_ENDPOINT_KEY); empty if and only if CertFile is.
	KeyFile string
	// TokenFile is a file with a bearer token (AMP_ENDPOINT_TOKEN_FILE); empty for none.
	TokenFile string

	// MaxBytes is the most bytes that an answer may have (AMP_ENDPOINT_MAX_BYTES); 0 allows only empty answers.
	MaxBytes int64
	// Source is the CloudEvents attribute source of each request (AMP_EVENTS_SOURCE); it must not be empty.
	Source string
	// UserAgent is the header of that name; if it is empty, the header is not sent.
	UserAgent string

	// Log gets warnings about credentials and about files that cannot be read again; nil discards them.
	Log *slog.Logger
	// Processors are shared fairly among the namespaces when answers are read; nil means that no answer waits.
	Processors *share.Processors
	// Resolver looks up the endpoints' names; nil is the system's.
	Resolver *net.Resolver

	// Answered is told of each answer that was read, before it is parsed, with the context of its call; of an error answer it
	// gets as much as amp reads. It is for tools that judge what the parser passes over, and must not keep the body. It may be
	// nil.
	Answered func(ctx context.Context, status int, header http.Header, body []byte)
}

// Client calls endpoints. It is safe for concurrent use and keeps its connections.
type Client struct {
	rules    Rules
	api      apiServer
	resolver *net.Resolver
	maxBytes int64
	log      *slog.Logger
	answered func(context.Context, int, http.Header, []byte)

	processors *share.Processors

	// Header values that all requests share; they are never changed.
	source, userAgent []string

	// Nil where not configured.
	roots *reload.Files[*x509.CertPool]
	cert  *reload.Files[*tls.Certificate]
	token *reload.Files[string] // the whole header value

	rebuild sync.Mutex
	links   atomic.Pointer[links]
}

// New returns a client. It reads the files of the configuration; its error names all that cannot be used, by the
// variables' names.
func New(config Config) (*Client, error) {
	c := &Client{
		rules:      config.Allow,
		resolver:   config.Resolver,
		maxBytes:   config.MaxBytes,
		log:        config.Log,
		answered:   config.Answered,
		processors: config.Processors,
		source:     []string{outbound.EncodeAttribute(config.Source)},
		userAgent:  []string{config.UserAgent},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	api, err := parseAPIServer(config.APIServer)
	if err := errors.Join(err, c.openFiles(config)); err != nil {
		return nil, err
	}
	c.api = api
	c.api.more = config.APIServers
	c.warnOfCredentials()
	c.links.Store(c.newLinks(get(c.roots), get(c.cert)))
	return c, nil
}

// Apart returns a client like c with connections of its own, so that the calls of one do not wait for those of the other, nor
// end its connections. It reads answers on other processors.
func (c *Client) Apart(processors *share.Processors) *Client {
	apart := &Client{rules: c.rules, api: c.api, resolver: c.resolver, maxBytes: c.maxBytes, log: c.log, answered: c.answered,
		processors: processors, source: c.source, userAgent: c.userAgent, roots: c.roots, cert: c.cert, token: c.token}
	apart.links.Store(apart.newLinks(get(c.roots), get(c.cert)))
	return apart
}

// Call sends pod to the endpoint as step number step of the review, counted from 1, and returns its answer. An error
// is a *[review.Failure]; the answer then holds the HTTP status, if there was one. A call that fails is repeated once,
// over a new connection, if that may help; the context bounds both. The endpoint never gets more than two requests.
func (c *Client) Call(ctx context.Context, e review.Endpoint, r *review.Review, step int, at time.Time, pod json.RawMessage) (review.Answer, error) {
	var left time.Duration // 0: unbounded
	if deadline, ok := ctx.Deadline(); ok {
		left = max(time.Until(deadline), 1)
	}
	header := c.header(r, step, at)
	trusted, err := c.authorize(header, e.URL)
	if err != nil {
		return review.Answer{}, err
	}
	for again := false; ; again = true {
		// Each try has a request of its own: a connection may still read one that has failed.
		req := outbound.NewRequest(ctx, e.URL, header, pod)
		answer, failure, retry := c.try(req, trusted, r, left, again)
		switch {
		case failure == nil:
			return answer, nil
		case again, retry == never, retry == later && !pause(ctx):
			return answer, failure
		}
	}
}

// retry says whether the same request may succeed over a new connection, and when.
type retry int

const (
	never retry = iota
	later       // after a pause: the endpoint is busy or restarts
	now         // only a kept connection has failed, before an answer
)

// authorize adds the credentials for the endpoint to the header, and reports whether the endpoint may see the client
// certificate as well. The token, which is the operator's, replaces a password in the URL, which is the tenant's.
func (c *Client) authorize(header http.Header, u *url.URL) (trusted bool, err error) {
	if c.token != nil || c.cert != nil {
		// Over plain HTTP anyone on the way could read them.
		trusted = u.Scheme == "https" && c.rules.trusts(u.Hostname(), outbound.Port(u))
	}
	if trusted && c.token != nil {
		token, err := c.token.Load()
		if err != nil {
			// The last good token may have been withdrawn, and the endpoint's 401 would not say why.
			f := failed(review.ResultUnreachable, "amp has no token for it: "+err.Error())
			f.Own, f.Err = true, err
			return false, f
		}
		header["Authorization"] = []string{token}
		return true, nil
	}
	outbound.SetBasicAuth(header, u.User)
	return trusted, nil
}

// errorBody is how much of an error's body is read: enough for its first line, and enough to read most of them whole,
// so that the connection can be used again.
const errorBody = 16 << 10

// try makes one request, with fresh over a new connection. left is the time that the whole call had, for the message of
// a late answer; 0 means that it was not bounded.
func (c *Client) try(req *http.Request, trusted bool, r *review.Review, left time.Duration, fresh bool) (review.Answer, *review.Failure, retry) {
	ctx := req.Context()
	conn, kept, err := c.current().pool(trusted).Get(ctx, req.URL, fresh)
	if err != nil {
		f, again := connectFailure(ctx, err, left)
		return review.Answer{}, f, again
	}
	since := time.Now()
	answer, f, again, err := c.exchange(conn, req, r, left)
	switch {
	case err == nil:
		conn.Release(true)
	case ctx.Err() != nil:
		conn.Silent(since)
	default:
		conn.Release(false)
		if kept && again == later && answer.Status == 0 {
			again = now
		}
	}
	return answer, f, again
}

// exchange sends the request over conn and reads the answer. err is nil if an answer was read whole, or as much of it as
// amp wants, whatever it is.
func (c *Client) exchange(conn *outbound.Conn, req *http.Request, r *review.Review, left time.Duration) (a review.Answer, f *review.Failure, again retry, err error) {
	resp, err := conn.RoundTrip(req)
	if err != nil {
		f, again = answerFailure(req.Context(), err, left, false)
		return review.Answer{}, f, again, err
	}
	defer resp.Body.Close()
	status := review.Answer{Status: resp.StatusCode}

	var body []byte
	switch {
	case resp.StatusCode < 200, resp.StatusCode == http.StatusNoContent:
		// There is no body; after 101 it would be the connection itself.
	case resp.StatusCode >= 300:
		body, err = read(req.Context(), resp, errorBody, nil) // if that fails, the message does without the rest
	default:
		if resp.ContentLength <= c.maxBytes { // a longer answer fails without being read
			body, err = read(req.Context(), resp, c.maxBytes+1, r.Memory)
		}
		switch {
		case errors.Is(err, errNoMemory):
			return status, failed(review.ResultFull, r.NoMemory("its answer")), never, err
		case err != nil:
			f, again = answerFailure(req.Context(), err, left, true)
			return status, f, again, err
		case max(int64(len(body)), resp.ContentLength) > c.maxBytes:
			return status, failed(review.ResultInvalid, fmt.Sprintf("answered more than %d bytes (AMP_ENDPOINT_MAX_BYTES)", c.maxBytes)), never, nil
		}
	}
	if c.answered != nil {
		c.answered(req.Context(), resp.StatusCode, resp.Header, body)
	}
	place, late := c.processors.Take(req.Context(), r.Namespace, len(body))
	defer place.Release()
	if late != nil {
		return status, failed(review.ResultLate, "the time for the review was over before amp had read the answer"), never, nil
	}
	a, f = parse(r.Phase, resp.StatusCode, resp.Header, body, nil)
	if f != nil || a.Message != "" || len(a.Warnings) > 0 {
		if s := secretsOf(req.URL); len(s) > 0 {
			a, f = s.parse(r.Phase, resp.StatusCode, resp.Header, body)
		}
	}
	switch {
	case f == nil:
		return a, nil, never, nil
	case busy(resp.StatusCode):
		return status, f, later, err
	}
	return status, f, never, err
}

// busy reports whether the same request may succeed soon after this status.
func busy(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// pause waits a little before the second try, and reports whether there is time for one. The wait is random, so that
// the reviews that failed when an endpoint restarted do not come back all at once.
func pause(ctx context.Context) bool {
	wait := 10*time.Millisecond + rand.N(40*time.Millisecond)
	return outbound.Pause(ctx, wait, wait)
}
