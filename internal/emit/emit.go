// Package emit is where the record of a review leaves amp: as metrics and as one log line. It changes
// nothing about the verdict, and neither line nor metrics hold a value of the Pod.
package emit

import (
	"context"
	"log/slog"

	"github.com/txn2/amp/internal/review"
)

// Recorder writes records to metrics and log.
type Recorder struct {
	Metrics *Metrics
	Log     *slog.Logger
}

// Record counts rec and logs it.
func (e *Recorder) Record(ctx context.Context, rec *review.Record) {
	e.Metrics.record(rec)
	logRecord(ctx, e.Log, rec)
}

// Panicked counts a panic that was contained.
func (e *Recorder) Panicked() { e.Metrics.panics.Inc() }

// logRecord writes the one line of a review. Failures are warnings: for the Pods of controllers metric and
// log are the only notice.
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
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs,
		slog.String("uid", r.UID),
		slog.String("operation", string(r.Operation)),
		slog.String("namespace", r.Namespace),
		slog.String("pod", r.PodName()),
		slog.String("user", r.User),
		slog.Bool("dryRun", r.DryRun),
		slog.String("outcome", string(v.Outcome)),
		slog.Float64("ms", float64(rec.Took.Microseconds())/1000),
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
	if len(v.Warnings) > 0 {
		attrs = append(attrs, slog.Any("warnings", v.Warnings))
	}
	if r.TraceParent != "" {
		attrs = append(attrs, slog.String("traceparent", r.TraceParent))
	}
	log.LogAttrs(ctx, level, "review", attrs...)
}
