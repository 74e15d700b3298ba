package emit

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync/atomic"
)

// step is what a request waits for.
type step int32

const (
	answering step = iota // the zero value: a kept connection needs no other step
	lookingUp
	connecting
	handshaking
)

// progress is how far a request has come. When its time is over, the transport's error does not say that. The transport
// may go on with the connection after that, and so the fields change at any time.
type progress struct {
	step atomic.Int32
	sent atomic.Bool // whether the request, or one that the transport repeated, has gone out
}

// trace returns a context under which a request notes its progress.
func (p *progress) trace(ctx context.Context) context.Context {
	at := func(s step) { p.step.Store(int32(s)) }
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { at(lookingUp) },
		ConnectStart:      func(string, string) { at(connecting) },
		TLSHandshakeStart: func() { at(handshaking) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { at(answering) },
		GotConn:           func(httptrace.GotConnInfo) { at(answering) },
		WroteHeaders:      func() { p.sent.Store(true) },
	})
}
