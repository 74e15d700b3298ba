package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// through asks a Pod for its certificate, over a port that the API server forwards: as the API server would
// be shown it, and not what a Secret says. A *tunnelError means that the Pod could not be asked.
func (c *cluster) through(ctx context.Context, namespace, pod string, port int32, name string) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	type answer struct {
		chain []*x509.Certificate
		err   error
	}
	answers, opened := make(chan answer, 1), make(chan struct{})
	go func() { // dialing takes no context; what hangs ends with the process
		connection, err := c.forward(namespace, pod)
		if err != nil {
			answers <- answer{nil, &tunnelError{err}}
			return
		}
		defer connection.Close()
		conn, err := open(connection, port)
		if err != nil {
			answers <- answer{nil, &tunnelError{err}}
			return
		}
		close(opened)
		chain, err := shake(ctx, conn, name)
		answers <- answer{chain, err}
	}()
	select {
	case a := <-answers:
		return a.chain, a.err
	case <-ctx.Done():
	}
	select {
	case <-opened:
		return nil, ctx.Err() // it is the Pod that does not answer
	default:
		return nil, &tunnelError{ctx.Err()}
	}
}

// tunnelError is the error of asking a Pod that has nothing to do with the Pod.
type tunnelError struct{ error }

func (e *tunnelError) Unwrap() error { return e.error }

// forward opens what `kubectl port-forward` does: over WebSocket, or SPDY where the API server is older than 1.31.
func (c *cluster) forward(namespace, pod string) (httpstream.Connection, error) {
	to := c.kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	first, err := portforward.NewSPDYOverWebsocketDialerForStreaming(to, c.config)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(c.config)
	if err != nil {
		return nil, err
	}
	second := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, to)
	connection, _, err := portforward.NewFallbackDialerForStreaming(first, second, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}).Dial(portforward.PortForwardProtocolV1Name)
	return connection, err
}

// stream is one connection through a forwarded port.
type stream struct {
	httpstream.Stream
	failed httpstream.Stream // carries why the connection broke
}

// open makes one connection to a port of the Pod.
func open(connection httpstream.Connection, port int32) (*stream, error) {
	header := http.Header{}
	header.Set(corev1.StreamType, corev1.StreamTypeError)
	header.Set(corev1.PortHeader, strconv.Itoa(int(port)))
	header.Set(corev1.PortForwardRequestIDHeader, "0")
	failed, err := connection.CreateStream(header)
	if err != nil {
		return nil, err
	}
	if err := failed.Close(); err != nil { // nothing is written to it
		return nil, err
	}
	header.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := connection.CreateStream(header)
	if err != nil {
		return nil, err
	}
	return &stream{data, failed}, nil
}

// Read tells of a connection that could not be made what the kubelet says of it.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if n == 0 && err != nil {
		if text, _ := io.ReadAll(io.LimitReader(s.failed, 1<<10)); len(text) > 0 {
			return 0, errors.New(string(text))
		}
	}
	return n, err
}

// What a stream lacks of a net.Conn. Nobody asks for addresses, and the context bounds the time.
func (s *stream) LocalAddr() net.Addr              { return nil }
func (s *stream) RemoteAddr() net.Addr             { return nil }
func (s *stream) SetDeadline(time.Time) error      { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

// direct asks for the certificate at an address that is reached from here.
func (c *cluster) direct(ctx context.Context, address, name string) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &tunnelError{err}
	}
	return shake(ctx, conn, name)
}

// shake returns the certificates that the other side of conn presents to who asks for name. Whether they are
// to be trusted is not asked here: a handshake that fails for that would not show them.
func shake(ctx context.Context, conn net.Conn, name string) ([]*x509.Certificate, error) {
	defer conn.Close()
	client := tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := client.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return client.ConnectionState().PeerCertificates, nil
}

// inSecret returns the certificates of a Secret's tls.crt. Of the rest nothing is looked at.
func (c *cluster) inSecret(ctx context.Context, namespace, name string) ([]*x509.Certificate, error) {
	s, err := get(ctx, c, func(ctx context.Context) (*corev1.Secret, error) {
		return c.kube.CoreV1().Secrets(namespace).Get(ctx, name, getOptions)
	})
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	for rest := s.Data[corev1.TLSCertKey]; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading tls.crt of Secret %s: %w", name, err)
		}
		chain = append(chain, certificate)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("reading tls.crt of Secret %s: it holds no certificate", name)
	}
	return chain, nil
}
