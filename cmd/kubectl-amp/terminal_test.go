package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestAnErrorHoldsNothingThatATerminalObeys: a server chooses the words of its status.
func TestAnErrorHoldsNothingThatATerminalObeys(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 418 I am\x1b[2J a teapot\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		_ = conn.Close()
	}))
	defer server.Close()
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"replay", "--events", server.URL, "--endpoint", server.URL}, &out, &errs)
	if code != exitUsage || !strings.Contains(errs.String(), "teapot") || strings.Contains(errs.String(), "\x1b") {
		t.Errorf("exit code %d, %q", code, errs.String())
	}
}
