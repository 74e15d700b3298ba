package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"time"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

const (
	// maxReviewBytes is controller-runtime's limit for an AdmissionReview: API objects are at most 3 MiB, an update carries
	// two of them, and the rest is little.
	maxReviewBytes = 7 << 20

	// firstBytes is how much of a body amp reads before it knows whose it is, and so before it reserves memory. Most reviews
	// have less: then they are whole. Of the others, the first bytes hold what amp must know to answer without the rest.
	firstBytes = 16 << 10

	// ReviewBytes is what any review takes in memory, beside what a large one takes for each byte: the connection from the
	// caller and the one to the endpoint with their buffers (TLS has some 16 KiB for each), some goroutines, the first bytes
	// of the body (16 KiB) and of each answer (4 KiB), the patched Pod and amp's answer. It also bounds their number.
	ReviewBytes = 64 << 10

	// MaxReview is what the largest review takes, beside its answers.
	MaxReview = ReviewBytes + maxReviewBytes

	// bodyStep is how much of a body of unknown length is reserved at once, and then as much as there is already.
	bodyStep = 64 << 10
)

// bodyTimeout is how long a body may take to arrive. The function sets it for itself, because the framework's server sets
// none: a caller that never ends its body would hold a connection and memory for ever.
const bodyTimeout = 10 * time.Second

// rejection is why a request is not an AdmissionReview, with the status of the answer. No variable of type error holds one
// that is nil.
type rejection struct {
	status   int
	expected string
}

func (r *rejection) Error() string { return r.expected }

// body is the body of a review on its way in.
type body struct {
	from   io.Reader
	length int64  // as announced; -1 if it is not known
	bytes  []byte // that are here
	whole  bool
}

// open reads the first bytes of a request's body.
func open(w http.ResponseWriter, req *http.Request, others *arriving) (*body, *rejection) {
	// Every API server sends the plain form.
	if contentType := req.Header.Get("Content-Type"); contentType != "application/json" {
		if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/json" {
			return nil, &rejection{http.StatusUnsupportedMediaType, fmt.Sprintf("expected Content-Type application/json, not %q", review.Clip(contentType, 60))}
		}
	}
	if req.ContentLength > maxReviewBytes {
		return nil, tooLarge()
	}
	// net/http takes the deadline back once the body was read. A server that knows no deadlines has its own ways.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	b := &body{from: http.MaxBytesReader(w, req.Body, maxReviewBytes), length: req.ContentLength}
	arrival, leave := others.enter(control)
	first := int64(firstBytes)
	if b.length >= 0 {
		first = min(first, b.length)
	}
	b.bytes = make([]byte, first)
	n, err := io.ReadFull(b.from, b.bytes)
	leave()
	b.bytes = b.bytes[:n]
	switch {
	case int64(n) == b.length, b.length < 0 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)):
		b.whole = true
	case err != nil && arrival.cut:
		return nil, &rejection{http.StatusServiceUnavailable, "amp waits for the bodies of too many requests, and for this one longest"}
	case err != nil:
		return nil, unreadable(err)
	case arrival.cut: // too late: they are here
		_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	}
	return b, nil
}

// read reads the rest of the body and lets hold grow before. Its error is a *rejection or, if the hold does not grow, the
// error of hold.Grow.
func (b *body) read(ctx context.Context, hold *share.Hold) error {
	if b.length >= 0 {
		if err := hold.Grow(ctx, b.length-int64(len(b.bytes))); err != nil {
			return err
		}
		all := make([]byte, b.length)
		if _, err := io.ReadFull(b.from, all[copy(all, b.bytes):]); err != nil {
			return unreadable(err)
		}
		b.bytes, b.whole = all, true
		return nil
	}
	for !b.whole {
		n := len(b.bytes)
		more := min(max(n, bodyStep), maxReviewBytes+1-n) // with the 1, the last read sees the end or that there is more
		if err := hold.Grow(ctx, int64(more)); err != nil {
			return err
		}
		longer := make([]byte, n+more)
		copy(longer, b.bytes)
		read, err := io.ReadFull(b.from, longer[n:])
		b.bytes = longer[:n+read]
		b.whole = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !b.whole {
			return unreadable(err)
		}
	}
	return nil
}

// discard lets the rest of the body pass by, and keeps none of it.
func (b *body) discard() {
	_, _ = io.Copy(io.Discard, b.from) // it ends with the body or at its deadline
}

func tooLarge() *rejection {
	return &rejection{http.StatusRequestEntityTooLarge, fmt.Sprintf("expected an AdmissionReview of at most %d MiB", maxReviewBytes>>20)}
}

// unreadable is why a body cannot be read.
func unreadable(err error) *rejection {
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &rejection{http.StatusRequestTimeout, fmt.Sprintf("expected the whole AdmissionReview within %s", bodyTimeout)}
	}
	return &rejection{http.StatusBadRequest, "reading the request: " + err.Error()}
}
