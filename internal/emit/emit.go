// Package emit is where the record of a review leaves amp: as metrics, as one log line and as a CloudEvent.
// It changes nothing about the verdict, but that under AMP_EVENTS=required a mutation needs its event
// delivered first. Neither line nor metrics hold a value of the Pod; what an event holds is a matter of its
// level.
package emit

import (
	"context"
	"log/slog"

	"github.com/txn2/amp/internal/review"
)

// Recorder writes records to metrics, log and event sink.
type Recorder struct {
	Metrics *Metrics
	Log     *slog.Logger
	Events  *Events // nil: there are none
}

// Deliver sees to it that a mutation leaves its event before it is answered, where that is required; of
// other records it does nothing. An error, an [*Undelivered], means that the mutation must not be answered.
// It takes no longer than ctx allows. The record of what is answered then still goes to Record.
func (e *Recorder) Deliver(ctx context.Context, rec *review.Record) error {
	if !e.delivers(rec) {
		return nil
	}
	return e.Events.deliver(ctx, rec)
}

// delivers reports whether the event of rec is Deliver's.
func (e *Recorder) delivers(rec *review.Record) bool {
	return e.Events != nil && e.Events.required && rec.Event != "" && rec.Verdict.Outcome == review.OutcomeMutated
}

// Record counts rec, logs it and sends its event on its way, unless Deliver has. It never waits; afterwards
// nobody may change rec.
func (e *Recorder) Record(ctx context.Context, rec *review.Record) {
	e.Metrics.record(rec)
	logRecord(ctx, e.Log, rec)
	if e.Events != nil && rec.Event != "" && !e.delivers(rec) {
		e.Events.enqueue(rec)
	}
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
	attrs := make([]slog.Attr, 0, 15)
	attrs = append(attrs,
		slog.String("uid", r.UID),
		slog.String("operation", string(r.Phase)),
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
	if rec.Event != "" {
		attrs = append(attrs, slog.String("event", rec.Event))
	}
	if r.TraceParent != "" {
		attrs = append(attrs, slog.String("traceparent", r.TraceParent))
	}
	log.LogAttrs(ctx, level, "review", attrs...)
}
