package emit

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/review"
)

// message is an event in the form in which it is sent.
type message struct {
	id     string
	header http.Header // of the event in binary mode
	body   []byte      // the event's data; without a sink the whole event and a newline
	// attributes are those of the event in structured mode, a JSON object without its end: the data is its last member. They
	// are nil if the event goes alone, for example because the sink did not take batches when it was encoded.
	attributes []byte
}

// size is roughly the memory that the message takes.
func (m *message) size() int64 {
	n := int64(cap(m.body)+cap(m.attributes)) + 1024
	for _, values := range m.header {
		n += 64
		for _, value := range values {
			n += int64(len(value))
		}
	}
	return n
}

// attempt is one try to deliver a message, and what came of it.
type attempt struct {
	taken bool
	sent  bool          // the request went out: a missing answer does not mean that the event did not arrive
	again bool          // another try may help
	cause string        // why it was not taken, as what the sink did: "answered 503"
	busy  bool          // the sink said that it has too much to do
	after time.Duration // how long the sink asked amp to wait; 0 if it did not ask
}

// transmitter sends messages to the sink or the writer. It is safe for concurrent use.
type transmitter interface {
	encode(e *event.Event) (*message, error)
	// send makes one try to deliver the messages: more than one only to a sink that takes batches.
	send(ctx context.Context, messages ...*message) attempt
	// batches reports whether several messages may be sent at once.
	batches() bool
}

// writer writes each event as one line of JSON.
type writer struct{ to io.Writer }

func (w writer) encode(e *event.Event) (*message, error) {
	var line bytes.Buffer
	if err := event.WriteJson(e, &line); err != nil {
		return nil, fmt.Errorf("encoding the event: %w", err)
	}
	line.WriteByte('\n')
	return &message{id: e.ID(), body: line.Bytes()}, nil
}

func (w writer) batches() bool { return false }

// send writes a line with one Write. Only one goroutine calls it.
func (w writer) send(_ context.Context, messages ...*message) attempt {
	if _, err := w.to.Write(messages[0].body); err != nil {
		return attempt{cause: "could not be written: " + err.Error()}
	}
	return attempt{taken: true}
}

// sink is the HTTP receiver of events.
type sink struct {
	url       *url.URL // without userinfo
	name      string   // the URL as it may be shown
	header    http.Header
	token     func() (string, error) // the value of Authorization; nil for none
	transport http.RoundTripper
	timeout   time.Duration // of one try
	batch     atomic.Bool   // the sink takes batches: its last good answer said so
}

const (
	tryTimeout    = 10 * time.Second // a broker that stores an event before it answers may take seconds
	maxRetryAfter = time.Minute
	answerBytes   = 64 << 10 // the most of an answer that is read, so that the connection can be used again
)

// newSink returns the sink at u, whose certificate is verified by roots (nil: the system's).
func newSink(u *url.URL, roots *x509.CertPool, userAgent string, token func() (string, error)) *sink {
	if roots == nil && u.Scheme == "https" {
		// Read the system's roots now. Otherwise crypto/tls reads them in the first handshake, in which a review may wait.
		_, _ = x509.SystemCertPool()
	}
	transport := outbound.NewTransport(roots)
	transport.Proxy = http.ProxyFromEnvironment
	dialer := &net.Dialer{Timeout: outbound.ConnectTimeout}
	if token != nil && u.Scheme == "http" {
		dialer.Control = outbound.PrivateOnly("AMP_EVENTS_TOKEN_FILE goes over http to private addresses only")
		transport.Proxy = nil // which could take the token anywhere
	}
	transport.DialContext = dialer.DialContext
	// Under AMP_EVENTS=required each review in flight has a connection of its own, and all go to this one host.
	transport.MaxIdleConns = transport.MaxIdleConnsPerHost
	header := http.Header{
		"User-Agent": {userAgent},
		// The key without a value is not sent. It only tells the transport that it may repeat the request when a kept
		// connection turns out to be dead: receivers recognize a second copy by source and id.
		"Idempotency-Key": {},
	}
	outbound.SetBasicAuth(header, u.User)
	return &sink{
		url:       &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery},
		name:      review.NewEndpoint(u).Name,
		header:    header,
		token:     token,
		transport: transport,
		timeout:   tryTimeout,
	}
}

func (s *sink) encode(e *event.Event) (*message, error) {
	h := binaryHeader(e)
	for key, value := range s.header {
		h[key] = value
	}
	m := &message{id: e.ID(), header: h, body: e.Data()}
	if s.batches() {
		attributes, err := attributesOf(e)
		if err != nil {
			return nil, err
		}
		m.attributes = attributes
	}
	return m, nil
}

func (s *sink) batches() bool { return s.batch.Load() }

// send makes one request.
func (s *sink) send(ctx context.Context, messages ...*message) attempt {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	header, body := messages[0].header, messages[0].body
	if len(messages) > 1 {
		header, body = s.header.Clone(), batchOf(messages)
		header["Content-Type"] = []string{event.ApplicationCloudEventsBatchJSON}
	}
	if s.token != nil {
		token, err := s.token()
		if err != nil {
			return attempt{again: true, cause: "was not called: " + err.Error()}
		}
		header = header.Clone()
		header["Authorization"] = []string{token}
	}
	var p progress
	req := outbound.NewRequest(p.trace(ctx), s.url, header, body)

	start := time.Now()
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return attempt{sent: p.sent.Load(), again: true, cause: failure(ctx, err, step(p.step.Load()), time.Since(start))}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols { // after which the body would be the connection itself
		// An error here changes nothing: the status is the answer.
		_, _ = io.CopyN(io.Discard, resp.Body, answerBytes)
	}
	v := attempt{sent: true, taken: resp.StatusCode/100 == 2, again: mayPass(resp.StatusCode) || s.token != nil && resp.StatusCode == http.StatusUnauthorized}
	if v.taken {
		s.batch.Store(takesBatches(resp.Header))
	} else { // after 401, the sink or amp has yet to see a new token
		v.cause = "answered " + strconv.Itoa(resp.StatusCode)
		v.busy = resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable
		v.after = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return v
}

// mayPass reports whether the same request may succeed later. After a redirect it does not: K_SINK is wrong.
func mayPass(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// failure says why a request has no answer. If its time was over, that is the step which was not finished.
func failure(ctx context.Context, err error, at step, took time.Duration) string {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		within := "within " + took.Round(time.Millisecond).String()
		switch at {
		case lookingUp:
			return "cannot be reached: its name " + fmt.Sprintf(outbound.LateLookup, within)
		case connecting:
			return "cannot be reached: " + fmt.Sprintf(outbound.LateConnection, within)
		case handshaking:
			return "cannot be reached: " + fmt.Sprintf(outbound.LateHandshake, within)
		}
		return "gave no answer " + within
	case ctx.Err() != nil:
		return "gave no answer before amp gave up"
	case errors.As(err, &dns):
		return "cannot be reached: " + review.Clip(review.Line("looking up "+dns.Name+": "+dns.Err), 200)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed the connection without an answer"
	}
	// Any other error may quote what it cannot read: the answer, or the URL of a proxy (HTTPS_PROXY) with its password.
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &network):
		err = network
	case errors.As(err, &certificate):
		err = certificate
	default:
		return "cannot be reached: the exchange failed (" + errorTypes(err) + ")"
	}
	return "cannot be reached: " + review.Clip(review.Line(err.Error()), 200)
}

// retryAfter is the header Retry-After, in seconds or as a date, at most maxRetryAfter; 0 if it does not parse.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
