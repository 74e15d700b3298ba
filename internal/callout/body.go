package callout

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/txn2/amp/internal/share"
)

const (
	// smallAnswer is how much of an answer is part of what every review may keep in memory.
	smallAnswer = 4 << 10

	// AnswerFactor is how many bytes of memory one byte of an answer takes: the answer itself, or amp's own, in which it is
	// base64; the values of the ops; and, for a moment, the patch as JSON beside its base64, in buffers that double as they
	// grow.
	AnswerFactor = 4
)

var errNoMemory = errors.New("no memory for the answer")

// read returns the body, at most limit bytes of it. It lets memory grow before each larger buffer: an endpoint may announce
// more than it sends. If memory does not grow, the error is errNoMemory.
func read(ctx context.Context, resp *http.Response, limit int64, memory *share.Hold) ([]byte, error) {
	// One byte more than announced, so that the end of the body is seen without a larger buffer.
	body := make([]byte, 0, min(limit, smallAnswer, max(resp.ContentLength, 511)+1))
	for {
		n, err := resp.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF), err == nil && int64(len(body)) == limit:
			return body, nil
		case err != nil:
			return body, err
		case len(body) < cap(body):
			continue
		}
		size := min(limit, max(smallAnswer, 2*int64(cap(body))))
		if size > smallAnswer {
			if err := memory.Grow(ctx, AnswerFactor*(size-int64(cap(body)))); err != nil {
				return body, errNoMemory
			}
		}
		body = append(make([]byte, 0, size), body...)
	}
}
