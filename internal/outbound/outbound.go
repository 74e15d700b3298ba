// Package outbound holds what amp's two HTTP clients have in common: the one that calls endpoints
// (internal/callout) and the one that sends events (internal/emit). It does not decide where amp may connect,
// what an answer means, or whether a request is repeated.
//
// Both use an [http.Transport] directly. An [http.Client] would follow redirects, and it would put the whole URL
// into its errors.
package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// ConnectTimeout is the longest that connecting may take, and again the longest for the TLS handshake, where
	// the context does not end earlier.
	ConnectTimeout = 5 * time.Second
	// MaxHeaderBytes is the most that the header of an answer may hold.
	MaxHeaderBytes = 64 << 10
)

// NewTransport returns a transport that verifies servers by roots (nil: the system's) and shows the client
// certificates to servers that ask for one. It uses no proxy and does not bound the number of idle connections: the
// caller sets Proxy, MaxIdleConns and DialContext before the first request.
func NewTransport(roots *x509.CertPool, certificates ...tls.Certificate) *http.Transport {
	return &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: certificates, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true, // net/http does not try it by itself once TLSClientConfig or DialContext is set
		// A server that dies without closing the connection leaves one on which HTTP/2 would go on sending requests:
		// all requests share it, and a request that is late does not close it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 2 * time.Second},

		TLSHandshakeTimeout:    ConnectTimeout,
		DisableCompression:     true, // answers are small, and a limit on their bytes would count compressed ones
		MaxResponseHeaderBytes: MaxHeaderBytes,
		// A burst of Pods uses many connections at once, and the next burst uses the same ones again.
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     90 * time.Second,
		WriteBufferSize:     16 << 10, // a usual Pod and its header in one write
	}
}

// NewRequest returns a POST of body to u. The userinfo of u is not sent: see [SetBasicAuth]. The header is not
// copied, and a transport may still read it after the request has failed, so the caller must not change it.
func NewRequest(ctx context.Context, u *url.URL, header http.Header, body []byte) *http.Request {
	req := (&http.Request{
		Method: http.MethodPost, URL: u, Header: header, ContentLength: int64(len(body)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	// With GetBody, the transport itself repeats a request when it knows that the server has not seen it.
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, _ = req.GetBody()
	return req
}

// SetBasicAuth sets the header Authorization from the userinfo of a URL. It does nothing if user is nil.
func SetBasicAuth(header http.Header, user *url.Userinfo) {
	if user == nil {
		return
	}
	password, _ := user.Password()
	(&http.Request{Header: header}).SetBasicAuth(user.Username(), password)
}

// UserAgent returns the value of the header User-Agent for a version of amp; the version may be empty.
func UserAgent(version string) string {
	if version == "" {
		return "amp"
	}
	return "amp/" + version
}

// Port returns the port of an http or https URL, which may leave it to the scheme.
func Port(u *url.URL) uint16 {
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(port)
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// Ended reports whether the time of a call is over. A dialer has the same deadline and may notice before ctx does.
func Ended(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// Pause waits before another try and returns true. It returns false, at once, if ctx has a deadline and less than
// rest would be left after the wait; and it returns false when ctx ends during the wait.
func Pause(ctx context.Context, wait, rest time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait+rest {
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
