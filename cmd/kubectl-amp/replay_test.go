package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/txn2/amp/endpoints/audit"
)

// event is one of level Full, as amp prints it: the endpoint added the label team.
const event = `{"specversion":"1.0","id":"a1","source":"https://amp.txn2.com/proxy","type":"com.txn2.amp.pod.mutated.v1","subject":"team-a/web",` +
	`"time":"2026-11-23T06:37:00.241060695Z","datacontenttype":"application/json","namespace":"team-a","outcome":"mutated","data":{"uid":"a1","level":"Full",` +
	`"namespace":"team-a","pod":{"name":"web"},"user":"jane","operation":"mutate","outcome":"mutated","failurePolicy":"Fail",` +
	`"endpoints":[{"url":"http://hook/","status":200,"durationMs":1,"ops":2}],"durationMs":2,` +
	`"patch":[{"step":1,"op":"add","path":"/metadata/labels","value":{}},{"step":1,"op":"add","path":"/metadata/labels/team","value":"red"},` +
	`{"step":0,"op":"add","path":"/metadata/annotations","value":{}},{"step":0,"op":"add","path":"/metadata/annotations/amp.txn2.com~1event","value":"a1"}],` +
	`"object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"team-a"},"spec":{"containers":[{"name":"a","image":"b","env":[{"name":"T","value":"hush"}]}]}}}}`

// TestReplay runs replay as a shell does.
func TestReplay(t *testing.T) {
	answer := func(body string) string {
		server := httptest.NewServer(answers(200, "application/json", body))
		t.Cleanup(server.Close)
		return server.URL + "/?token=geheim"
	}
	s, err := audit.New(audit.Config{Retention: audit.Forever, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	auditor := httptest.NewServer(s)
	t.Cleanup(auditor.Close)
	resp, err := http.Post(auditor.URL, "application/cloudevents+json", strings.NewReader(event))
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatal(err, resp)
	}
	_ = resp.Body.Close()

	dir := t.TempDir()
	replace := strings.NewReplacer("SAME", answer(`[{"op":"add","path":"/metadata/labels/team","value":"red"}]`), "OTHER", answer(`[{"op":"add","path":"/metadata/labels/team","value":"blue"}]`),
		"SECRET", answer(`[{"op":"add","path":"/metadata/labels/team","value":"red"},{"op":"replace","path":"/spec/containers/0/env/0/value","value":"psst"}]`),
		"DENIES", answer(`{"allowed":false,"status":{"message":"no GPUs left"}}`), "FAILS", answer(`{"oops":1}`),
		"FILE", write(t, dir, "events.ndjson", event+"\n"), "PATCH", write(t, dir, "patch.ndjson", strings.Replace(event, `"Full"`, `"Patch"`, 1)),
		"MORE", write(t, dir, "more.json", "["+strings.ReplaceAll(event, "a1", "b1")+",7]"), "BROKEN", write(t, dir, "broken.json", "["+event), "OTHERHOST", strings.Replace(auditor.URL, "127.0.0.1", "localhost", 1),
		"EMPTY", write(t, dir, "empty", ""), "TEXT", write(t, dir, "text", "hello\n"), "AUDIT", auditor.URL)
	for args, test := range map[string]struct {
		code      int
		out, errs string // parts
	}{
		"--help":                                                           {0, "exit codes:", ""},
		"--events FILE --endpoint SAME":                                    {0, "1 Pod of 1 recorded event was replayed", "127.0.0.1 is loopback: amp in a cluster does not call it"},
		"--events - --endpoint SAME":                                       {0, "       1  would be the same", ""},
		"--events FILE --events MORE --endpoint SAME":                      {0, "2 Pods of 3 recorded events were replayed", ""},
		"--events MORE --events FILE --endpoint SAME":                      {0, "more.json, event 2\n", ""},
		"--events FILE --events - --events AUDIT --endpoint SAME":          {0, "       2  it is the same event once more\n", ""},
		"--events FILE --events BROKEN --endpoint SAME":                    {2, "1 Pod of 2 recorded events was replayed", "broken.json: the array of events does not end"},
		"--events FILE --events /none --endpoint SAME":                     {2, "", "no such file"},
		"--events - --events - --endpoint SAME":                            {2, "", "--events - is there 2 times, and stdin can be read once"},
		"--events FILE --events= --endpoint SAME":                          {2, "", "--events is missing"},
		"--events AUDIT --events OTHERHOST --token-file x --endpoint SAME": {2, "", "--token-file is for one audit function, and --events names several"},
		"--events FILE --events AUDIT --token-file x --endpoint SAME":      {2, "", "--events: --token-file: "},
		"--events AUDIT --endpoint SAME":                                   {0, "       1  would be the same", ""},
		"--events AUDIT/?user=jane --endpoint SAME":                        {0, "       1  would be the same", ""},
		"--events AUDIT/?user=joe --endpoint SAME":                         {2, "", "there is nothing to replay: the source has no events"},
		"--events AUDIT/?usr=joe --endpoint SAME":                          {2, "", `answered 400 Bad Request: unknown parameter "usr"`},
		"--events FILE --endpoint OTHER": {1, "DIFFERS\n       1  /metadata/labels/team: another value\n          - team-a/web (event a1)\n" +
			`              /metadata/labels/team: "red" then, "blue" now` + "\n", ""},
		"--events FILE --endpoint SECRET":                {1, `/spec/containers/a/env/T/value: "[redacted]" then, "[redacted]" now`, ""},
		"--events FILE --endpoint SECRET --show-values":  {1, `/spec/containers/a/env/T/value: "hush" then, "psst" now`, ""},
		"--events FILE --endpoint DENIES":                {1, "NEWLY DENIED\n       1  no GPUs left\n", ""},
		"--events FILE --endpoint FAILS":                 {1, "NEWLY FAILS\n       1  amp: endpoint http://127.0.0.1:", ""},
		"--events FILE --endpoint SAME --endpoint OTHER": {1, `"red" then, "blue" now`, ""},
		"--events PATCH --endpoint SAME":                 {2, "its level is below Full", "there is nothing to replay: of 1 events, none holds a Pod that can be asked about"},
		"--events EMPTY --endpoint SAME":                 {2, "", "the source has no events"},
		"--events TEXT --endpoint SAME":                  {2, "it is not JSON, or not an event of amp\n          - line 1\n", "there is nothing to replay"},
		"--events FILE --endpoint http://127.0.0.1:1":    {2, "", "the endpoint does not answer: amp: endpoint http://127.0.0.1:1: connection refused"},
		"--events /none --endpoint SAME":                 {2, "", "no such file"},
		"--events http://127.0.0.1:1/ --endpoint SAME":   {2, "", "the audit function at http://127.0.0.1:1/ cannot be asked"},
		"--events FILE":                                  {2, "", "--endpoint is missing"},
		"--endpoint SAME":                                {2, "", "--events is missing"},
		"--events FILE --endpoint ftp://x":               {2, "", "endpoint: URL 1 of 1"},
		"--events FILE --endpoint SAME --parallel 0":     {2, "", "--parallel 0: allowed are 1 to 64"},
		"--events FILE --endpoint SAME --limit -1":       {2, "", "--limit -1: allowed is"},
		"--events FILE --endpoint SAME --timeout 0s":     {2, "", "allowed is a positive duration"},
		"--events FILE --endpoint SAME --token-file x":   {2, "", "--token-file is for the audit function"},
		"--events AUDIT --endpoint SAME --token-file x":  {2, "", "--events: --token-file: "},
		"--events FILE --endpoint SAME --ca /none":       {2, "", "--ca: "},
		"--events FILE --endpoint SAME -o xml":           {2, "", "allowed are text and json"},
	} {
		t.Run(args, func(t *testing.T) {
			stdin, err := os.Open(dir + "/events.ndjson")
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			defer func(before *os.File) { os.Stdin = before }(os.Stdin)
			os.Stdin = stdin
			fields := append([]string{"replay", "--timeout", patience}, strings.Fields(replace.Replace(args))...)
			var out, errs bytes.Buffer
			code := run(t.Context(), fields, &out, &errs)
			if code != test.code || !strings.Contains(out.String(), test.out) || !strings.Contains(errs.String(), test.errs) || strings.Contains(out.String()+errs.String(), "geheim") {
				t.Errorf("exit code %d, stdout\n%s\nstderr %s", code, out.String(), errs.String())
			}
			if strings.Contains(out.String()+errs.String(), "\r") {
				t.Error("it shows the progress, and this is not a terminal")
			}
			if code != 2 && args != "--help" && !strings.Contains(args, "--events -") {
				out.Reset()
				if again := run(t.Context(), append(fields, "-o", "json"), &out, &errs); again != code || !json.Valid(out.Bytes()) {
					t.Errorf("with -o json: exit code %d, stdout %s", again, out.String())
				}
			}
		})
	}
}
