package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
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

// TestAResultHoldsNothingThatATerminalObeys: an endpoint chooses what it changes, and what it says. The manifests may be those
// of others, too.
func TestAResultHoldsNothingThatATerminalObeys(t *testing.T) {
	const obeyed = "\x1b\u009b\u202e\x7f"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text := strings.ReplaceAll(obeyed, "\x1b", `\u001b`)
		_, _ = io.WriteString(w, `{"warnings":["w`+text+`"],"patch":[{"op":"add","path":"/metadata/annotations/x","value":"v`+text+`"}]}`)
	}))
	defer server.Close()
	pod := filepath.Join(t.TempDir(), "pod.yaml")
	if err := os.WriteFile(pod, []byte(`{apiVersion: v1, kind: "Li\e[2Jst", metadata: {name: "w\e[2Jb"}}
---
{apiVersion: v1, kind: Pod, metadata: {name: "w\e[2Jb"}, spec: {containers: [{name: main, image: i}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: main, image: i}]}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"diff", "words", "yaml", "json", "patch"} {
		obeyed := obeyed
		if format == "yaml" { // a terminal's commands, but of the rest YAML writes what it calls printable
			obeyed = strings.ReplaceAll(obeyed, "\u202e", "")
		}
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"try", "-f", pod, "--endpoint", server.URL, "-o", format, "--timeout", patience}, &out, &errs)
		if got := out.String() + errs.String(); code != exitOK || !strings.Contains(got, "v") || strings.ContainsAny(got, obeyed) {
			t.Errorf("%s: exit code %d, %q", format, code, got)
		}
	}
}

// TestAFindingHoldsNothingThatATerminalObeys: conform shows what came, for example of an endpoint that never answers the same.
func TestAFindingHoldsNothingThatATerminalObeys(t *testing.T) {
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "[{\"op\":\"add\",\"path\":\"/metadata/annotations\",\"value\":{\"red\u009b\u202e\":\"%d\"}}]", n.Add(1))
	}))
	defer server.Close()
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"conform", "--endpoint", server.URL, "--timeout", patience}, &out, &errs)
	if got := out.String() + errs.String(); code != exitFailed || !strings.Contains(got, "red") || strings.ContainsAny(got, "\u009b\u202e") {
		t.Errorf("exit code %d, %q", code, got)
	}
}
