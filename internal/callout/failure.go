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

// connectionFailure says in amp's own words why no answer came, or (started) only a part of one, and whether another
// try may help. The failure keeps err, whose text is never shown: net/http quotes what it cannot read, which may be an
// echo of the query or of the Pod.
func connectionFailure(ctx context.Context, err error, left time.Duration, started bool) (f *review.Failure, retry bool) {
	f, retry = describe(ctx, err, left, started)
	f.Err = err
	return f, retry
}

// describe uses texts of errors only where they cannot quote the request or the answer.
func describe(ctx context.Context, err error, left time.Duration, started bool) (f *review.Failure, retry bool) {
	var (
		no        refused
		lookup    *net.DNSError
		op        *net.OpError
		errno     syscall.Errno
		timeout   net.Error
		plain     tls.RecordHeaderError
		unknownCA x509.UnknownAuthorityError
		badCert   *tls.CertificateVerificationError
	)
	unreachable := func(cause string) *review.Failure { return failed(review.ResultUnreachable, cause) }
	late := func() *review.Failure {
		switch {
		case left == 0:
			return failed(review.ResultLate, "no answer in time")
		case left < time.Millisecond:
			return failed(review.ResultLate, "no time was left to call it")
		case started:
			return failed(review.ResultLate, "its answer was not complete within "+short(left)+", the time it had: is its Content-Length longer than its body?")
		}
		return failed(review.ResultLate, "no answer within "+short(left)+", the time it had (AMP_TIMEOUT, amp.txn2.com/timeout)")
	}
	errors.As(err, &errno)
	switch {
	case errors.As(err, &no):
		return failed(review.ResultForbidden, no.Error()), false
	case errors.Is(ctx.Err(), context.Canceled):
		return failed(review.ResultLate, "given up: the API server closed its request"), false
	case ctx.Err() != nil, over(ctx):
		return late(), false

	case errors.As(err, &unknownCA):
		return unreachable("its certificate is signed by an authority that amp does not know (AMP_ENDPOINT_CA)"), false
	case errors.As(err, &badCert):
		return unreachable("its certificate is not valid for it: " + strings.TrimPrefix(badCert.Err.Error(), "x509: ")), false
	case errors.As(err, &plain):
		return unreachable("it does not speak TLS there: use http://, or its TLS port"), false

	case errors.As(err, &lookup):
		if lookup.IsNotFound {
			return unreachable("its name cannot be looked up: no such host"), false
		}
		if lookup.IsTimeout {
			return unreachable("its name cannot be looked up: no answer from DNS"), false
		}
		return unreachable("its name cannot be looked up: DNS failed"), true
	case errors.As(err, &op) && op.Op == "remote error":
		// A TLS alert, for which crypto/tls has no type: "tls: certificate required".
		return unreachable("it ended the TLS handshake: " + strings.TrimPrefix(op.Err.Error(), "tls: ")), false
	case strings.HasPrefix(err.Error(), "tls: "), op != nil && op.Op == "local error":
		return unreachable("no TLS connection: " + strings.TrimPrefix(err.Error(), "tls: ")), false
	case errno != syscall.ETIMEDOUT && errors.As(err, &timeout) && timeout.Timeout():
		return unreachable("it cannot be connected to within " + short(outbound.ConnectTimeout)), false
	case errno == syscall.ETIMEDOUT:
		return unreachable("connection timed out"), false

	// net/http has no types for these.
	case strings.Contains(err.Error(), "server response headers exceeded"), strings.Contains(err.Error(), "response header list larger"):
		return failed(review.ResultInvalid, fmt.Sprintf("answered more than %d bytes of headers", outbound.MaxHeaderBytes)), false
	case errno == 0 && protocolCause(err) != "":
		return failed(review.ResultInvalid, protocolCause(err)), false

	case errors.As(err, &op) && op.Op == "dial" && errno == syscall.ECONNREFUSED:
		return unreachable("connection refused: is the endpoint running, on that port?"), true
	case errors.As(err, &op) && op.Op == "dial" && errno != 0:
		return unreachable("connecting: " + errno.Error()), true
	case errors.As(err, &op) && op.Op == "dial":
		return unreachable("connecting: " + op.Err.Error()), true
	case started && errors.Is(err, io.ErrUnexpectedEOF):
		return unreachable("the connection was closed in the middle of the answer; did its handler crash, or is its Content-Length longer than its body?"), true
	case started && errno != 0:
		return unreachable("the connection broke in the middle of the answer: " + errno.Error()), true
	case started:
		return unreachable("the connection broke in the middle of the answer"), true
	case errno != 0:
		return unreachable("the connection broke before an answer: " + errno.Error()), true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return unreachable("the connection was closed before an answer; did its handler crash? its log says why"), true
	default:
		// For example a kept connection that the endpoint has just closed, or an error of HTTP/2.
		return unreachable("the connection broke before an answer"), true
	}
}

// over reports whether the deadline of ctx has come. The dialer has the same deadline and may notice before ctx does.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// short writes a duration with about three digits.
func short(d time.Duration) string {
	if d >= time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
