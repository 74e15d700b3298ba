// Package callout calls one endpoint: it says who may be called, sends the Pod and reads the answer. It does
// not look into patches beyond their form, knows nothing of namespaces, and decides nothing about the Pod.
//
// The URL is a tenant's and amp sits where tenants do not, so that every connection is checked at the address
// that it really goes to, and no credential goes to a host that the operator did not name.
package callout

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/txn2/amp/internal/reload"
	"github.com/txn2/amp/internal/review"
)

// Config is what a Client needs to know. The zero value is amp's default: private addresses over the
// system's trust, no credentials.
type Config struct {
	// Allow lists what may be called: host globs, host:port, addresses and CIDRs (AMP_ENDPOINT_ALLOW).
	// Empty: private addresses only. Blank entries count for nothing.
	Allow []string
	// APIServer is where the API server listens, as host:port. It is never called, whatever Allow lists.
	APIServer []string

	CAFile            string // PEM, in place of the system's roots (AMP_ENDPOINT_CA)
	CertFile, KeyFile string // client certificate, both or none (AMP_ENDPOINT_CERT, AMP_ENDPOINT_KEY)
	TokenFile         string // bearer token (AMP_ENDPOINT_TOKEN_FILE)

	MaxBytes int64  // of an answer (AMP_ENDPOINT_MAX_BYTES); 0: 1 MiB
	Source   string // the CloudEvents attribute source; empty: https://amp.txn2.com/proxy
	Version  string // of amp, for User-Agent

	Log      *slog.Logger  // hears of files that cannot be read again; nil: nobody does
	Resolver *net.Resolver // nil: the system's
}

// Client calls endpoints. It is safe for concurrent use and keeps its connections.
type Client struct {
	rules    *rules
	resolver *net.Resolver
	maxBytes int64
	log      *slog.Logger

	// What every request has in common, as header values; nobody writes to them.
	source, userAgent []string

	// Nil where not configured.
	roots *reload.Files[*x509.CertPool]
	cert  *reload.Files[*tls.Certificate]
	token *reload.Files[string] // the whole header value

	rebuild sync.Mutex
	links   atomic.Pointer[links]
}

// New returns a client. Its error names all that is wrong with the configuration, by the variables' names.
func New(config Config) (*Client, error) {
	c := &Client{
		resolver: config.Resolver,
		maxBytes: config.MaxBytes,
		log:      config.Log,
	}
	if c.resolver == nil {
		c.resolver = net.DefaultResolver
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	var errs []error
	switch {
	case c.maxBytes == 0:
		c.maxBytes = 1 << 20
	case c.maxBytes < 0:
		errs = append(errs, fmt.Errorf("AMP_ENDPOINT_MAX_BYTES: %d is no size", c.maxBytes))
	}
	source, agent := config.Source, "amp"
	if source == "" {
		source = "https://amp.txn2.com/proxy"
	}
	if config.Version != "" {
		agent += "/" + config.Version
	}
	c.source, c.userAgent = []string{review.EncodeAttribute(source)}, []string{agent}

	var err error
	if c.rules, err = newRules(config.Allow, config.APIServer); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, c.openFiles(config))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c.warnOfCredentials()
	c.links.Store(c.newLinks(get(c.roots), get(c.cert)))
	return c, nil
}

// Call sends pod to the endpoint as step number step of the review, counted from 1, and returns its answer.
// An error is a *[review.Failure]; the answer then holds the HTTP status, if there was one. A call that
// fails is repeated once where that may help; the context bounds both.
func (c *Client) Call(ctx context.Context, e review.Endpoint, r *review.Review, step int, at time.Time, pod json.RawMessage) (review.Answer, error) {
	var left time.Duration // 0: unbounded
	if deadline, ok := ctx.Deadline(); ok {
		left = max(time.Until(deadline), 1)
		ctx = context.WithValue(ctx, deadlineKey{}, deadline)
	}
	header := c.header(r, step, at)
	trusted, err := c.authorize(header, e.URL)
	if err != nil {
		return review.Answer{}, err
	}
	for again := true; ; again = false {
		req := newRequest(ctx, e.URL, header, pod)
		answer, failure, retry := c.try(req, trusted, r.Phase, left)
		switch {
		case failure == nil:
			return answer, nil
		case !again || !retry || !pause(ctx):
			return answer, failure
		}
	}
}

// authorize adds the credentials that are due to the header, and reports whether the client certificate is
// due as well. The token replaces a password in the URL: the one is the operator's, the other the tenant's.
func (c *Client) authorize(header http.Header, u *url.URL) (trusted bool, err error) {
	if c.token != nil || c.cert != nil {
		// Over plain HTTP whoever listens on the way would have them.
		trusted = u.Scheme == "https" && c.rules.trusts(u.Hostname(), portOf(u))
	}
	if trusted && c.token != nil {
		token, err := c.token.Load()
		if err != nil {
			// The last good one may have been withdrawn, and the endpoint's 401 would tell nobody why.
			return false, failed(review.ResultUnreachable, "amp has no token for it: "+err.Error())
		}
		header["Authorization"] = []string{token}
		return true, nil
	}
	if u.User != nil {
		password, _ := u.User.Password()
		r := http.Request{Header: header}
		r.SetBasicAuth(u.User.Username(), password)
	}
	return trusted, nil
}

func portOf(u *url.URL) uint16 {
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(port)
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// newRequest returns a request of its own for each try: a transport may still read a request that has failed.
func newRequest(ctx context.Context, u *url.URL, header http.Header, pod []byte) *http.Request {
	req := (&http.Request{Method: http.MethodPost, URL: u, Header: header}).WithContext(ctx)
	req.Proto, req.ProtoMajor, req.ProtoMinor = "HTTP/1.1", 1, 1
	req.ContentLength = int64(len(pod))
	// GetBody lets the transport itself repeat what it knows that the endpoint never saw.
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(pod)), nil }
	req.Body, _ = req.GetBody()
	return req
}

// errorBody is how much of an error's body is read: enough for its first line, and for most of them to be
// read whole, so that the connection is used again.
const errorBody = 16 << 10

// try makes one request, with left for it and what came before. It reports whether another may help.
func (c *Client) try(req *http.Request, trusted bool, op review.Phase, left time.Duration) (a review.Answer, f *review.Failure, retry bool) {
	// Not an http.Client: that would follow redirects and put the URL into its errors.
	resp, err := c.current().transport(trusted).RoundTrip(req)
	if err != nil {
		f, retry = connectionFailure(req.Context(), err, left, false)
		return review.Answer{}, f, retry
	}
	defer resp.Body.Close()
	status := review.Answer{Status: resp.StatusCode}

	var body []byte
	switch {
	case resp.StatusCode < 200, resp.StatusCode == http.StatusNoContent:
		// No body, or (101) one that is no message but a connection.
	case resp.StatusCode >= 300:
		body, _ = read(resp, errorBody) // whatever came of it
	default:
		if resp.ContentLength <= c.maxBytes { // else it is not worth reading
			body, err = read(resp, c.maxBytes+1)
		}
		switch {
		case err != nil:
			f, retry = connectionFailure(req.Context(), err, left, true)
			return status, f, retry
		case max(int64(len(body)), resp.ContentLength) > c.maxBytes:
			return status, failed(review.ResultInvalid, fmt.Sprintf("answered more than %d bytes (AMP_ENDPOINT_MAX_BYTES)", c.maxBytes)), false
		}
	}
	if a, f = parse(op, resp.StatusCode, resp.Header.Get("Content-Type"), body); f != nil {
		return status, f, busy(resp.StatusCode)
	}
	return a, nil, false
}

// busy reports whether a status is one that may pass.
func busy(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// read returns the body, at most limit bytes of it.
func read(resp *http.Response, limit int64) ([]byte, error) {
	var buf bytes.Buffer
	// What an endpoint announces is not what it sends: it does not get a megabyte for the asking.
	buf.Grow(int(min(max(resp.ContentLength, 0), 64<<10)) + bytes.MinRead)
	_, err := buf.ReadFrom(io.LimitReader(resp.Body, limit))
	return buf.Bytes(), err
}

// pause waits a little before the second try, and reports whether there is time for one. The wait is not the
// same for all: the reviews that an endpoint's restart has failed should not come back as one.
func pause(ctx context.Context) bool {
	wait := 10*time.Millisecond + rand.N(40*time.Millisecond)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < 2*wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
