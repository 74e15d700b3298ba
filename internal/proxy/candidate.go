package proxy

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/txn2/amp/internal/compare"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// Candidates call the candidates of namespaces, each after the answer of a review is out, and compare what they would have
// made. No review waits for that: calls, connections, circuits, memory and processors are other ones than those of reviews.
//
// Any number of goroutines may use them at once. Nil Candidates call none.
type Candidates struct {
	config CandidatesConfig
	ctx    context.Context // of all calls, until Drain gives up
	cancel context.CancelFunc

	mu      sync.Mutex
	ended   bool           // no further call begins
	pending sync.WaitGroup // those that wait or are under way
}

// CandidatesConfig is what [Candidates] need.
type CandidatesConfig struct {
	// Calls makes the calls and checks the patches. Its Endpoints and Processors must be other ones than those of reviews. It
	// needs no Policies.
	Calls *Proxy
	// Apply returns the Pod that checked ops make.
	Apply func(pod json.RawMessage, ops []review.Op) (json.RawMessage, error)
	// Compared takes what came of each call. It never waits. Of a call that was dropped, only the review and the result
	// are set.
	Compared func(ctx context.Context, c *compare.Candidate)
	// Memory is what all that wait or are under way may keep, [CandidateBytes] each at least; nil: without a bound. What
	// does not fit is dropped.
	Memory *share.Pool
	// Places bound how many are under way at the same time. The others wait, for as long as a call may take; nil: without a
	// bound.
	Places *share.Pool
}

// NewCandidates returns Candidates that call until [Candidates.Drain].
func NewCandidates(config CandidatesConfig) *Candidates {
	c := &Candidates{config: config}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

const (
	// CandidateBytes is what the call of any candidate takes in memory: as much as a review.
	CandidateBytes = ReviewBytes

	// CandidatePlaces is how many calls of candidates are under way at the same time. Few: while the processors are busy, each
	// takes about as much of them as a review that is under way.
	CandidatePlaces = 8

	// comparedFactor is how many bytes the comparison takes for one byte of a large Pod: two Pods after their patches, and
	// what differs in both.
	comparedFactor = 4
)

// wants reports whether a candidate is to be called about the review of a record. It is not called about a dry run, nor about
// a Pod that the endpoints may not get.
func (c *Candidates) wants(rec *review.Record) bool {
	r := rec.Review
	return c != nil && r.Phase == review.Mutate && !r.DryRun && rec.Plan.Policy.Candidate != nil && len(rec.Plan.Endpoints) > 0
}

// Call calls the candidate about the review of a record, whose answer must be out, and returns at once. The review must still
// have its memory.
func (c *Candidates) Call(rec *review.Record) {
	if !c.wants(rec) {
		return
	}
	if !c.begin() {
		c.drop(rec)
		return
	}
	r := rec.Review
	memory := c.config.Memory.Hold(r.Namespace, 0)
	bytes := max(r.Memory.Size(), CandidateBytes)
	if len(r.Pod) > keptBytes {
		bytes = max(bytes, CandidateBytes+int64(len(r.Pod))) + comparedFactor*int64(len(r.Pod))
	}
	if memory.Grow(c.ctx, bytes) != nil {
		defer c.pending.Done()
		c.drop(rec)
		return
	}
	go func() {
		defer c.pending.Done()
		defer memory.Release()
		told := false
		_ = c.config.Calls.contain(c.ctx, r, func() error {
			told = c.call(rec, memory)
			return nil
		})
		if !told {
			c.drop(rec)
		}
	}()
}

// begin counts a call as pending, if further calls may begin.
func (c *Candidates) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.pending.Add(1)
	return true
}

// drop tells that amp did not compare.
func (c *Candidates) drop(rec *review.Record) {
	c.tell(&compare.Candidate{Review: rec, Result: compare.ResultDropped})
}

func (c *Candidates) tell(result *compare.Candidate) {
	_ = c.config.Calls.contain(c.ctx, result.Review.Review, func() error {
		c.config.Compared(c.ctx, result)
		return nil
	})
}

// call calls the candidate, compares and tells what came of it. It returns false if amp could not: there was no place or no
// memory for that, or no time because amp ends.
func (c *Candidates) call(rec *review.Record, memory *share.Hold) bool {
	calls, policy := c.config.Calls, rec.Plan.Policy
	timeout := calls.Timeout
	if policy.Timeout > 0 {
		timeout = min(timeout, policy.Timeout)
	}
	place := c.config.Places.Hold(rec.Review.Namespace, timeout)
	if place.Grow(c.ctx, 1) != nil {
		return false
	}
	defer place.Release()

	// What the first endpoint got, but for what says that this is the candidate.
	r := *rec.Review
	r.DryRun, r.Candidate, r.Memory = true, true, memory
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	defer cancel()
	step, answer, after := calls.step(ctx, &r, &rec.Plan, 1, *policy.Candidate, r.Pod)
	if step.Result == review.ResultFull {
		return false
	}
	// To tell it takes as much of a processor as to compare: the event holds the Pod, or what of it may be shown.
	processor, err := calls.Processors.Take(c.ctx, r.Namespace, max(len(r.Pod), len(after)))
	defer processor.Release()
	if err != nil || c.ctx.Err() != nil {
		return false
	}

	result := &compare.Candidate{Review: rec, Step: step, Time: time.Now()}
	candidate := compare.Outcome{Pod: after}
	switch {
	case step.Err != nil:
		candidate = compare.Outcome{}
	case answer.Refused:
		candidate, result.Refusal = compare.Outcome{Denied: true}, &answer
	}
	answered, err := c.answered(rec)
	if err != nil {
		return false
	}
	result.Found = compare.Outcomes(answered, candidate)
	result.Result = result.Found.Result()
	if rec.Plan.Event != "" {
		result.Event = rec.Review.UID + "/candidate"
	}
	c.tell(result)
	return true
}

// answered is what the endpoints made of the Pod, whatever amp did with that: nothing in shadow mode, or if the event sink
// failed. An error says that amp cannot make that Pod again: each step's patch is in the bounds, and all of them as one may
// not be.
func (c *Candidates) answered(rec *review.Record) (compare.Outcome, error) {
	var ops []review.Op
	for i := range rec.Run.Steps {
		if rec.Run.Steps[i].Err != nil {
			return compare.Outcome{}, nil
		}
		ops = append(ops, rec.Run.Steps[i].Ops...)
	}
	switch {
	case rec.Run.Refusal != nil:
		return compare.Outcome{Denied: true}, nil
	case len(rec.Run.Steps) == 0: // it ended before the first one
		return compare.Outcome{}, nil
	case len(ops) == 0:
		return compare.Outcome{Pod: rec.Review.Pod}, nil
	}
	pod, err := c.config.Apply(rec.Review.Pod, ops)
	return compare.Outcome{Pod: pod}, err
}

// Drain lets no further call begin, and returns when those that were begun have ended. When ctx ends, it gives up those that
// have not, which are dropped then.
func (c *Candidates) Drain(ctx context.Context) {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	defer context.AfterFunc(ctx, c.cancel)()
	c.pending.Wait()
}
