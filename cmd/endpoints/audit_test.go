package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/txn2/amp/endpoints/audit"
)

const eventToMove = `{"specversion":"1.0","id":"a","source":"urn:x","type":"com.txn2.amp.pod.unchanged.v1","time":"2026-11-01T10:00:00Z","data":{"outcome":"unchanged","namespace":"team","pod":{"name":"web"}}}`

// TestMoveByCommand moves an event by a file, from a database to a running function and on to another database.
func TestMoveByCommand(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	held := filepath.Join(dir, "running.db")
	running, err := audit.New(audit.Config{Path: held, Retention: audit.Forever, ReadTokenFile: token, WriteTokenFile: token})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	server := httptest.NewServer(running)
	defer server.Close()

	var moved string // the output of the last command
	call := func(stdin string, want int, says string, args ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		if code := moveEvents(t.Context(), args, strings.NewReader(stdin), &out, &errs); code != want || !regexp.MustCompile(says).MatchString(errs.String()) {
			t.Errorf("%v: %d %s, want %d %s", args, code, &errs, want, says)
		}
		moved = out.String()
	}
	first, last := filepath.Join(dir, "first.db"), filepath.Join(dir, "last.db")
	call(eventToMove, 0, `^endpoints audit: 1 events imported\n$`, "import", first)
	call("", 0, `1 events exported; the last position is \S+-1: export --after \S+-1 goes on behind it`, "export", first)
	call(moved, 0, `1 events imported; the last position is \S+-1`, "import", "--token-file", token, server.URL)
	call("", 0, `1 events exported`, "export", "--token-file="+token, server.URL)
	call(moved, 0, `1 events imported`, "import", last)
	call(moved, 0, `0 events imported`, "import", last)
	call("", 0, `1 events exported`, "export", last)
	if !strings.Contains(moved, `"event":`+eventToMove[:40]) {
		t.Errorf("at last: %s", moved)
	}

	call("", 1, `another process uses it.*at its address`, "export", held)
	call("", 1, `no such file`, "export", filepath.Join(dir, "nowhere.db"))
	if _, err := os.Stat(filepath.Join(dir, "nowhere.db")); err == nil {
		t.Error("an export has made a database")
	}
	call("", 1, `answers 401: reading needs a token`, "export", server.URL)
	// It is noticed before a connection is made.
	call("", 1, `the token goes over http to private addresses and loopback only: use https`, "export", "--patience", "0", "--token-file", token, "http://192.0.2.1:1/")
	call("", 1, `--token-file: open`, "export", "--token-file", filepath.Join(dir, "none"), server.URL)
	call("", 1, `"nonsense" is not a position in this database`, "export", "--after", "nonsense", first)
	call("", 2, `want export or import, see endpoints audit --help`, "exprot")
	call("", 2, `export wants one address, file or database, not 0`, "export")
	call("", 2, `flag provided but not defined: -after`, "import", "--after", "x", first)
	call("", 0, `^$`, "export", "--help")
	if moved != auditUsage {
		t.Errorf("help: %s", moved)
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "amp-audit-*", "socket"))
	if err != nil || len(left) > 0 {
		t.Errorf("sockets are left: %v %v", left, err)
	}
}

func TestAMoveEndsWhenItIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	if code := moveEvents(ctx, []string{"export", "http://127.0.0.1:1"}, strings.NewReader(""), &out, &errs); code != 1 {
		t.Errorf("%d %s", code, &errs)
	}
}
