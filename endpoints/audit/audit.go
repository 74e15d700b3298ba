package audit

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// DefaultRetention is how long events are kept where nothing else is said: thirty days.
const DefaultRetention = 720 * time.Hour

// Config says how a [Server] stores and who may use it. Its zero value keeps events in memory for
// [DefaultRetention] and asks nobody for a token, which is meant for trying things out.
type Config struct {
	// Path is the SQLite database's file, made if it is not there. Empty: in memory, bounded to 256 MiB, of
	// which the oldest events make room for the newest.
	Path string
	// Retention is how long events are kept. 0: DefaultRetention.
	Retention time.Duration
	// ReadTokenFile holds the bearer token for reading, WriteTokenFile the one for posting events. They are
	// read again with each request, so that they can be rotated. Empty: no token is needed.
	ReadTokenFile, WriteTokenFile string
	// Log is told of storage trouble, never of what events hold. nil: slog.Default().
	Log *slog.Logger
}

// Server takes events and shows them. It goes by the end of a request's path only, so it can be mounted
// anywhere:
//
//	POST …               one event or a batch
//	GET  …/              the page
//	GET  …/api/events    a list, newest first
//	GET  …/api/events/ID one event in full
//	GET  …/api/events/stream, …/api/stats, …/api/values
//	POST …/login         the page's form
type Server struct {
	store  *store
	config Config
	log    *slog.Logger
	now    func() time.Time

	closing   chan struct{} // ends the streams
	closeOnce sync.Once
	streams   chan struct{} // one element for each stream: a semaphore
	hosts     sync.Map      // of *http.Server to struct{}: those whose shutdown ends the streams
}

// New opens the store. Whoever calls it closes it.
func New(config Config) (*Server, error) {
	if config.Retention == 0 {
		config.Retention = DefaultRetention
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	for _, file := range []string{config.ReadTokenFile, config.WriteTokenFile} {
		if _, err := readToken(file); err != nil {
			return nil, fmt.Errorf("reading the token %q: %w", file, err)
		}
	}
	st, err := openStore(config.Path, config.Retention, config.Log)
	if err != nil {
		return nil, err
	}
	return &Server{
		store: st, config: config, log: config.Log, now: time.Now,
		closing: make(chan struct{}), streams: make(chan struct{}, maxStreams),
	}, nil
}

// Close ends the streams, finishes what is being written and closes the database.
func (s *Server) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	return s.store.close()
}

//go:embed page
var embedded embed.FS

var pageFiles = must(fs.Sub(embedded, "page"))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// policy lets the page load its own files and talk to its own origin, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // the address holds filters
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")

	at := r.URL.EscapedPath()
	if at == "" {
		at, _, _ = strings.Cut(r.RequestURI, "?") // http.StripPrefix took all: the page has to move into its folder
	}
	if !strings.HasPrefix(at, "/") {
		at = "/" + at // http.StripPrefix leaves that of a prefix that ends in a slash
	}
	_, api, isAPI := strings.Cut(at, "/api/")
	var err error
	switch {
	case r.Method == http.MethodPost && strings.HasSuffix(at, "/login"):
		err = s.login(w, r)
	case r.Method == http.MethodPost && strings.HasSuffix(at, "/logout"):
		err = s.logout(w, r)
	case r.Method == http.MethodPost:
		s.receive(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD, POST")
		err = &badRequest{http.StatusMethodNotAllowed, "want a POST with CloudEvents, or a GET"}
	case isAPI:
		err = s.api(w, r, api)
	default:
		err = s.page(w, r, at)
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

func (s *Server) api(w http.ResponseWriter, r *http.Request, at string) error {
	if err := s.mayRead(r); err != nil {
		return err
	}
	switch {
	case at == "events":
		return s.list(w, r)
	case at == "events/stream":
		return s.stream(w, r)
	case strings.HasPrefix(at, "events/"):
		return s.one(w, r, strings.TrimPrefix(at, "events/"))
	case at == "stats":
		return s.stats(w, r)
	case at == "values":
		return s.values(w, r)
	}
	return &badRequest{http.StatusNotFound, "there are api/events, api/events/{id}, api/events/stream, api/stats and api/values"}
}

// page serves the page's files. They hold no event, so they take no token: a link that a colleague sent
// opens although a SameSite=Strict cookie does not come along with the first request.
func (s *Server) page(w http.ResponseWriter, r *http.Request, at string) error {
	_, file := path.Split(at)
	switch {
	case file == "app.js" || file == "charts.js" || file == "style.css":
	case file == "" || file == "index.html":
		file = "index.html"
	case strings.Contains(file, "."):
		return &badRequest{http.StatusNotFound, "there is no such file"}
	default:
		// The page's addresses are relative to a folder. So is this one: the prefix may be known only to a
		// proxy in front.
		w.Header().Set("Location", "./"+file+"/"+querySuffix(r))
		w.WriteHeader(http.StatusFound)
		return nil
	}
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeFileFS(w, withoutPath(r), pageFiles, file)
	return nil
}

func querySuffix(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	return "?" + r.URL.RawQuery
}

// withoutPath keeps http.ServeFileFS from redirecting …/index.html, which it tells by the request's path.
func withoutPath(r *http.Request) *http.Request {
	clone := r.Clone(r.Context())
	clone.URL.Path = "/"
	return clone
}

// badRequest is the caller's mistake, or something else that the caller should read.
type badRequest struct {
	status  int
	message string
}

func (e *badRequest) Error() string { return e.message }

func bad(format string, args ...any) error {
	return &badRequest{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// fail answers an error, as JSON under api/ and as text elsewhere. What is not the caller's doing is storage
// trouble.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, message := http.StatusServiceUnavailable, "the store does not answer; the function's log says why"
	if b := (*badRequest)(nil); errors.As(err, &b) {
		status, message = b.status, b.message
	} else if r.Context().Err() == nil {
		s.log.Error("audit cannot answer", "path", r.URL.Path, "err", err)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	if strings.Contains(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "api/") {
		writeJSON(w, status, map[string]string{"error": message})
		return
	}
	http.Error(w, message, status)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here is a caller that has gone; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(v)
}
