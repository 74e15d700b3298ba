package emit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/txn2/amp/internal/review"
)

// logRecord writes the one line of a review. A failure is a warning: nothing but the metric and the log tells of one if a
// controller created the Pod.
func logRecord(ctx context.Context, log *slog.Logger, rec *review.Record) {
	level := slog.LevelInfo
	endpoint, err := rec.Run.Failed()
	if err != nil {
		level = slog.LevelWarn
	}
	if !log.Enabled(ctx, level) {
		return
	}
	r, v := rec.Review, &rec.Verdict
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs,
		slog.String("uid", r.UID),
		slog.String("operation", string(r.Phase)),
		slog.String("namespace", r.Namespace),
		slog.String("pod", r.PodName()),
		slog.String("user", r.User),
		slog.Bool("dryRun", r.DryRun),
		slog.String("outcome", string(v.Outcome)),
		slog.Float64("ms", milliseconds(rec.Took)),
	)
	if names := review.EndpointNames(rec.Run.Steps); names != "" {
		ops := 0
		for i := range rec.Run.Steps {
			ops += len(rec.Run.Steps[i].Ops)
		}
		attrs = append(attrs, slog.String("endpoints", names), slog.Int("ops", ops))
	}
	if v.Message != "" {
		attrs = append(attrs, slog.String("message", v.Message))
	}
	if endpoint != "" {
		attrs = append(attrs, slog.String("failedEndpoint", endpoint))
	}
	if err != nil && log.Enabled(ctx, slog.LevelDebug) {
		if failure := (*review.Failure)(nil); errors.As(err, &failure) && failure.Err != nil {
			attrs = append(attrs, slog.String("error", libraryError(failure.Err)))
		}
	}
	if len(v.Warnings) > 0 {
		attrs = append(attrs, slog.Any("warnings", v.Warnings))
	}
	if rec.Plan.Event != "" {
		attrs = append(attrs, slog.String("event", rec.Plan.Event))
	}
	if r.TraceParent != "" {
		attrs = append(attrs, slog.String("traceparent", r.TraceParent))
	}
	log.LogAttrs(ctx, level, "review", attrs...)
}

// libraryErrorLength is the most characters of a library's error in the log.
const libraryErrorLength = 300

// libraryError is what the log says at debug level of the library's error behind a failure. It is the error's text if that
// can only hold addresses, names on a certificate, or the path of an op, which the message of the failure shows as well. Of
// every other error it is the type, because the text may hold data: encoding/json quotes a part of the value that it cannot
// decode, and net/http a part of the answer that it cannot read.
func libraryError(err error) string {
	var (
		network     *net.OpError
		lookup      *net.DNSError
		certificate *tls.CertificateVerificationError
		shown       error
	)
	switch {
	case errors.Is(err, jsonpatch.ErrMissing), errors.Is(err, jsonpatch.ErrTestFailed), errors.Is(err, jsonpatch.ErrInvalid),
		errors.Is(err, jsonpatch.ErrInvalidIndex), errors.Is(err, jsonpatch.ErrUnknownType):
		shown = err
	case errors.As(err, &network):
		shown = network
	case errors.As(err, &lookup):
		shown = lookup
	case errors.As(err, &certificate):
		shown = certificate
	default:
		return errorTypes(err)
	}
	return review.Clip(review.Line(shown.Error()), libraryErrorLength)
}

// errorTypes are the types of err and of what it wraps, the outermost first.
func errorTypes(err error) string {
	var types []string
	for ; err != nil; err = errors.Unwrap(err) {
		types = append(types, fmt.Sprintf("%T", err))
	}
	return strings.Join(types, ": ")
}
