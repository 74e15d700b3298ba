package replay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit"
	"github.com/txn2/amp/internal/replay"
	"github.com/txn2/amp/internal/review"
)

// auditor serves an audit function with events. front is in front of it; it may be nil.
func auditor(t *testing.T, config audit.Config, front func(w http.ResponseWriter, r *http.Request, next http.Handler), events ...string) string {
	t.Helper()
	config.Log = slog.New(slog.DiscardHandler)
	s, err := audit.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	post(t, s, events...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if front != nil {
			front(w, r, s)
			return
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// post stores events.
func post(t *testing.T, s http.Handler, events ...string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("["+strings.Join(events, ",")+"]"))
	r.Header.Set("Content-Type", "application/cloudevents-batch+json")
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != http.StatusNoContent {
		t.Fatalf("posting: %d %s", w.Code, w.Body)
	}
}

// many are copies of an event with other ids, a second apart; the last is a minute old.
func many(t *testing.T, event string, n int) []string {
	t.Helper()
	events := make([]string, n)
	for i := range events {
		events[i] = edit(t, event, map[string]any{"id": fmt.Sprintf("e%04d", i), "time": time.Now().Add(-time.Minute - time.Duration(n-i)*time.Second).UTC().Format(time.RFC3339Nano)})
	}
	return events
}

func newAudit(t *testing.T, config replay.AuditConfig) replay.Source {
	t.Helper()
	source, err := replay.NewAudit(config)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// TestAudit: the events of the audit function are replayed page by page, by the filters in the address.
func TestAudit(t *testing.T) {
	u, _ := endpoint{}.serve(t)
	event := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": u}, aPod("web", ""))[0]
	events := many(t, event, 450)
	for i := range 50 {
		events[i] = edit(t, events[i], map[string]any{"data.namespace": "team-b"})
	}
	var e0411 struct{ Time string }
	if err := json.Unmarshal([]byte(events[411]), &e0411); err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int64
	at := auditor(t, audit.Config{}, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		requests.Add(1)
		http.StripPrefix("/audit", next).ServeHTTP(w, r)
	}, events...)
	for address, want := range map[string]int{
		"/audit/":                                       450,
		"/audit":                                        450,
		"/audit/index.html":                             450,
		"/audit/api/events":                             450,
		"/audit/api/events?format=ndjson":               450,
		"/audit/?namespace=team-b":                      50,
		"/audit/?namespace=team-a&from=2h":              400,
		"/audit/?outcome=denied,rejected":               0,
		"/audit/?event=e0001&source=x&to=" + e0411.Time: 411,
	} {
		report, err := ask(t, newAudit(t, replay.AuditConfig{URL: at + address}), nil, u)
		if err != nil || report.Pods[replay.Same] != want || report.Events != want {
			t.Errorf("%s: %v: %+v", address, err, report)
		}
	}
	requests.Store(0)
	if _, err := ask(t, newAudit(t, replay.AuditConfig{URL: at + "/audit/"}), nil, u); err != nil || requests.Load() != 6 {
		t.Errorf("%v: %d requests for three pages", err, requests.Load())
	}
}

// TestAuditWhileEventsArrive: an event that arrives between two questions moves no other one out of the answer.
func TestAuditWhileEventsArrive(t *testing.T) {
	u, _ := endpoint{}.serve(t)
	event := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": u}, aPod("web", ""))[0]
	n := 0
	at := auditor(t, audit.Config{}, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Query().Get("format") == "ndjson" {
			n++ // one of now, and one that was late
			post(t, next, edit(t, event, map[string]any{"id": fmt.Sprintf("new%d", n), "time": time.Now().UTC().Format(time.RFC3339Nano)}),
				edit(t, event, map[string]any{"id": fmt.Sprintf("late%d", n), "time": time.Now().Add(-70 * time.Second).UTC().Format(time.RFC3339Nano)}))
		}
		next.ServeHTTP(w, r)
	}, many(t, event, 450)...)
	ids := map[string]int{}
	source := newAudit(t, replay.AuditConfig{URL: at})
	for {
		next, err := source.Next(t.Context())
		if err != nil {
			break
		}
		var e struct{ ID string }
		if err := json.Unmarshal(next.JSON, &e); err != nil {
			t.Fatal(err)
		}
		ids[e.ID]++
	}
	for i := range 450 {
		if id := fmt.Sprintf("e%04d", i); ids[id] != 1 {
			t.Errorf("%s came %d times", id, ids[id])
		}
	}
	if ids["new1"] > 0 || ids["new2"] > 0 {
		t.Error("what arrived after the question was part of the answer")
	}
}

// TestAuditSuperseded: the audit function knows of a final verdict that the filter leaves out.
func TestAuditSuperseded(t *testing.T) {
	u, _ := endpoint{}.serve(t)
	event := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": u}, aPod("web", ""))[0]
	final := edit(t, event, map[string]any{"id": "uid-0000/final", "type": "com.txn2.amp.pod.rejected.v1", "outcome": "rejected", "data.outcome": "rejected", "data.patch": nil, "data.message": "amp: late"})
	at := auditor(t, audit.Config{}, nil, event, final)
	report, err := ask(t, newAudit(t, replay.AuditConfig{URL: at + "/?outcome=mutated"}), nil, u)
	if err != nil || report.Events != 1 || len(report.Left) != 1 || report.Left[0].Kind != string(replay.LeftSuperseded) {
		t.Errorf("%v: %+v", err, report)
	}
}

// TestAuditWhileEventsGo: what moves up into a page whose list did not have it is left to its own page, which knows whether it is
// superseded.
func TestAuditWhileEventsGo(t *testing.T) {
	u, _ := endpoint{}.serve(t)
	event := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": u}, aPod("web", ""))[0]
	older := edit(t, event, map[string]any{"id": "older"})
	item := func(id string, superseded bool) string {
		return fmt.Sprintf(`{"id":%q,"source":"https://amp.example/a","time":"2026-11-23T06:37:00Z","superseded":%t}`, id, superseded)
	}
	answers := map[string]string{
		"":        `{"items":[` + item("gone", false) + `,` + item("uid-0000", false) + `],"next":"2"}`,
		" ndjson": event + "\n" + older + "\n", // the other is gone since the list
		"2":       `{"items":[` + item("older", true) + `]}`, "2 ndjson": older + "\n",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		answer, ok := answers[strings.TrimRight(q.Get("cursor")+" "+q.Get("format"), " ")]
		if !ok || !strings.HasSuffix(r.URL.Path, "/api/events") {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	report, err := ask(t, newAudit(t, replay.AuditConfig{URL: server.URL}), func(config *replay.Config) { config.Parallel = 1 }, u)
	if err != nil || report.Events != 2 || report.Replayed != 1 || len(report.Left) != 1 || report.Left[0].Kind != string(replay.LeftSuperseded) {
		t.Errorf("%v: %+v", err, report)
	}
}

// TestAuditSaysWhatIsWrong: each answer that is none is named, with what to do.
func TestAuditSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	u, _ := endpoint{}.serve(t)
	event := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": u}, aPod("web", ""))[0]
	token := file("token", "geheim\n")
	at := auditor(t, audit.Config{ReadTokenFile: token}, nil, event)
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	t.Cleanup(page.Close)
	moved := httptest.NewServer(http.RedirectHandler(at, http.StatusFound))
	t.Cleanup(moved.Close)
	circle := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"items":[],"next":"c"}`)) }))
	t.Cleanup(circle.Close)
	for name, c := range map[string]struct{ url, token, err string }{
		"a page that leads to itself": {circle.URL, "", "names the page itself as the next one"},
		"the token":                   {at, token, ""},
		"no token":                    {at, "", "wants a token to read: name the file that holds it with --token-file"},
		"another token":               {at, file("other", "x"), "wants a token to read"},
		"an empty file":               {at, file("empty", "\n"), "--token-file: "},
		"no file":                     {at, filepath.Join(dir, "none"), "no such file"},
		"an unknown filter":           {at + "/?namespce=a", token, `unknown parameter "namespce": there are namespace, pod`},
		"a bad filter":                {at + "/?outcome=fine", token, "is not an outcome"},
		"a limit":                     {at + "/?limit=5", token, "use the flag --limit"},
		"a bad query":                 {at + "/?a=%zz", token, "the URL's query cannot be read"},
		"another server":              {other.URL, "", "answered 404 Not Found: is it the audit function's address?"},
		"a page of HTML":              {page.URL, "", "is it the audit function's address?"},
		"a redirect":                  {moved.URL, token, "answered 302 Found"},
		"nothing listens":             {"http://127.0.0.1:1", "", "cannot be asked: dial tcp 127.0.0.1:1: connect: connection refused"},
		"not a URL":                   {"http://", "", "the URL has no host"},
		"a token in clear text":       {"http://192.0.2.1:1/", token, "the token goes over http to private addresses and loopback only: use https"},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := replay.NewAudit(replay.AuditConfig{URL: c.url, TokenFile: c.token})
			if err == nil {
				var report *replay.Report
				if report, err = ask(t, source, nil, u); err == nil && report.Replayed != 1 {
					t.Errorf("%+v", report)
				}
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || err != nil && strings.Contains(err.Error(), "geheim") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestAuditIsAskedAgain: a function that has too much to do is asked again.
func TestAuditIsAskedAgain(t *testing.T) {
	u, _ := endpoint{}.serve(t)
	event := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": u}, aPod("web", ""))[0]
	var n atomic.Int64
	at := auditor(t, audit.Config{}, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	}, event)
	if report, err := ask(t, newAudit(t, replay.AuditConfig{URL: at}), nil, u); err != nil || report.Replayed != 1 {
		t.Errorf("%v: %+v", err, report)
	}
}

// TestAnExportIsAFile: what the page exports can be replayed as a file.
func TestAnExportIsAFile(t *testing.T) {
	u, _ := endpoint{}.serve(t)
	event := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": u}, aPod("web", ""))[0]
	at := auditor(t, audit.Config{}, nil, many(t, event, 20)...)
	resp, err := http.Get(at + "/api/events?format=ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var export bytes.Buffer
	if _, err := export.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if report, err := ask(t, replay.NewReader(&export), nil, u); err != nil || report.Pods[replay.Same] != 20 {
		t.Errorf("%v: %+v", err, report)
	}
}
