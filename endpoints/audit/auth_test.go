package audit

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, token string) string {
		if err := os.WriteFile(dir+"/"+name, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir + "/" + name
	}
	reading, writing := write("read", "r3ad\n"), write("write", "wr1te")
	var passed atomic.Int64
	s := newServerAt(t, Config{ReadTokenFile: reading, WriteTokenFile: writing}, func() time.Time { return start.Add(time.Duration(passed.Load())) })
	body := ev{id: "a"}.json(t)
	status := func(method, target, bearer string) int {
		h := map[string]string{"Content-Type": structured}
		if bearer != "" {
			h["Authorization"] = bearer
		}
		return do(t, s, method, target, h, body).Code
	}
	for name, tc := range map[string]struct {
		method, target, bearer string
		want                   int
	}{
		"reading without":                {"GET", "/api/events", "", 401},
		"reading with":                   {"GET", "/api/events", "Bearer r3ad", 200},
		"reading with it in lower case":  {"GET", "/api/events", "bearer r3ad", 200},
		"reading with the other one":     {"GET", "/api/events", "Bearer wr1te", 401},
		"reading by Basic":               {"GET", "/api/events", "Basic r3ad", 401},
		"reading with nothing behind it": {"GET", "/api/events", "Bearer ", 401},
		"one event without":              {"GET", "/api/events/a", "", 401},
		"the stream without":             {"GET", "/api/events/stream", "", 401},
		"the charts without":             {"GET", "/api/stats", "", 401},
		"values without":                 {"GET", "/api/values", "", 401},
		"the export without":             {"GET", "/api/events?format=ndjson", "", 401},
		"the page, which holds nothing":  {"GET", "/", "", 200},
		"posting without":                {"POST", "/", "", 401},
		"posting with":                   {"POST", "/", "Bearer wr1te", 204},
		"posting with the other one":     {"POST", "/", "Bearer r3ad", 401},
	} {
		t.Run(name, func(t *testing.T) {
			if got := status(tc.method, tc.target, tc.bearer); got != tc.want {
				t.Errorf("%d, want %d", got, tc.want)
			}
		})
	}

	login := func(token string, h map[string]string) *httptest.ResponseRecorder {
		header := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
		for k, v := range h {
			header[k] = v
		}
		return do(t, s, "POST", "/audit/login", header, []byte(url.Values{"token": {token}}.Encode()))
	}
	if w := login("r3a", nil); w.Code != http.StatusUnauthorized || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("with a wrong token: %d %v", w.Code, w.Header())
	}
	if w := login("r3ad", map[string]string{"Sec-Fetch-Site": "cross-site"}); w.Code != http.StatusForbidden {
		t.Errorf("from another site: %d", w.Code)
	}
	w := login("r3ad", map[string]string{"X-Forwarded-Proto": "https"})
	set := w.Header().Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Secure"} {
		if !strings.Contains(set, want) {
			t.Errorf("the cookie %q is not %s", set, want)
		}
	}
	if strings.Contains(set, "r3ad") {
		t.Error("the cookie holds the token")
	}
	cookie, _, _ := strings.Cut(set, ";")
	with := func(cookie string) int {
		return do(t, s, "GET", "/api/events", map[string]string{"Cookie": cookie}, nil).Code
	}
	if with(cookie) != 200 || with(cookie+"0") != 401 || with("amp_audit=99999999999."+strings.Repeat("0", 64)) != 401 {
		t.Error("the cookie is not taken, or a forged one is")
	}
	if got := do(t, s, "POST", "/", map[string]string{"Cookie": cookie, "Content-Type": structured}, body).Code; got != 401 {
		t.Errorf("the cookie lets one post: %d", got)
	}
	passed.Store(int64(session + time.Second))
	if with(cookie) != 401 {
		t.Error("the cookie outlives its session")
	}
	passed.Store(0)

	// Rotated, the old ones end, cookie included.
	write("read", "another")
	if status("GET", "/api/events", "Bearer r3ad") != 401 || status("GET", "/api/events", "Bearer another") != 200 || with(cookie) != 401 {
		t.Error("a rotated token is not read again")
	}
	// A file that has gone or is empty opens nothing.
	write("read", " \n")
	if got := status("GET", "/api/events", "Bearer "); got != 503 {
		t.Errorf("an empty file: %d", got)
	}
	if err := os.Remove(writing); err != nil {
		t.Fatal(err)
	}
	if got := status("POST", "/", "Bearer wr1te"); got != 503 {
		t.Errorf("no file: %d", got)
	}
	if _, err := New(Config{ReadTokenFile: reading}); err == nil || !strings.Contains(err.Error(), "the file is empty") {
		t.Errorf("starting with it: %v", err)
	}
}
