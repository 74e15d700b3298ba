package emit

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/compare"
	"github.com/txn2/amp/internal/redact"
	"github.com/txn2/amp/internal/review"
)

// Compared counts what came of the call of a candidate, logs it and queues its event, if it has one. It makes the event at once:
// no review waits for that, and the queue then keeps neither the Pods nor the review.
func (e *Recorder) Compared(ctx context.Context, c *compare.Candidate) {
	e.Metrics.candidates[c.Result].Inc()
	logCandidate(ctx, e.Log, c)
	if e.Events != nil && c.Event != "" {
		e.Events.enqueueCandidate(c)
	}
}

// enqueueCandidate queues the event of a candidate's call without waiting.
func (e *Events) enqueueCandidate(c *compare.Candidate) {
	m, err := e.encodeCandidate(c)
	if err != nil {
		e.dropped(c.Event, err.Error())
		return
	}
	refused, evicted := e.queue.putCandidate(c.Review.Review.Namespace, m)
	e.queued(c.Event, refused, evicted)
}

func (e *Events) encodeCandidate(c *compare.Candidate) (*message, error) {
	ev, err := newEventWith(comparedRecord(c), func(rec *review.Record) *events.Data { return newComparedData(rec, c) }, e.source, e.overrides)
	if err != nil {
		return nil, err
	}
	return e.to.encode(&ev)
}

// logCandidate writes the one line of a candidate's call. A candidate changes nothing, so its failure is no warning.
func logCandidate(ctx context.Context, log *slog.Logger, c *compare.Candidate) {
	if !log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	r := c.Review.Review
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("uid", r.UID),
		slog.String("namespace", r.Namespace),
		slog.String("pod", r.PodName()),
		slog.String("result", string(c.Result)),
		slog.String("endpoint", c.Review.Plan.Policy.Candidate.Name),
	)
	if c.Result != compare.ResultDropped {
		attrs = append(attrs, slog.Float64("ms", milliseconds(c.Step.Took)), slog.Int("ops", len(c.Step.Ops)), slog.Int("differing", differing(c)))
	}
	if c.Step.Err != nil {
		attrs = append(attrs, slog.String("message", review.Line(c.Step.Err.Error())))
	}
	if c.Event != "" {
		attrs = append(attrs, slog.String("event", c.Event))
	}
	log.LogAttrs(ctx, slog.LevelInfo, "candidate", attrs...)
}

func differing(c *compare.Candidate) int { return len(c.Found.Differences) + c.Found.More }

// comparedRecord is a record of the candidate's call as if it were a review with the outcome compared. Its event is the
// candidate's.
func comparedRecord(c *compare.Candidate) *review.Record {
	rec := &review.Record{
		Review:  c.Review.Review,
		Plan:    review.Plan{Policy: c.Review.Plan.Policy, FailurePolicy: c.Review.Plan.FailurePolicy, Event: c.Event, Level: c.Review.Plan.Level},
		Run:     review.Run{Steps: []review.Step{c.Step}, Patch: c.Step.Ops},
		Verdict: review.Verdict{Outcome: review.OutcomeCompared},
		Time:    c.Time,
		Took:    c.Step.Took,
	}
	switch {
	case c.Step.Err != nil:
		rec.Verdict.Message = c.Step.Err.Error()
	case c.Refusal != nil:
		rec.Verdict.Message = cmp.Or(c.Refusal.Message, "it gave no reason")
	}
	return rec
}

// newComparedData is the data of the event of a candidate, of which rec is the record.
func newComparedData(rec *review.Record, c *compare.Candidate) *events.Data {
	data := NewData(rec)
	data.Comparison = &events.Comparison{Result: string(c.Result), Answered: string(c.Review.Verdict.Outcome), Candidate: "unchanged", Differing: differing(c)}
	switch {
	case c.Step.Err != nil:
		data.Comparison.Candidate = "failed"
	case c.Refusal != nil:
		data.Comparison.Candidate = "denied"
	case len(c.Step.Ops) > 0:
		data.Comparison.Candidate = "mutated"
	}
	switch c.Review.Plan.Level {
	case review.LevelPatch:
		for _, d := range redact.Differences(c.Review.Review.Pod, Ops(c.Review.Run.Steps), Ops(rec.Run.Steps), c.Found.Differences) {
			data.Comparison.Differences = append(data.Comparison.Differences,
				events.Difference{Kind: kinds[d.Kind], Path: d.Place.Pointer(), Where: d.Place.NamesShown(d.Named), Answered: d.First, Candidate: d.Second})
		}
	case review.LevelFull:
		for i := range c.Found.Differences {
			d := &c.Found.Differences[i]
			data.Comparison.Differences = append(data.Comparison.Differences,
				events.Difference{Kind: kinds[d.Kind], Path: d.Place().Pointer(), Where: d.Place().Names(), Answered: d.First.JSON, Candidate: d.Second.JSON})
		}
	}
	return data
}

// kinds are the kinds of differences as events spell them.
var kinds = map[compare.Kind]string{
	compare.OnlyFirst:  events.OnlyAnswered,
	compare.OnlySecond: events.OnlyCandidate,
	compare.OtherValue: events.OtherValue,
	compare.OtherOrder: events.OtherOrder,
}
