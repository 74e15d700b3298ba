package callout

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"

	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/reload"
)

// openFiles reads the files of the configuration for the first time.
func (c *Client) openFiles(config Config) error {
	var errs []error
	if path := config.CAFile; path != "" {
		var err error
		c.roots, err = reload.New(func(contents [][]byte) (*x509.CertPool, error) {
			return outbound.CAs(path, contents[0])
		}, c.stale("AMP_ENDPOINT_CA"), path)
		errs = append(errs, inVariable("AMP_ENDPOINT_CA", err))
	}
	if config.CertFile != "" {
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
		c.token, err = outbound.Token("AMP_ENDPOINT_TOKEN_FILE", path, c.stale("AMP_ENDPOINT_TOKEN_FILE"))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// stale returns a function that logs why a changed file cannot be used.
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

// warnOfCredentials warns the operator of credentials that are sent to no host, or to every host.
func (c *Client) warnOfCredentials() {
	if c.token == nil && c.cert == nil {
		return
	}
	if c.rules.trustsNone() {
		c.log.Warn("AMP_ENDPOINT_ALLOW names no host: the credentials for endpoints are never used")
	}
	if c.rules.trustsAll() {
		c.log.Warn("AMP_ENDPOINT_ALLOW holds *: the credentials for endpoints go to every host that a namespace names")
	}
}

// links are the connections to endpoints under one set of roots and one client certificate. When either changes, amp
// replaces all connections: the new value then holds from the next call on. A connection that was kept would go on
// under the old one.
type links struct {
	roots *x509.CertPool
	cert  *tls.Certificate

	// Two pools: a connection on which amp has shown its certificate must not carry other endpoints' requests.
	plain, certified *outbound.Pool
}

func (l *links) pool(trusted bool) *outbound.Pool {
	if trusted {
		return l.certified
	}
	return l.plain
}

// get returns the value of the files, nil if they are not configured.
func get[T any](files *reload.Files[*T]) *T {
	if files == nil {
		return nil
	}
	return files.Get()
}

// current returns the connections under the roots and the certificate as the files are now.
func (c *Client) current() *links {
	l := c.links.Load()
	if l.roots == get(c.roots) && l.cert == get(c.cert) {
		return l
	}
	c.rebuild.Lock()
	defer c.rebuild.Unlock()
	// Once more under the lock: another call may have replaced the connections, and the files may be newer.
	roots, cert := get(c.roots), get(c.cert)
	l = c.links.Load()
	if l.roots == roots && l.cert == cert {
		return l
	}
	fresh := c.newLinks(roots, cert)
	c.links.Store(fresh)
	// Calls under way finish on the old connections.
	l.plain.Close()
	l.certified.Close()
	return fresh
}

func (c *Client) newLinks(roots *x509.CertPool, cert *tls.Certificate) *links {
	l := &links{roots: roots, cert: cert, plain: c.newPool(roots, nil)}
	l.certified = l.plain
	if cert != nil {
		l.certified = c.newPool(roots, cert)
	}
	return l
}

func (c *Client) newPool(roots *x509.CertPool, cert *tls.Certificate) *outbound.Pool {
	var certificates []tls.Certificate
	if cert != nil {
		certificates = []tls.Certificate{*cert}
	}
	t := outbound.NewTransport(roots, certificates...)
	t.Proxy = nil // with a proxy from the environment, the address check would see the proxy's address
	t.DialContext = c.dial
	t.MaxIdleConns = 1024 // tenants choose the hosts, so their number needs a bound
	return outbound.NewPool(t)
}

// noAPIServer is the error of a look-up of the API server's name, without which amp cannot tell what it may call.
type noAPIServer struct{ error }

func (e noAPIServer) Unwrap() error { return e.error }

// dial connects to addr if amp may. It checks the socket's address after the name was looked up, so there is no second
// look-up that could give another address. A connection that is used again needs no second check: connections are
// pooled by host and port, which is what the check depends on. The dialer divides the time of ctx among the addresses
// of a name.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := splitPort(addr)
	if err != nil {
		return nil, refused{text: fmt.Sprintf("amp cannot call %q: it %v", addr, err)}
	}
	api, err := c.api.at(ctx, c.resolver, port)
	if err != nil {
		return nil, noAPIServer{err}
	}
	dialer := net.Dialer{Timeout: outbound.ConnectTimeout, Resolver: c.resolver}
	// The dialer may try two addresses at once.
	var permitted atomic.Bool
	dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return refused{text: fmt.Sprintf("amp may not call %s: not an address", address)}
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
		// The dialer reports only the first address, which the rules refuse. But they allow another one, and no
		// server answers there: the rules are not the reason.
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("no answer at any address that amp may call")}
	}
	return conn, err
}
