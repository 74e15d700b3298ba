package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

func TestThePageIsServedAnywhere(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	for name, tc := range map[string]struct {
		target, prefix string
		status         int
		want           string
	}{
		"at the root":                      {"/", "", 200, "<title>amp audit</title>"},
		"below a prefix":                   {"/a/b/", "", 200, "<title>amp audit</title>"},
		"below a prefix that is taken off": {"/a/b/", "/a/b", 200, "<title>amp audit</title>"},
		"its script":                       {"/a/b/app.js", "/a/b/", 200, "import {"},
		"its style":                        {"/style.css", "", 200, ":root"},
		"without the slash at the end":     {"/a/b?pod=x", "", 302, "./b/?pod=x"},
		"the same, with the prefix taken":  {"/a/b?pod=x", "/a/b", 302, "./b/?pod=x"},
		"its API below a prefix":           {"/a/b/api/values", "/a/b", 200, `"outcomes"`},
		"its API, a slash taken too":       {"/a/b/api/values", "/a/b/", 200, `"outcomes"`},
		"below /api/":                      {"/api/audit/", "", 200, "<title>amp audit</title>"},
		"below /api/, its script":          {"/api/audit/app.js", "", 200, "import {"},
		"below /api/, without the slash":   {"/api/v1/audit?pod=x", "", 302, "./audit/?pod=x"},
		"below /api/, its API":             {"/api/audit/api/values", "", 200, `"outcomes"`},
		"below /api/, an address unknown":  {"/api/audit/api/value", "", 404, "there are api/events"},
		"at /api/":                         {"/api/", "", 200, "<title>amp audit</title>"},
		"at /api/, its script":             {"/api/app.js", "", 200, "import {"},
		"at /api/, its API":                {"/api/api/values", "", 200, `"outcomes"`},
		"below /api/events/":               {"/api/events/audit/", "", 200, "<title>amp audit</title>"},
		"below /api/events/, its script":   {"/api/events/audit/app.js", "", 200, "import {"},
		"below /api/events/, its API":      {"/api/events/audit/api/values", "", 200, `"outcomes"`},
		"another file":                     {"/favicon.ico", "", 404, "no such file"},
		"a file outside":                   {"/..%2Faudit.go", "", 404, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			w := do(t, http.StripPrefix(tc.prefix, s), "GET", tc.target, nil, nil)
			if got := w.Body.String() + w.Header().Get("Location"); w.Code != tc.status || !strings.Contains(got, tc.want) {
				t.Errorf("%d %.300s", w.Code, got)
			}
			if got := w.Header().Get("Content-Security-Policy"); got != "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'" {
				t.Errorf("the policy is %q", got)
			}
		})
	}
	page, err := os.ReadFile("page/index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, no := range []string{"<style", " style=", "onclick", "http://", "https://", "//cdn", "javascript:"} {
		if strings.Contains(strings.ReplaceAll(string(page), "xmlns='http://www.w3.org/2000/svg'", ""), no) {
			t.Errorf("the page has %q", no)
		}
	}
	scripts, err := filepath.Glob("page/*.js")
	if err != nil || len(scripts) < 2 {
		t.Fatal(scripts, err)
	}
	for _, file := range scripts {
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, no := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"} {
			if strings.Contains(string(script), no) {
				t.Errorf("%s has %s: values reach the document as text only", file, no)
			}
		}
	}
}

// TestEventsAreFoundWhateverTheirIDs below any prefix.
func TestEventsAreFoundWhateverTheirIDs(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	for _, id := range []string{"a", "a/final", "a/b/", "a/api/events", "x/api/events/y", "/api/export", "events", "app.js", "é %2F?"} {
		post(t, s, ev{id: id})
		for _, prefix := range []string{"", "/audit", "/api", "/api/audit", "/api/events", "/api/events/audit"} {
			if d := get[Detail](t, s, prefix+"/api/events/"+url.PathEscape(id)); d.Item.ID != id {
				t.Errorf("%s, %s: it is %q", prefix, id, d.Item.ID)
			}
		}
	}
	// A proxy in front may have taken the escapes off.
	for target, id := range map[string]string{"/api/events/a/final": "a/final", "/audit/api/events/a/final": "a/final", "/api/audit/api/events/a/final": "a/final"} {
		if d := get[Detail](t, s, target); d.Item.ID != id {
			t.Errorf("%s: it is %q", target, d.Item.ID)
		}
	}
	// Errors are JSON below api/ only.
	for target, want := range map[string]string{"/api/audit/api/events?x=y": `{"error":`, "/api/audit/nothing.js": "there is no such file", "/audit/api/events/nothing": `{"error":`} {
		if w := do(t, s, "GET", target, nil, nil); w.Code < 400 || !strings.HasPrefix(w.Body.String(), want) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

// fullDisk is a store whose disk is full.
type fullDisk struct{ store.Store }

func (fullDisk) Add(context.Context, []*store.Event) error {
	return errors.New("storing events: database or disk is full")
}
func (fullDisk) Close() error { return nil }

func TestStorageTroubleIs503(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := newWithStore(Config{Retention: Forever, Log: slog.New(slog.NewTextHandler(&log, nil))}, fullDisk{}, time.Now)
	defer s.Close()
	w := do(t, s, "POST", "/", map[string]string{"Content-Type": structured}, ev{id: "big"}.json(t))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if strings.Contains(w.Body.String(), "disk") || !strings.Contains(log.String(), "disk is full") {
		t.Errorf("the caller reads %q, the log has %q", w.Body, log.String())
	}
	if _, err := New(Config{Path: "/nowhere/events.db"}); err == nil || !strings.Contains(err.Error(), `opening the database "/nowhere/events.db"`) {
		t.Errorf("a path that cannot be: %v", err)
	}
}

func TestTheHandlerTriesAgain(t *testing.T) {
	t.Setenv("AMP_AUDIT_READ_TOKEN_FILE", filepath.Join(t.TempDir(), "token"))
	call := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		Handler(w, httptest.NewRequest("GET", "/api/values", nil))
		return w
	}
	if w := call(); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "AMP_AUDIT_READ_TOKEN_FILE") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	// The volume was late.
	if err := os.WriteFile(os.Getenv("AMP_AUDIT_READ_TOKEN_FILE"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := call(); w.Code != http.StatusUnauthorized {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if err := environment.server.Close(); err != nil {
		t.Error(err)
	}
	environment.server = nil // for the next run of this test
}

func TestConfigFromTheEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{"AMP_AUDIT_RETENTION": "1w", "AMP_AUDIT_READ_TOKEN_FILE": "/nowhere/read", "AMP_AUDIT_WRITE_TOKEN_FILE": "/nowhere/write", "AMP_AUDIT_DB": "/data/x?mode=ro"}
	_, err := configFrom(func(k string) string { return env[k] })
	for variable := range env {
		if err == nil || !strings.Contains(err.Error(), variable) {
			t.Errorf("%s is not reported: %v", variable, err)
		}
	}
	config, err := configFrom(func(k string) string {
		return map[string]string{"AMP_AUDIT_DB": "/data/events.db", "AMP_AUDIT_RETENTION": "48h"}[k]
	})
	if err != nil || config.Path != "/data/events.db" || config.Retention != 48*time.Hour {
		t.Errorf("%+v, %v", config, err)
	}
	config, err = configFrom(func(k string) string {
		return map[string]string{"AMP_AUDIT_DB": "postgres://amp@db/audit?sslmode=verify-full", "AMP_AUDIT_DB_PASSWORD_FILE": "/run/w", "AMP_AUDIT_DB_READ": "postgresql://reader@db/audit", "AMP_AUDIT_DB_READ_PASSWORD_FILE": "/run/r"}[k]
	})
	if want := (Postgres{URL: "postgres://amp@db/audit?sslmode=verify-full", ReadURL: "postgresql://reader@db/audit", PasswordFile: "/run/w", ReadPasswordFile: "/run/r"}); err != nil || config.Path != "" || config.Postgres != want {
		t.Errorf("%+v, %v", config, err)
	}
}

// TestErrorsOfTheEnvironmentKeepTheirOrder: each request logs them, and a log groups lines that are the same.
func TestErrorsOfTheEnvironmentKeepTheirOrder(t *testing.T) {
	t.Parallel()
	env := map[string]string{"AMP_AUDIT_DB": "mysql://db/audit", "AMP_AUDIT_DB_READ": "mysql://reader/audit"}
	for range 50 {
		_, err := configFrom(func(k string) string { return env[k] })
		first, second, _ := strings.Cut(fmt.Sprint(err), "\n")
		if !strings.Contains(first, "AMP_AUDIT_DB is") || !strings.Contains(second, "AMP_AUDIT_DB_READ is") {
			t.Fatalf("the errors are %v", err)
		}
	}
}

// TestNoErrorShowsAPassword: the function answers errors in its configuration to every caller.
func TestNoErrorShowsAPassword(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	for name, env := range map[string]map[string]string{
		"another database":             {"AMP_AUDIT_DB": "mysql://amp:s3cr3t@db/audit"},
		"a capital":                    {"AMP_AUDIT_DB": "Postgres://amp:s3cr3t@db/audit?x"},
		"a list of parameters":         {"AMP_AUDIT_DB": "host=db user=amp password=s3cr3t"},
		"a port":                       {"AMP_AUDIT_DB": "postgres://amp:s3cr3t@db:x/audit"},
		"an escape":                    {"AMP_AUDIT_DB": "postgres://amp:s3cr3t%zz@db/audit"},
		"a blank":                      {"AMP_AUDIT_DB": "postgres://amp:s3cr3t x@db/audit"},
		"a slash in the password":      {"AMP_AUDIT_DB": "postgres://amp:s3cr3t/@db/audit?sslmode=x"},
		"a hash in the password":       {"AMP_AUDIT_DB": "postgres://amp:x#s3cr3t@db/audit"},
		"a password as a parameter":    {"AMP_AUDIT_DB": "postgres://db/audit?password=s3cr3t&sslmode=some"},
		"a mode":                       {"AMP_AUDIT_DB": "postgres://amp:s3cr3t@db/audit?sslmode=some"},
		"a certificate":                {"AMP_AUDIT_DB": "postgres://amp:s3cr3t@db/audit?sslmode=verify-full&sslrootcert=/nowhere/ca"},
		"a pool":                       {"AMP_AUDIT_DB": "postgres://amp:s3cr3t@db/audit?pool_max_conns=many"},
		"a password file":              {"AMP_AUDIT_DB": "postgres://amp:s3cr3t@db/audit", "AMP_AUDIT_DB_PASSWORD_FILE": "/nowhere/password"},
		"a reader of another database": {"AMP_AUDIT_DB": "postgres://amp@db/audit", "AMP_AUDIT_DB_READ": "mysql://amp:s3cr3t@db/audit"},
		"a reader's port":              {"AMP_AUDIT_DB": "postgres://amp@db/audit", "AMP_AUDIT_DB_READ": "postgres://amp:s3cr3t@db:x/audit"},
		"a reader of a file":           {"AMP_AUDIT_DB": "/data/events.db", "AMP_AUDIT_DB_READ": "postgres://amp:s3cr3t@db/audit"},
		"no server listens":            {"AMP_AUDIT_DB": "postgres://amp:s3cr3t@127.0.0.1:1/audit"},
	} {
		config, err := configFrom(func(k string) string { return env[k] })
		var s *Server
		var log bytes.Buffer
		if err == nil {
			config.Log = slog.New(slog.NewTextHandler(&log, nil))
			s, err = New(config)
		}
		said := fmt.Sprint(err)
		if err == nil {
			w := do(t, s, "GET", "/api/values", nil, nil)
			if said = w.Body.String(); w.Code != http.StatusServiceUnavailable {
				t.Errorf("%s: %d", name, w.Code)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			said += log.String()
		}
		if strings.Contains(said, secret) || !strings.Contains(said, "AMP_AUDIT_DB") && !strings.Contains(said, "the database does not answer") {
			t.Errorf("%s: %s", name, said)
		}
	}
}

// TestEveryVariableIsDocumented: where an operator looks for it.
func TestEveryVariableIsDocumented(t *testing.T) {
	t.Parallel()
	read := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	asked := map[string]bool{}
	_, _ = configFrom(func(name string) string { asked[name] = true; return "" }) // an error is of no interest
	if len(asked) < 7 {
		t.Errorf("only %d variables are read", len(asked))
	}
	code, _, _ := strings.Cut(read("function.go"), "func Handler(")
	for where, text := range map[string]string{"docs/audit.md": read("../../docs/audit.md"), "cmd/endpoints": read("../../cmd/endpoints/main.go"), "the function's comment": code} {
		for name := range asked {
			if !regexp.MustCompile(name + `\b`).MatchString(text) {
				t.Errorf("%s does not have %s", where, name)
			}
		}
	}
}
