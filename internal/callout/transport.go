package callout

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/txn2/amp/internal/reload"
)

// openFiles reads the files of the configuration for the first time.
func (c *Client) openFiles(config Config) error {
	var errs []error
	if path := config.CAFile; path != "" {
		var err error
		c.roots, err = reload.New(func(contents [][]byte) (*x509.CertPool, error) {
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(contents[0]) {
				return nil, fmt.Errorf("%s holds no certificate in PEM", path)
			}
			return pool, nil
		}, c.stale("AMP_ENDPOINT_CA"), path)
		errs = append(errs, inVariable("AMP_ENDPOINT_CA", err))
	}
	switch {
	case config.CertFile == "" && config.KeyFile == "":
	case config.CertFile == "" || config.KeyFile == "":
		errs = append(errs, errors.New("AMP_ENDPOINT_CERT and AMP_ENDPOINT_KEY: set both or none"))
	default:
		var err error
		c.cert, err = reload.New(func(contents [][]byte) (*tls.Certificate, error) {
			cert, err := tls.X509KeyPair(contents[0], contents[1])
			if err != nil {
				return nil, fmt.Errorf("reading %s and %s: %w", config.CertFile, config.KeyFile, err)
			}
			return &cert, nil
		}, c.stale("AMP_ENDPOINT_CERT"), config.CertFile, config.KeyFile)
		errs = append(errs, inVariable("AMP_ENDPOINT_CERT, AMP_ENDPOINT_KEY", err))
	}
	if path := config.TokenFile; path != "" {
		var err error
		c.token, err = reload.New(func(contents [][]byte) (string, error) {
			token := string(bytes.TrimSpace(contents[0]))
			switch {
			case token == "":
				return "", fmt.Errorf("%s is empty (AMP_ENDPOINT_TOKEN_FILE)", path)
			case !printable(token):
				return "", fmt.Errorf("%s holds no token: a token is one line of ASCII (AMP_ENDPOINT_TOKEN_FILE)", path)
			}
			return "Bearer " + token, nil
		}, c.stale("AMP_ENDPOINT_TOKEN_FILE"), path)
		errs = append(errs, inVariable("AMP_ENDPOINT_TOKEN_FILE", err))
	}
	return errors.Join(errs...)
}

// stale is told why a file that has changed is no good.
func (c *Client) stale(variable string) func(error) {
	return func(err error) {
		c.log.Warn("endpoint credentials or trust not renewed", "variable", variable, "error", err)
	}
}

func inVariable(variable string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", variable, err)
}

// warnOfCredentials tells the operator of credentials that go nowhere, or everywhere.
func (c *Client) warnOfCredentials() {
	if c.token == nil && c.cert == nil {
		return
	}
	r := c.rules
	if len(r.names)+len(r.services)+len(r.literals) == 0 {
		c.log.Warn("AMP_ENDPOINT_ALLOW names no host: the credentials for endpoints are never used")
	}
	if r.names.Match("\x00") { // only * does
		c.log.Warn("AMP_ENDPOINT_ALLOW holds *: the credentials for endpoints go to whatever host a namespace names")
	}
}

// links are the connections to endpoints under one trust and one client certificate. When either changes
// they are replaced as a whole: what is new then holds from the next call on, whereas a connection that is
// kept would go on as it was trusted once.
type links struct {
	roots *x509.CertPool
	cert  *tls.Certificate

	// Two pools: a connection that has shown amp's certificate must not serve where it is not due.
	plain, certified *http.Transport
}

func (l *links) transport(trusted bool) *http.Transport {
	if trusted {
		return l.certified
	}
	return l.plain
}

// get is the value of files that may not be configured.
func get[T any](files *reload.Files[*T]) *T {
	if files == nil {
		return nil
	}
	return files.Get()
}

func (c *Client) current() *links {
	l := c.links.Load()
	if l.roots == get(c.roots) && l.cert == get(c.cert) {
		return l
	}
	c.rebuild.Lock()
	defer c.rebuild.Unlock()
	// Again under the lock, where files can only have become newer.
	roots, cert := get(c.roots), get(c.cert)
	l = c.links.Load()
	if l.roots == roots && l.cert == cert {
		return l
	}
	fresh := c.newLinks(roots, cert)
	c.links.Store(fresh)
	// Calls under way finish on the old connections, which idle out afterwards.
	l.plain.CloseIdleConnections()
	l.certified.CloseIdleConnections()
	return fresh
}

func (c *Client) newLinks(roots *x509.CertPool, cert *tls.Certificate) *links {
	l := &links{roots: roots, cert: cert, plain: c.newTransport(roots, nil)}
	l.certified = l.plain
	if cert != nil {
		l.certified = c.newTransport(roots, cert)
	}
	return l
}

func (c *Client) newTransport(roots *x509.CertPool, cert *tls.Certificate) *http.Transport {
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	return &http.Transport{
		Proxy:             nil, // one from the environment would make the address check one of the proxy
		DialContext:       c.dial,
		TLSClientConfig:   config,
		ForceAttemptHTTP2: true,
		// An endpoint that dies without a word leaves a connection on which HTTP/2 would go on sending
		// requests: it shares one among all, and a request that is late does not close it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 2 * time.Second},

		TLSHandshakeTimeout:    connectTimeout,
		DisableCompression:     true, // an answer is small, and MaxBytes would be of its packed form
		MaxResponseHeaderBytes: maxHeaderBytes,
		// Bursts of Pods come back for their connections; hosts are tenants' choice and need a bound.
		MaxIdleConns:        1024,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     90 * time.Second,
		WriteBufferSize:     16 << 10, // a usual Pod and its header in one write
	}
}

const (
	// connectTimeout bounds connecting where the context does not.
	connectTimeout = 5 * time.Second
	maxHeaderBytes = 64 << 10
)

// deadlineKey is the key of the context's own deadline among its values. A transport dials under a context
// that outlives the request's, for another request may use the connection; the values are kept, the deadline
// is not. The dialer needs it to share the time out among the addresses of a name.
type deadlineKey struct{}

// dial connects to addr if it may. The check is made on the socket's address, after the name was looked up:
// there is no second look-up that could say something else. Connections are pooled by host and port, which
// is what the check goes by, so that it holds for those that are used again.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := splitPort(addr)
	if err != nil {
		return nil, refused(fmt.Sprintf("amp cannot call %q: it %v", addr, err))
	}
	dialer := net.Dialer{Timeout: connectTimeout, Resolver: c.resolver}
	if deadline, ok := ctx.Value(deadlineKey{}).(time.Time); ok {
		dialer.Deadline = deadline
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	api, err := c.rules.api(ctx, c.resolver, port)
	if err != nil {
		return nil, err
	}
	// Of several addresses two may be tried at once.
	var permitted atomic.Bool
	dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return refused(fmt.Sprintf("amp may not call %s: not an address", address))
		}
		if err := c.rules.check(host, to, api); err != nil {
			return err
		}
		permitted.Store(true)
		return nil
	}
	conn, err := dialer.DialContext(ctx, network, addr)
	var no refused
	if errors.As(err, &no) && permitted.Load() {
		// The dialer reports the first address only. That one was refused, but another was not, and nobody
		// answers there: this is no matter of rules.
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("no answer at any address that amp may call")}
	}
	return conn, err
}
