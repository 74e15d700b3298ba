package move_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/txn2/amp/endpoints/audit/move"
)

const event = `{"specversion":"1.0","id":"1","source":"s","type":"t"}` + "\n"

// TestAnImportFollowsNoRedirect: a redirect makes a GET of a POST, which the page answers with 200, and nothing is stored.
func TestAnImportFollowsNoRedirect(t *testing.T) {
	for name, status := range map[string]int{"moved": 301, "found": 302, "see other": 303, "temporary": 307, "permanent": 308} {
		t.Run(name, func(t *testing.T) {
			followed := false
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if followed = r.URL.Path == "/other/"; !followed {
					http.Redirect(w, r, "/other/", status)
				}
			}))
			defer server.Close()
			f := &move.Function{URL: server.URL, Token: "hush"}
			p, err := f.Import(t.Context(), strings.NewReader(event), nil)
			if err == nil || p.Events > 0 || followed {
				t.Errorf("%d events imported, %v; followed: %v", p.Events, err, followed)
			}
			if _, err = f.Export(t.Context(), "", new(bytes.Buffer)); err == nil || followed {
				t.Errorf("exported, %v; followed: %v", err, followed)
			}
		})
	}
}

// TestAnImportNeedsTheAnswerOfTheFunction: another server that answers 200 to everything has stored nothing.
func TestAnImportNeedsTheAnswerOfTheFunction(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	if p, err := (&move.Function{URL: server.URL}).Import(t.Context(), strings.NewReader(event), nil); err == nil || p.Events > 0 {
		t.Errorf("%d events imported, %v", p.Events, err)
	}
}

// TestAPositionIsPlain: it is printed for people to copy it into a shell.
func TestAPositionIsPlain(t *testing.T) {
	for _, position := range []string{`\u001b[2Jx-1`, `x-1; rm -rf ~`, `$(id)`, strings.Repeat("x", 1000)} {
		line := `{"position":"` + position + `","event":` + strings.TrimSpace(event) + "}\n"
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			_, _ = w.Write([]byte(line))
		}))
		f := &move.Function{URL: server.URL}
		if p, err := f.Export(t.Context(), "", new(bytes.Buffer)); err == nil || p.Position != "" {
			t.Errorf("exported up to %q, %v", p.Position, err)
		}
		if p, err := f.Import(t.Context(), strings.NewReader(line), nil); err != nil || p.Position != "" {
			t.Errorf("imported up to %q, %v", p.Position, err)
		}
		server.Close()
	}
}
