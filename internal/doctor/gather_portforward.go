package doctor

import (
	"context"
	"crypto/x509"
	"errors"
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

// tunnelError is an error of the way to a server. It says nothing about the server.
type tunnelError struct{ error }

func (e *tunnelError) Unwrap() error { return e.error }

// ofPod asks a Pod for its certificate over a port that the API server forwards. This is what the Pod presents, which
// can differ from the Secret. A *tunnelError means that the Pod could not be asked.
func (c *cluster) ofPod(ctx context.Context, namespace, pod string, port int32, serverName string) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	type answer struct {
		chain []*x509.Certificate
		err   error
	}
	answers, opened := make(chan answer, 1), make(chan struct{})
	go func() { // dialing takes no context: if it hangs, it ends with the process
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
		chain, err := handshake(ctx, conn, serverName)
		answers <- answer{chain, err}
	}()
	select {
	case a := <-answers:
		return a.chain, a.err
	case <-ctx.Done():
	}
	select {
	case <-opened:
		return nil, ctx.Err() // the Pod does not answer
	default:
		return nil, &tunnelError{ctx.Err()}
	}
}

// forward opens what `kubectl port-forward` opens: a WebSocket, or SPDY with an API server older than 1.31.
func (c *cluster) forward(namespace, pod string) (httpstream.Connection, error) {
	to := c.rest.Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
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

// stream is one connection over a forwarded port.
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

// Read returns, for a connection that could not be made, the kubelet's reason instead of the end of the stream.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if n == 0 && err != nil {
		// If the reason cannot be read, the error of the stream stays.
		if text, _ := io.ReadAll(io.LimitReader(s.failed, 1<<10)); len(text) > 0 {
			return 0, errors.New(string(text))
		}
	}
	return n, err
}

// What a stream lacks of a net.Conn. The TLS client does not ask for addresses, and the context bounds the time.
func (s *stream) LocalAddr() net.Addr              { return nil }
func (s *stream) RemoteAddr() net.Addr             { return nil }
func (s *stream) SetDeadline(time.Time) error      { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }
