package audit

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

// fullDisk is a store whose disk is full.
type fullDisk struct{ store.Store }

func (fullDisk) Add(context.Context, []*store.Event) error {
	return errors.New("storing events: database or disk is full")
}
func (fullDisk) Close() error { return nil }

func TestStorageTroubleIs503(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := newWithStore(Config{Log: slog.New(slog.NewTextHandler(&log, nil))}, fullDisk{}, time.Now)
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
}
