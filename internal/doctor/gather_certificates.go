package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/internal/review"
)

// certificate is what a replica serves with, or what is known of that.
type certificate struct {
	holder string // kind/name: of the replica, or of the Secret in its stead
	chain  []*x509.Certificate
	err    error // of the TLS handshake
	// unasked is why the replica could not be asked. The rest is then empty, but for holder.
	unasked error
	// instead is why no replica was asked, where the holder is the Secret.
	instead error
}

// certificates asks each replica behind the Service for its certificate. If no replica can be asked, it reads the
// Secret.
func (c *cluster) certificates(ctx context.Context, to target, b backend, secret string) seen[[]certificate] {
	switch {
	case to.url != "":
		return c.certificateOfURL(ctx, to)
	case to.service.Name == "":
		return seen[[]certificate]{}
	}
	var all []certificate
	if b.service.err == nil {
		ready := slices.DeleteFunc(b.ready(to.port), func(r replica) bool { return r.pod == "" })
		all = make([]certificate, len(ready))
		each(ready, func(i int, r replica) {
			all[i] = certificateOf("pod/" + r.pod)(c.ofPod(ctx, to.service.Namespace, r.pod, r.port, to.host))
		})
	}
	if slices.ContainsFunc(all, func(one certificate) bool { return one.unasked == nil }) {
		return seen[[]certificate]{value: all}
	}
	var why error
	switch {
	case len(all) > 0:
		why = all[0].unasked
	case b.service.err != nil:
		why = b.service.err
	case b.slices.err != nil:
		why = b.slices.err
	default:
		why = errors.New("the Service has no ready replica")
	}
	chain, err := c.ofSecret(ctx, to.service.Namespace, secret)
	if err != nil {
		return seen[[]certificate]{err: fmt.Errorf("%w; %w", why, err)}
	}
	return seen[[]certificate]{value: []certificate{{holder: "secret/" + secret, chain: chain, instead: why}}}
}

// certificateOf sorts the error of asking: of the way, or of the handshake.
func certificateOf(holder string) func([]*x509.Certificate, error) certificate {
	return func(chain []*x509.Certificate, err error) certificate {
		if tunnel := (*tunnelError)(nil); errors.As(err, &tunnel) {
			return certificate{holder: holder, unasked: errors.New("port-forward: " + review.Clip(review.Line(tunnel.Error()), 120))}
		}
		return certificate{holder: holder, chain: chain, err: err}
	}
}

// certificateOfURL asks the server at the URL that the webhooks call, from where the doctor runs.
func (c *cluster) certificateOfURL(ctx context.Context, to target) seen[[]certificate] {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(to.host, strconv.Itoa(int(to.port))))
	if err != nil {
		return seen[[]certificate]{err: fmt.Errorf("%s cannot be reached from here: %w", to.url, err)}
	}
	chain, err := handshake(ctx, conn, to.host)
	return seen[[]certificate]{value: []certificate{{holder: to.url, chain: chain, err: err}}}
}

// handshake returns the certificates that the server presents for a name, and closes conn. It does not verify them,
// because a failed handshake would not show them.
func handshake(ctx context.Context, conn net.Conn, serverName string) ([]*x509.Certificate, error) {
	defer conn.Close()
	client := tls.Client(conn, &tls.Config{ServerName: serverName, InsecureSkipVerify: true})
	if err := client.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return client.ConnectionState().PeerCertificates, nil
}

// ofSecret reads the certificates in a Secret's tls.crt, and nothing else of it.
func (c *cluster) ofSecret(ctx context.Context, namespace, name string) ([]*x509.Certificate, error) {
	s, err := ask[corev1.Secret](ctx, c, c.request(http.MethodGet, corev1.SchemeGroupVersion, namespace, "secrets").Name(name))
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	for rest := s.Data[corev1.TLSCertKey]; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading tls.crt of Secret %s: %w", name, err)
		}
		chain = append(chain, parsed)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("reading tls.crt of Secret %s: it holds no certificate", name)
	}
	return chain, nil
}
