package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// paths are the paths of reviews, with the failure policy that each one names. A review may also come to /.
var paths = []struct {
	path   string
	phase  review.Phase
	policy review.FailurePolicy
}{
	{"/mutate/fail", review.Mutate, review.Fail},
	{"/mutate/ignore", review.Mutate, review.Ignore},
	{"/mutate", review.Mutate, ""},
	{"/validate/fail", review.Validate, review.Fail},
	{"/validate/ignore", review.Validate, review.Ignore},
	{"/validate", review.Validate, ""},
}

// Handler speaks HTTP for a Proxy. Its fields must be set before its first request.
type Handler struct {
	Proxy    *Proxy
	Version  string
	Memory   *share.Pool  // what all reviews in flight may keep in memory; nil: without a bound
	NotReady func() error // why Namespaces cannot be read, or the API server cannot verify the certificate; nil: ready
	lifecycle

	arriving arriving
	once     sync.Once
	mux      *http.ServeMux
}

// ServeHTTP answers reviews and probes. A request that is not an AdmissionReview gets a 4xx in plain text. A review
// always gets a 200 with a decision: the API server takes anything else for a failed call and then uses its own policy.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h.once.Do(h.route)
	if h.draining.Load() {
		w.Header().Set("Connection", "close") // on HTTP/2 net/http makes a GOAWAY of it
	}
	// A ServeMux would redirect a path like //mutate, and for the API server a redirect is a failed call.
	if p := req.URL.Path; !strings.HasPrefix(p, "/") || path.Clean(p) != p {
		h.notFound(w, req)
		return
	}
	h.mux.ServeHTTP(w, req)
}

// Drain turns /readyz to 503, asks every caller to close its connection, and returns when no review is in flight, none has
// arrived for two seconds, and the candidates that were called have answered, or when ctx ends. Then it has given up the
// candidates that have not. It works from within the function, and so under any host. It does not stop the host's server.
func (h *Handler) Drain(ctx context.Context) {
	h.lifecycle.drain(ctx)
	h.Proxy.Candidates.Drain(ctx)
}

func (h *Handler) route() {
	h.mux = http.NewServeMux()
	reviews := func(phase review.Phase, policy review.FailurePolicy) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) { h.serveReview(w, req, phase, policy) }
	}
	for _, p := range paths {
		h.mux.HandleFunc("POST "+p.path, reviews(p.phase, p.policy))
		h.mux.HandleFunc(p.path, h.notAllowed("expected a POST of an AdmissionReview", "POST"))
	}
	h.mux.HandleFunc("POST /{$}", reviews(review.Mutate, ""))
	h.mux.HandleFunc("GET /{$}", h.serveName)
	h.mux.HandleFunc("/{$}", h.notAllowed("expected a POST of an AdmissionReview or a GET", "GET", "HEAD", "POST"))
	h.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	h.mux.HandleFunc("GET /readyz", h.serveReady)
	for _, probe := range []string{"/healthz", "/readyz"} {
		h.mux.HandleFunc(probe, h.notAllowed("expected a GET", "GET", "HEAD"))
	}
	h.mux.HandleFunc("/", h.notFound)
}

func (h *Handler) serveName(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	// Only the connection can fail here.
	_ = json.NewEncoder(w).Encode(map[string]string{"service": "amp", "version": h.Version})
}

// maxReason is the most characters of the reason in an answer of /readyz, which may quote the API server.
const maxReason = 300

func (h *Handler) serveReady(w http.ResponseWriter, _ *http.Request) {
	if h.draining.Load() {
		text(w, http.StatusServiceUnavailable, "draining")
	} else if err := h.NotReady(); err != nil {
		text(w, http.StatusServiceUnavailable, review.Clip(review.Line(err.Error()), maxReason))
	} else {
		text(w, http.StatusOK, "ok")
	}
}

// serveReview answers a review. What amp keeps in memory of it is in a hold of the review's namespace until the answer is
// written. If the body does not fit, amp decides from its first bytes.
func (h *Handler) serveReview(w http.ResponseWriter, req *http.Request, phase review.Phase, policy review.FailurePolicy) {
	defer h.begin()()
	start := time.Now()
	body, no := open(w, req, &h.arriving)
	if no != nil {
		h.rejectFor(w, req, no)
		return
	}
	var r *review.Review
	var err error
	if body.whole {
		r, err = review.Read(body.bytes, phase)
	} else if r, err = review.ReadHead(body.bytes, phase); err != nil {
		r, err = &review.Review{Phase: phase}, nil // the rest may tell more
	}
	if err != nil {
		h.reject(w, req, http.StatusBadRequest, err.Error())
		return
	}
	left := timeLeft(req)
	budget := h.Proxy.budget(phase, left)
	ctx, cancel := context.WithDeadline(req.Context(), start.Add(budget))
	defer cancel()
	memory := h.Memory.Hold(r.Namespace, max(0, budget/10))
	defer memory.Release()
	arrived := func() *review.Review {
		r.Memory, r.FailurePolicy = memory, policy
		r.TraceParent = req.Header.Get("Traceparent")
		r.TraceState = strings.Join(req.Header.Values("Tracestate"), ",") // it may be several headers (W3C Trace Context, 3.3.1)
		return r
	}

	err = memory.Grow(ctx, ReviewBytes)
	if err == nil && !body.whole {
		if err = body.read(ctx, memory); err == nil {
			r, err = h.readLarge(ctx, body.bytes, r, phase)
		}
	}
	switch {
	case errors.As(err, &no):
		h.rejectFor(w, req, no)
	case err != nil && r.UID == "":
		h.early(w, req, body, func() {
			h.rejectFor(w, req, &rejection{http.StatusServiceUnavailable, "amp: " + arrived().NoMemory("a body whose first bytes hold no uid of a review")})
		})
	case err != nil:
		_, answer := h.Proxy.Shed(ctx, arrived(), start)
		w.Header().Set("Content-Length", strconv.Itoa(len(answer))) // so that the caller knows when it has all of it
		h.early(w, req, body, func() { h.send(ctx, w, r, answer) })
	default:
		rec, answer := h.Proxy.Review(ctx, arrived(), start, left)
		if !h.Proxy.Candidates.wants(rec) {
			h.send(req.Context(), w, r, answer)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(answer))) // without it, a flushed answer would come in chunks
		h.send(req.Context(), w, r, answer)
		_ = http.NewResponseController(w).Flush() // only the connection can fail here
		h.Proxy.Candidates.Call(rec)
	}
}

// readLarge reads a review of which more than the first bytes were needed, when its namespace may use a processor. head is what
// its first bytes hold. Its error is a *rejection.
func (h *Handler) readLarge(ctx context.Context, body []byte, head *review.Review, phase review.Phase) (*review.Review, error) {
	place, _ := h.Proxy.Processors.Take(ctx, head.Namespace, len(body)) // if there is no time left, amp must know what to decide
	defer place.Release()
	r, err := review.Read(body, phase)
	if err != nil {
		return nil, &rejection{http.StatusBadRequest, err.Error()}
	}
	return r, nil
}

// early sends an answer while the caller may still send the body. A caller that never ends its body gets the answer too.
//
// Over HTTP/1.1 the rest of the body passes by afterwards, and amp keeps none of it. Without that, net/http would close the
// connection half a second after the answer, and a client that still sends then sees the broken connection and not the
// answer. The next review would also need a new connection. Over HTTP/2, net/http tells the caller to stop.
func (h *Handler) early(w http.ResponseWriter, req *http.Request, body *body, send func()) {
	if body.whole || req.ProtoMajor > 1 {
		send()
		return
	}
	rc := http.NewResponseController(w)
	if rc.EnableFullDuplex() != nil { // a server of another kind reads the body first
		body.discard()
		send()
		return
	}
	send()
	_ = rc.Flush() // only the connection can fail here
	body.discard()
}

// send writes the answer. After a panic the API server may have a part of it, and nothing more can be said: the aborted
// connection tells it that the call failed.
func (h *Handler) send(ctx context.Context, w http.ResponseWriter, r *review.Review, answer []byte) {
	if h.Proxy.contain(ctx, r, func() error {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer) // if the API server has closed the connection, it needs no answer
		return nil
	}) != nil {
		panic(http.ErrAbortHandler)
	}
}

// notAllowed answers requests with another method. allow are those that the path has (RFC 9110, section 15.5.6).
func (h *Handler) notAllowed(expected string, allow ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		h.reject(w, req, http.StatusMethodNotAllowed, expected+", not "+req.Method)
	}
}

func (h *Handler) notFound(w http.ResponseWriter, req *http.Request) {
	h.reject(w, req, http.StatusNotFound,
		"expected a POST to /mutate/fail, /mutate/ignore, /mutate, /validate/fail, /validate/ignore, /validate or /, or a GET of /, /healthz or /readyz")
}

// rejectFor is reject because of a rejection. It also counts the review that amp could not take.
func (h *Handler) rejectFor(w http.ResponseWriter, req *http.Request, no *rejection) {
	if no.status == http.StatusServiceUnavailable {
		h.Proxy.Recorder.Shed(review.ShedUnread)
	}
	h.reject(w, req, no.status, no.expected)
}

// reject answers a request that is not an AdmissionReview, counts it, and logs who sent it.
func (h *Handler) reject(w http.ResponseWriter, req *http.Request, status int, expected string) {
	h.Proxy.Recorder.BadRequest(status)
	h.Proxy.Log.DebugContext(req.Context(), "not an AdmissionReview", "status", status, "method", review.Clip(req.Method, 20),
		"path", review.Clip(req.URL.Path, 100), "from", req.RemoteAddr, "answer", expected)
	text(w, status, expected)
}

// timeLeft is the API server's ?timeout=, 0 without one. amp reviews a Pod even if the parameter does not parse.
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
