package circuit

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/review"
)

// proof is what a call proves about its endpoint.
type proof int

const (
	proofNone  proof = iota // nothing
	proofWorks              // it answers
	proofFails              // it cannot be reached, is silent, or answers 503
)

// tooBrief reports whether a call has too little time to prove anything by being late. A namespace can ask for a timeout of
// 1ms, and the first endpoint of its chain can use up the time of the second one. The endpoint, which others use too, is not
// to blame for that. A quarter of the timeout is less than amp gives any review: the least is two fifths (half for a
// validating one, and four fifths of that with required events).
func tooBrief(ctx context.Context, start time.Time, timeout time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && deadline.Sub(start) < timeout/4
}

// judge says what a call proves:
//
//	what came of it                                                   proves
//	---------------------------------------------------------------   -------
//	any answer, also a wrong one, but 503                              works
//	the API server closed its request                                  nothing
//	amp's address rules forbid it, or amp itself could not call it     nothing
//	amp has no memory for the answer                                   nothing
//	late, at any point, with too little time                           nothing
//	late, no connection, a broken one, or 503                          fails
func judge(ctx context.Context, answer *review.Answer, err error, brief bool) proof {
	if err == nil {
		return proofWorks
	}
	var f *review.Failure
	switch {
	case !errors.As(err, &f), errors.Is(ctx.Err(), context.Canceled), f.Own, f.Result == review.ResultForbidden, f.Result == review.ResultFull:
		return proofNone
	case f.Result == review.ResultLate, f.Result == review.ResultUnreachable && outbound.Ended(ctx):
		if brief {
			return proofNone
		}
		return proofFails
	case f.Result == review.ResultUnreachable, answer.Status == http.StatusServiceUnavailable:
		return proofFails
	}
	return proofWorks
}

// maxCause is the most characters of a cause: with it, the whole message mostly fits into one warning.
const maxCause = 120

// causeOf is what other namespaces may read about a failure. The body of a 503 is for the namespace whose Pod was sent.
func causeOf(status int, err error) string {
	var f *review.Failure
	switch {
	case status == http.StatusServiceUnavailable:
		return "answered 503 Service Unavailable"
	case errors.As(err, &f):
		return review.Clip(f.Cause, maxCause)
	}
	return "no answer"
}
