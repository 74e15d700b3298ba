// Package emit is where the record of a review leaves amp: as metrics, as one log line and as a CloudEvent. It decides
// nothing. Neither the line nor the metrics hold a value of the Pod; the level of an event says what the event holds.
//
//	emit.go      what the proxy calls
//	log.go       the line
//	metrics.go   the metrics
//	event.go     the event of a record
//	compared.go  the line, the metric and the event of a candidate
//	config.go    what the events need
//	deliver.go   how events reach the sink. Its parts:
//	             queue.go, entry.go and fair.go  the events that wait, and whose turn it is
//	             sink.go and progress.go         one try to deliver, and how far it came
//	             header.go and batch.go          one event, and several, as a request
package emit

import (
	"context"
	"errors"
	"log/slog"

	"github.com/txn2/amp/internal/review"
)

// Recorder writes records to metrics, log and event sink.
type Recorder struct {
	Metrics *Metrics
	Log     *slog.Logger
	Events  *Events // nil means that there are no events
}

// Deliver waits until the sink has accepted the event of rec. If ctx ends before that, it returns an error. Then sent tells
// whether the request went out: the sink may have the event, or may still accept it.
func (e *Recorder) Deliver(ctx context.Context, rec *review.Record) (sent bool, err error) {
	if e.Events == nil {
		return false, errors.New("there is no event sink")
	}
	return e.Events.deliver(ctx, rec)
}

// Record counts rec, logs it and queues its event, unless Deliver has delivered that. It never waits.
func (e *Recorder) Record(ctx context.Context, rec *review.Record) {
	e.Metrics.record(rec)
	logRecord(ctx, e.Log, rec)
	if e.Events != nil && rec.Plan.Event != "" && !rec.EventFirst() {
		e.Events.enqueue(rec)
	}
}

// Panicked counts a panic that was contained.
func (e *Recorder) Panicked() { e.Metrics.panics.Inc() }

// BadRequest counts a request that is not an AdmissionReview, by the HTTP status of its answer.
func (e *Recorder) BadRequest(status int) { e.Metrics.badRequest(status) }

// Shed counts a review for whose body amp had no memory.
func (e *Recorder) Shed(reason review.ShedReason) { e.Metrics.shed[reason].Inc() }
