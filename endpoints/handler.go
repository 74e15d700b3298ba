package endpoints

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"unicode"
)

// maxBytes bounds a request's body. A Pod is smaller than its AdmissionReview. amp, like controller-runtime,
// accepts reviews of up to 7 MiB: twice the API server's own limit of 3 MiB for an object (an update holds
// the old object too) and some room for the envelope.
const maxBytes = 7 << 20

// maxMessage bounds the text of an error answer, in runes. amp shows 120; a person with curl sees all.
const maxMessage = 500

// Handler makes an endpoint of a function that answers reviews. The function must be safe for concurrent
// calls.
//
// An error means that the function could not decide. Then the namespace's failure policy decides. amp shows
// the text of the error to the Pod's creator, so it must not hold a secret or a value of the Pod. A decision
// against a Pod is not an error: answer with [Refuse], or return a [*Refusal] where only an error can be
// returned.
//
//	function returns         mutating        validating
//	no operations            []              {"allowed":true}
//	operations               [op, …]         {"allowed":true}
//	Refuse or a *Refusal     {"allowed":false,"status":{"message":…}}
//	with warnings            {"allowed":…,"warnings":[…],"patch":[…]}, no patch when validating
//	an error, a panic        500, text/plain, one line
func Handler(answer func(ctx context.Context, review *Review) (Answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := process(w, r, answer)
		if err != nil {
			status := http.StatusInternalServerError
			if bad := (*badRequest)(nil); errors.As(err, &bad) {
				status = bad.status
			}
			if status == http.StatusMethodNotAllowed {
				w.Header().Set("Allow", http.MethodPost)
			}
			http.Error(w, oneLine(err.Error()), status)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		// An error here means that the caller has closed the connection.
		_, _ = w.Write(body)
	}
}

// process reads a request, calls the author's function and returns the body of the answer.
func process(w http.ResponseWriter, r *http.Request, answer func(context.Context, *Review) (Answer, error)) (body []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p) // net/http closes the connection on this panic
			}
			logPanic(r.Context(), p)
			err = errors.New("answering the review: the endpoint panicked, its log says where")
		}
	}()
	if r.Method != http.MethodPost {
		return nil, &badRequest{http.StatusMethodNotAllowed, "reading the review: want a POST with a Pod as the body"}
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBytes))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &badRequest{http.StatusRequestEntityTooLarge, fmt.Sprintf("reading the Pod: it is larger than %d MiB", maxBytes>>20)}
	} else if err != nil {
		return nil, &badRequest{http.StatusBadRequest, "reading the Pod: the body ended early"}
	}
	review, err := readReview(r.Header, raw)
	if err != nil {
		return nil, err
	}
	a, err := answer(r.Context(), review)
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		a = Refuse(refusal.Message)
	} else if err != nil {
		return nil, err
	}
	return a.Warn(review.warnings...).encode(review.Operation)
}

// logPanic logs where a panic came from. It logs the text of a panic only if it is the runtime's (an index,
// a nil map): any other text may quote the Pod.
func logPanic(ctx context.Context, p any) {
	what := fmt.Sprintf("%T", p)
	if e, ok := p.(runtime.Error); ok {
		what = e.Error()
	}
	slog.ErrorContext(ctx, "endpoint panicked", "panic", what, "stack", string(debug.Stack()))
}

// oneLine returns the first line of s that is not blank, cut at maxMessage, with spaces in the place of
// control characters.
func oneLine(s string) string {
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return ' '
			}
			return r
		}, line))
		if line == "" {
			continue
		}
		if runes := []rune(line); len(runes) > maxMessage {
			return string(runes[:maxMessage-1]) + "…"
		}
		return line
	}
	return "answering the review: the endpoint failed without saying why"
}
