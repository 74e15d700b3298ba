package audit

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

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

	at := pathOf(r)
	api, isAPI := apiOf(at)
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

// pathOf returns the path of a request, still escaped.
func pathOf(r *http.Request) string {
	at := r.URL.EscapedPath()
	if at == "" {
		at, _, _ = strings.Cut(r.RequestURI, "?") // http.StripPrefix took all: the page has to move into its folder
	}
	if !strings.HasPrefix(at, "/") {
		at = "/" + at // http.StripPrefix took a prefix that ends in a slash
	}
	return at
}

// apiOf returns what a path asks of the API, or false if it is one of the page's. It goes by the end of the path: what the
// function is mounted below may have an api/, too. The slashes of an event's id are escaped.
func apiOf(at string) (string, bool) {
	folder, last := path.Split(at)
	switch {
	case last == "":
		return "", false
	case strings.HasSuffix(folder, "/api/"):
		return last, !isPageFile(last)
	case strings.HasSuffix(folder, "/api/events/"):
		return "events/" + last, true
	case isPageFile(last):
		return "", false
	}
	_, id, found := strings.Cut(at, "/api/events/") // a proxy in front may have taken the escapes off
	return "events/" + id, found
}

func isPageFile(name string) bool {
	info, err := fs.Stat(pageFiles, name)
	return err == nil && !info.IsDir()
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
		return s.detail(w, r, strings.TrimPrefix(at, "events/"))
	case at == "export":
		return s.exportRecords(w, r)
	case at == "stats":
		return s.charts(w, r)
	case at == "values":
		return s.values(w, r)
	}
	return &badRequest{http.StatusNotFound, "there are api/events, api/events/{id}, api/events/stream, api/export, api/stats and api/values"}
}

// page serves the page's files. They hold no event, so they need no token: a link that a colleague sent opens
// although a browser does not send a SameSite=Strict cookie with the first request.
func (s *Server) page(w http.ResponseWriter, r *http.Request, at string) error {
	_, file := path.Split(at)
	switch {
	case file == "":
		file = "index.html"
	case strings.Contains(file, "."):
		if !isPageFile(file) {
			return &badRequest{http.StatusNotFound, "there is no such file"}
		}
	default:
		// The page's addresses are relative to a folder. So is this one: only a proxy in front may know the
		// prefix.
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

// withoutPath keeps http.ServeFileFS from redirecting …/index.html, which it recognises by the request's path.
func withoutPath(r *http.Request) *http.Request {
	clone := r.Clone(r.Context())
	clone.URL.Path = "/"
	return clone
}
