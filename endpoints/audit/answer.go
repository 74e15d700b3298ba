package audit

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// badRequest is the caller's mistake, or another thing that the caller should read.
type badRequest struct {
	status  int
	message string
}

func (e *badRequest) Error() string { return e.message }

func bad(format string, args ...any) error {
	return &badRequest{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// problem is the JSON that answers a request that failed.
type problem struct {
	Error   string   `json:"error"`
	Sources []string `json:"sources,omitempty"` // to choose from
}

// answerTo is the one place where errors become statuses. known is false for trouble with the storage, which the
// caller can do nothing about.
func answerTo(err error) (status int, p problem, known bool) {
	var request *badRequest
	var several *store.SeveralSourcesError
	var tooMany *store.TooManyError
	switch {
	case errors.As(err, &request):
		return request.status, problem{Error: request.message}, true
	case errors.As(err, &several):
		return http.StatusMultipleChoices, problem{"events of several sources have this id: add the parameter source", several.Sources}, true
	case errors.As(err, &tooMany):
		return http.StatusBadRequest, problem{Error: fmt.Sprintf("parameter %s: more than %d values contain %.60q: write more of it", tooMany.Parameter, tooMany.Most, tooMany.Value)}, true
	case errors.Is(err, store.ErrCursor):
		return http.StatusBadRequest, problem{Error: "parameter cursor: want the next of an earlier page, as it was"}, true
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound, problem{Error: "there is no such event: it may be older than the retention, or the level may be None"}, true
	case errors.Is(err, store.ErrClosed):
		return http.StatusServiceUnavailable, problem{Error: "the store is closing: try again"}, true
	case errors.Is(err, store.ErrUnreachable):
		return http.StatusServiceUnavailable, problem{Error: "the database does not answer: try again; the function's log says why"}, false
	}
	return http.StatusServiceUnavailable, problem{Error: "the store does not answer; the function's log says why"}, false
}

// fail answers an error, as JSON under api/ and as text elsewhere.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, p, known := answerTo(err)
	if !known && r.Context().Err() == nil {
		s.log.Error("audit cannot answer", "path", r.URL.Path, "err", err)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	if _, isAPI := apiOf(pathOf(r)); isAPI {
		writeJSON(w, status, p)
		return
	}
	http.Error(w, p.Error, status)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here means that the caller has gone.
	_ = linesTo(w).Encode(v)
}
