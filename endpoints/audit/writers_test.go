package audit

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	east = "https://east.example/amp"
	west = "urn:amp:west"
)

// TestAWriterPostsOnlyItsSources: a token is for the sources behind it, and nothing of another one's is stored.
func TestAWriterPostsOnlyItsSources(t *testing.T) { eachStore(t, checkAWriterPostsOnlyItsSources) }

func checkAWriterPostsOnlyItsSources(t *testing.T, newServer func(testing.TB, Config) *Server) {
	file := filepath.Join(t.TempDir(), "writers")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# who may post\n\none-e\t" + east + "\r\none-w " + west + "\ntwo  " + east + " " + west + "\nevery\n")
	var log bytes.Buffer
	s := newServer(t, Config{WriteTokenFile: file, Log: slog.New(slog.NewTextHandler(&log, nil))})
	send := func(token string, all ...ev) (int, string) {
		t.Helper()
		var batch [][]byte
		for _, e := range all {
			batch = append(batch, e.json(t))
		}
		w := do(t, s, "POST", "/", map[string]string{"Content-Type": batched, "Authorization": "Bearer " + token}, append(append([]byte{'['}, bytes.Join(batch, []byte(","))...), ']'))
		return w.Code, w.Body.String()
	}
	for name, tc := range map[string]struct {
		token  string
		events []ev
		want   int
		stored string
		says   []string
	}{
		"its own":                       {"one-e", []ev{{id: "1", source: east}}, 204, "1", nil},
		"one of its two":                {"two", []ev{{id: "2", source: west}}, 204, "2", nil},
		"a token for all":               {"every", []ev{{id: "3", source: "urn:new"}}, 204, "3", nil},
		"another's":                     {"one-e", []ev{{id: "4", source: west}}, 403, "", []string{`not of the source "` + west + `"`, east, "AMP_AUDIT_WRITE_TOKEN_FILE", "AMP_EVENTS_SOURCE"}},
		"another's final verdict":       {"one-w", []ev{{id: "1/final", source: east}}, 403, "", nil},
		"one that begins alike":         {"one-e", []ev{{id: "5", source: east + "/2"}}, 403, "", nil},
		"another's among its own":       {"one-e", []ev{{id: "6", source: east}, {id: "7", source: west}}, 403, "6", []string{"the other 1 of the batch are stored"}},
		"no token":                      {"", []ev{{id: "8", source: east}}, 401, "", nil},
		"a source in place of a token":  {east, []ev{{id: "9", source: east}}, 401, "", nil},
		"a comment in place of a token": {"#", []ev{{id: "9", source: east}}, 401, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			before, refused := map[string]bool{}, s.refused.Load()
			for _, i := range get[listed](t, s, "/api/events").Items {
				before[i.ID] = true
			}
			log.Reset()
			code, body := send(tc.token, tc.events...)
			if code != tc.want {
				t.Errorf("%d %s, want %d", code, body, tc.want)
			}
			var fresh []string
			for _, i := range get[listed](t, s, "/api/events").Items {
				if !before[i.ID] {
					fresh = append(fresh, i.ID)
				}
			}
			if got := strings.Join(fresh, " "); got != tc.stored {
				t.Errorf("stored: %q, want %q", got, tc.stored)
			}
			for _, want := range tc.says {
				if !strings.Contains(body, want) {
					t.Errorf("%s does not say %s", body, want)
				}
			}
			if strings.Contains(body+log.String(), "one-") {
				t.Errorf("the token is shown: %s %s", body, &log)
			}
			is403 := tc.want == http.StatusForbidden
			if (s.refused.Load() == refused+1) != is403 || strings.Contains(log.String(), "source that is not the writer's") != is403 {
				t.Errorf("%d counted, log %s", s.refused.Load()-refused, &log)
			}
		})
	}

	// A changed file counts from the next request on.
	write("one-e " + east + " " + west + "\n")
	if code, body := send("one-e", ev{id: "10", source: west}); code != http.StatusNoContent {
		t.Errorf("with the source added: %d %s", code, body)
	}
	if code, _ := send("two", ev{id: "11", source: west}); code != http.StatusUnauthorized {
		t.Errorf("with a token that was taken away: %d", code)
	}
}

func TestAWriterFileWithAMistakeOpensNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":               {"", "the file is empty"},
		"only comments":         {"# s3cret\n\n", "the file is empty"},
		"the source first":      {"a urn:x\n" + east + " s3cret\n", `line 2 begins with the address "` + east + `": put a token first`},
		"one token on two":      {"s3cret urn:a\n\ns3cret urn:b\n", "line 3 has the token of line 1: put all its sources on one line"},
		"too long for a token":  {strings.Repeat("s3cret", 4000), "line 1 is longer than 16 KiB"},
		"too large for a table": {strings.Repeat("x urn:x\n", 1<<18), "larger than 1024 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "writers")
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := New(Config{WriteTokenFile: file})
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
}
