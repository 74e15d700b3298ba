package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/txn2/amp/internal/review"
)

// maxReviewBytes is controller-runtime's limit for an AdmissionReview: API objects are at most 3 MiB, an
// update carries two of them, and the rest is little.
const maxReviewBytes = 7 << 20

// route is what a path says of the reviews sent to it.
type route struct {
	operation review.Phase
	policy    review.FailurePolicy
}

var routes = map[string]route{
	"/":                {operation: review.Mutate},
	"/mutate":          {operation: review.Mutate},
	"/mutate/fail":     {review.Mutate, review.Fail},
	"/mutate/ignore":   {review.Mutate, review.Ignore},
	"/validate":        {operation: review.Validate},
	"/validate/fail":   {review.Validate, review.Fail},
	"/validate/ignore": {review.Validate, review.Ignore},
}

// Handler speaks HTTP for a Proxy.
type Handler struct {
	Proxy   *Proxy
	Version string
	Ready   func() bool // whether Namespaces can be read, and the API server can verify the certificate
	lifecycle
}

// ServeHTTP answers reviews and probes. What is no AdmissionReview gets a plain-text 4xx; a review is always
// answered with 200 and a decision, because the API server would take anything else for a failed call and
// hold to its own policy.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if h.draining.Load() {
		w.Header().Set("Connection", "close") // on HTTP/2 net/http makes a GOAWAY of it
	}
	route, isReview := routes[req.URL.Path]
	get := req.Method == http.MethodGet || req.Method == http.MethodHead
	switch {
	case isReview && req.Method == http.MethodPost:
		defer h.begin()()
		h.serveReview(w, req, route)
	case get && req.URL.Path == "/":
		w.Header().Set("Content-Type", "application/json")
		// The response is all there is to fail here.
		_ = json.NewEncoder(w).Encode(map[string]string{"service": "amp", "version": h.Version})
	case get && req.URL.Path == "/healthz":
		text(w, http.StatusOK, "ok")
	case get && req.URL.Path == "/readyz":
		h.serveReady(w)
	case isReview:
		w.Header().Set("Allow", http.MethodPost)
		text(w, http.StatusMethodNotAllowed, "expected a POST of an AdmissionReview, not "+req.Method)
	case req.URL.Path == "/healthz" || req.URL.Path == "/readyz":
		w.Header().Set("Allow", "GET, HEAD")
		text(w, http.StatusMethodNotAllowed, "expected a GET, not "+req.Method)
	default:
		text(w, http.StatusNotFound, "expected a POST to /mutate/fail, /mutate/ignore, /mutate, /validate/fail, /validate/ignore, /validate or /, or a GET of /, /healthz or /readyz")
	}
}

func (h *Handler) serveReady(w http.ResponseWriter) {
	switch {
	case h.draining.Load():
		text(w, http.StatusServiceUnavailable, "draining")
	case !h.Ready():
		text(w, http.StatusServiceUnavailable, "no Namespace could be read yet, or there is no certificate that the API server can verify: the log says why")
	default:
		text(w, http.StatusOK, "ok")
	}
}

func (h *Handler) serveReview(w http.ResponseWriter, req *http.Request, route route) {
	body, status, err := readBody(w, req)
	if err != nil {
		text(w, status, err.Error())
		return
	}
	r, err := review.Read(body, route.operation)
	if err != nil {
		text(w, http.StatusBadRequest, err.Error())
		return
	}
	r.FailurePolicy = route.policy
	r.TraceParent, r.TraceState = req.Header.Get("Traceparent"), req.Header.Get("Tracestate")

	rec := h.Proxy.Review(req.Context(), r, timeLeft(req))
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(review.Write(rec)) // a caller who is gone needs no answer
}

// readBody returns the request's body or, with an error for the caller's eyes, the status to answer with.
func readBody(w http.ResponseWriter, req *http.Request) ([]byte, int, error) {
	// The plain form is what every API server sends.
	if contentType := req.Header.Get("Content-Type"); contentType != "application/json" {
		if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/json" {
			return nil, http.StatusUnsupportedMediaType, fmt.Errorf("expected Content-Type application/json, not %q", review.Clip(contentType, 60))
		}
	}
	var body bytes.Buffer
	// The announced length saves growing the buffer, but only as far as a caller can be trusted with it.
	if n := req.ContentLength; n > 0 {
		body.Grow(int(min(n, 256<<10)) + bytes.MinRead)
	}
	if _, err := body.ReadFrom(http.MaxBytesReader(w, req.Body, maxReviewBytes)); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("expected an AdmissionReview of at most %d MiB", maxReviewBytes>>20)
		}
		return nil, http.StatusBadRequest, fmt.Errorf("reading the request: %w", err)
	}
	return body.Bytes(), 0, nil
}

// timeLeft is the API server's ?timeout=, 0 without one. What does not parse is no reason to refuse a
// review.
func timeLeft(req *http.Request) time.Duration {
	if req.URL.RawQuery == "" {
		return 0
	}
	left, err := time.ParseDuration(req.URL.Query().Get("timeout"))
	if err != nil || left < 0 {
		return 0
	}
	return left
}

func text(w http.ResponseWriter, status int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, s+"\n")
}
