package callout

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/review"
)

// maxCause is the most characters of a cause, which may quote an endpoint or a library.
const maxCause = 300

// failed returns a failure whose cause is one line.
func failed(result review.Result, cause string) *review.Failure {
	return &review.Failure{Result: result, Cause: review.Clip(review.Line(cause), maxCause)}
}

// connectFailure says in amp's own words why there is no connection, and whether another try may help. The failure
// keeps err, whose text is never shown: a library quotes what it cannot read, which may be an echo of the query or of
// the Pod.
func connectFailure(ctx context.Context, err error, left time.Duration) (*review.Failure, retry) {
	f, again := describeConnect(ctx, err, left)
	f.Own, f.Err = own(err), err
	return f, again
}

// own reports whether err is of amp, or of the machine it runs on, and not of the endpoint: without the API server's
// address amp may call none, and sockets can run out.
func own(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	var no noAPIServer
	return errors.As(err, &no)
}

// answerFailure is [connectFailure] for a call over a connection: it says why no answer came, or (started) only a part
// of one.
func answerFailure(ctx context.Context, err error, left time.Duration, started bool) (*review.Failure, retry) {
	f, again := describeAnswer(ctx, err, left, started)
	f.Err = err
	return f, again
}

func unreachable(cause string) *review.Failure { return failed(review.ResultUnreachable, cause) }

// ended returns a failure if ctx has ended. If its deadline has come, that is late's, which gets the end of the sentence
// that says what was not finished.
func ended(ctx context.Context, left time.Duration, late func(within string) *review.Failure) *review.Failure {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return failed(review.ResultLate, "given up: the API server closed its request")
	case !outbound.Ended(ctx):
		return nil
	case left == 0:
		return late("in time")
	case left < time.Millisecond:
		return failed(review.ResultLate, "no time was left to call it")
	}
	return late("within " + short(left) + ", the time it had")
}

// describeConnect uses texts of errors only where they cannot quote the request or the answer. A connection has three
// steps: the look-up of the name, the connection itself, and the TLS handshake. A late one names the step that was not
// finished, and what to look at.
func describeConnect(ctx context.Context, err error, left time.Duration) (*review.Failure, retry) {
	var (
		no          refused
		noAPIServer noAPIServer
		lookup      *net.DNSError
		op          *net.OpError
		errno       syscall.Errno
		timeout     net.Error
	)
	if errors.As(err, &no) {
		return failed(review.ResultForbidden, no.Error()), never
	}
	errors.As(err, &errno)
	name := "its name"
	if errors.As(err, &noAPIServer) {
		name = "the API server's name, of which amp must know the address,"
	}
	dialing := errors.As(err, &op) && op.Op == "dial"
	late := func(within string) *review.Failure {
		switch {
		case errors.As(err, &lookup):
			return unreachable(name + " " + fmt.Sprintf(outbound.LateLookup, within))
		case dialing:
			return unreachable(fmt.Sprintf(outbound.LateConnection, within))
		}
		return unreachable(fmt.Sprintf(outbound.LateHandshake, within))
	}
	if f := ended(ctx, left, late); f != nil {
		return f, never
	}
	switch {
	case errors.As(err, &lookup):
		if lookup.IsNotFound {
			return unreachable(name + " cannot be looked up: no such host"), never
		}
		if lookup.IsTimeout {
			return late("within " + short(outbound.ConnectTimeout)), never
		}
		return unreachable(name + " cannot be looked up: DNS failed; " + outbound.AskDNS), later
	case outbound.TimedOut(err):
		return unreachable("connection timed out"), never
	case errors.As(err, &timeout) && timeout.Timeout():
		return late("within " + short(outbound.ConnectTimeout)), never
	case dialing && outbound.Refused(err):
		return unreachable("connection refused: is the endpoint running, on that port?"), later
	case dialing && errno != 0:
		return unreachable("connecting: " + errno.Error()), later
	case dialing:
		return unreachable("connecting: " + op.Err.Error()), later
	}
	if cause := tlsCause(err); cause != "" {
		return unreachable(cause), never
	}
	if errors.Is(err, io.EOF) {
		return unreachable("the connection was closed during the TLS handshake"), later
	}
	return broken(err, "during the TLS handshake"), later
}

// describeAnswer is [describeConnect] for what comes after the connection.
func describeAnswer(ctx context.Context, err error, left time.Duration, started bool) (*review.Failure, retry) {
	f := ended(ctx, left, func(within string) *review.Failure {
		if started {
			return failed(review.ResultLate, "its answer was not complete "+within+": does its handler end it, and is its Content-Length right?")
		}
		return failed(review.ResultLate, "no answer "+within+" (AMP_TIMEOUT, amp.txn2.com/timeout)")
	})
	if f != nil {
		return f, never
	}
	// A server that misses a client certificate says so after the handshake (TLS 1.3).
	if cause := tlsCause(err); cause != "" {
		return unreachable(cause), never
	}
	var errno syscall.Errno
	switch {
	// net/http has no types for these.
	case strings.Contains(err.Error(), "server response headers exceeded"), strings.Contains(err.Error(), "response header list larger"):
		return failed(review.ResultInvalid, fmt.Sprintf("answered more than %d bytes of headers", outbound.MaxHeaderBytes)), never
	case !errors.As(err, &errno) && protocolCause(err) != "":
		return failed(review.ResultInvalid, protocolCause(err)), never
	case started && errors.Is(err, io.ErrUnexpectedEOF):
		return unreachable("the connection was closed in the middle of the answer; did its handler crash, or is its body shorter than its Content-Length or its chunks say?"), later
	case started:
		return broken(err, "in the middle of the answer"), later
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return unreachable("the connection was closed before an answer; did its handler crash? its log says why"), later
	}
	return broken(err, "before an answer"), later
}

// tlsCause says what is wrong with TLS; it is empty if the error is another one.
func tlsCause(err error) string {
	var (
		op        *net.OpError
		plain     tls.RecordHeaderError
		unknownCA x509.UnknownAuthorityError
		badCert   *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &unknownCA):
		return "its certificate is signed by an authority that amp does not know (AMP_ENDPOINT_CA)"
	case errors.As(err, &badCert):
		return "its certificate is not valid for it: " + strings.TrimPrefix(badCert.Err.Error(), "x509: ")
	case errors.As(err, &plain):
		return "it does not speak TLS there: use http://, or its TLS port"
	case errors.As(err, &op) && op.Op == "remote error":
		// A TLS alert, for which crypto/tls has no type: "tls: certificate required".
		return "it ended the TLS handshake: " + strings.TrimPrefix(op.Err.Error(), "tls: ")
	case strings.HasPrefix(err.Error(), "tls: "), op != nil && op.Op == "local error":
		return "no TLS connection: " + strings.TrimPrefix(err.Error(), "tls: ")
	}
	return ""
}

// broken says how a connection ended. Without an error number the text of err may be anything, for example that of an
// error of HTTP/2.
func broken(err error, when string) *review.Failure {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return unreachable("the connection broke " + when + ": " + errno.Error())
	}
	return unreachable("the connection broke " + when)
}

// short writes a duration with about three digits.
func short(d time.Duration) string {
	if d >= time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
