package emit

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/txn2/amp/internal/review"
)

// message is an event as it goes over the wire.
type message struct {
	id     string
	header http.Header // of the event in binary mode
	body   []byte      // its data; without a sink the whole event and a newline
}

// size is about what the message takes in memory.
func (m *message) size() int64 {
	n := int64(cap(m.body)) + 1024
	for _, values := range m.header {
		n += 64
		for _, value := range values {
			n += int64(len(value))
		}
	}
	return n
}

// verdict is what came of one try to deliver a message.
type verdict struct {
	taken bool
	again bool          // another try may help
	cause string        // why it was not taken, as what the sink did: "answered 503"
	busy  bool          // the sink said that it has too much to do
	after time.Duration // how long the sink asked to be left alone, 0 if it did not
}

// transmitter brings messages to where they go. It is safe for concurrent use.
type transmitter interface {
	encode(e *event.Event) (*message, error)
	send(ctx context.Context, m *message) verdict
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

// send makes one Write of a line. Only one goroutine calls it.
func (w writer) send(_ context.Context, m *message) verdict {
	if _, err := w.to.Write(m.body); err != nil {
		return verdict{cause: "could not be written: " + err.Error()}
	}
	return verdict{taken: true}
}

// sink is the HTTP receiver of events.
type sink struct {
	url       *url.URL
	name      string // the URL as it may be shown
	header    http.Header
	transport http.RoundTripper
	timeout   time.Duration // of one try
}

const (
	connectTimeout = 5 * time.Second
	tryTimeout     = 10 * time.Second // a broker that stores the event first has seconds
	maxRetryAfter  = time.Minute
	answerBytes    = 64 << 10 // of an answer, read so that the connection serves again
)

// ParseSink reads K_SINK. Its error does not repeat the value, which may hold a password.
func ParseSink(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("K_SINK: allowed: an http or https URL")
	}
	return u, nil
}

// ParseCAs reads K_CA_CERTS, which may be empty: the CAs in it and, as for Knative's own sources, the system's.
func ParseCAs(text string) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if strings.TrimSpace(text) != "" && !roots.AppendCertsFromPEM([]byte(text)) {
		return nil, errors.New("K_CA_CERTS: allowed: certificates in PEM; it holds none")
	}
	return roots, nil
}

func newSink(rawURL, caCerts, userAgent string) (*sink, error) {
	u, errURL := ParseSink(rawURL)
	roots, errCAs := ParseCAs(caCerts)
	if err := errors.Join(errURL, errCAs); err != nil {
		return nil, err
	}
	s := &sink{
		name:    review.NewEndpoint(u).Name,
		timeout: tryTimeout,
		header: http.Header{
			"User-Agent": {userAgent},
			// Says to the transport alone, since it is empty, that it may repeat the request where a kept
			// connection turns out to be dead: receivers tell a second copy by source and id.
			"Idempotency-Key": {},
		},
		transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    connectTimeout,
			ForceAttemptHTTP2:      true,
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 2 * time.Second},
			DisableCompression:     true,
			MaxResponseHeaderBytes: answerBytes,
			MaxIdleConns:           256,
			MaxIdleConnsPerHost:    256, // under required each review in flight has one
			IdleConnTimeout:        90 * time.Second,
			WriteBufferSize:        16 << 10,
		},
	}
	if u.User != nil {
		password, _ := u.User.Password()
		(&http.Request{Header: s.header}).SetBasicAuth(u.User.Username(), password)
	}
	s.url = &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	return s, nil
}

func (s *sink) encode(e *event.Event) (*message, error) {
	h := binaryHeader(e)
	for key, value := range s.header {
		h[key] = value
	}
	return &message{id: e.ID(), header: h, body: e.Data()}, nil
}

// send makes one request. It is no http.Client's: that would follow redirects and put the URL into errors.
func (s *sink) send(ctx context.Context, m *message) verdict {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req := (&http.Request{Method: http.MethodPost, URL: s.url, Header: m.header, Host: s.url.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(m.body))}).WithContext(ctx)
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.body)), nil }
	req.Body, _ = req.GetBody()

	start := time.Now()
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return verdict{again: true, cause: failure(ctx, err, time.Since(start))}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols { // whose body is no message but the connection
		// What comes of it is no matter: the status has said what there is to say.
		_, _ = io.CopyN(io.Discard, resp.Body, answerBytes)
	}
	v := verdict{taken: resp.StatusCode/100 == 2, again: mayPass(resp.StatusCode)}
	if !v.taken {
		v.cause = "answered " + strconv.Itoa(resp.StatusCode)
		v.busy = resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable
		v.after = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return v
}

// mayPass reports whether a status is one after which the same request may succeed. A redirect is not: it is
// a wrong K_SINK.
func mayPass(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// failure says what went wrong with a request that has no answer.
func failure(ctx context.Context, err error, took time.Duration) string {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "gave no answer within " + took.Round(time.Millisecond).String()
	case ctx.Err() != nil:
		return "gave no answer before the request was called off"
	case errors.As(err, &dns):
		return "cannot be reached: " + review.Clip(review.Line("looking up "+dns.Name+": "+dns.Err), 200)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed the connection without an answer"
	}
	return "cannot be reached: " + review.Clip(review.Line(err.Error()), 200)
}

// retryAfter is the header of that name, in seconds or as a date, bounded; 0 where it says nothing.
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

// traceSent returns a context under which sent is set once a request has gone out: from then on whoever
// hears of no answer cannot know that it did not arrive.
func traceSent(ctx context.Context, sent *atomic.Bool) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
}

// ParseOverrides reads K_CE_OVERRIDES, which may be empty: the extensions that every event is to carry.
func ParseOverrides(text string) (map[string]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var overrides struct {
		Extensions map[string]string `json:"extensions"`
	}
	if err := json.Unmarshal([]byte(text), &overrides); err != nil {
		return nil, errors.New(`K_CE_OVERRIDES: allowed: JSON like {"extensions":{"name":"value"}}`)
	}
	for extension, value := range overrides.Extensions {
		if !extensionName(extension) {
			return nil, fmt.Errorf("K_CE_OVERRIDES: extension %q: allowed: names of a to z and 0 to 9 that are no CloudEvents attribute", review.Clip(review.Line(extension), 60))
		}
		if value == "" { // no attribute may be
			delete(overrides.Extensions, extension)
		}
	}
	return overrides.Extensions, nil
}

func extensionName(s string) bool {
	switch s {
	case "", "id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time", "data":
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}
