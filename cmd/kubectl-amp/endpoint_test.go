package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEndpointCommands runs conform and bench as a shell does, against endpoints that keep the contract or do not.
func TestEndpointCommands(t *testing.T) {
	answer := func(status int, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(server.Close)
		return server.URL + "/?token=secret"
	}
	good, bad := answer(200, `[{"op":"add","path":"/metadata/annotations/a","value":"b"}]`), answer(500, `{"error":"no database"}`)
	dir := t.TempDir()
	for name, text := range map[string]string{"pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: mine}\nspec: {containers: [{name: a, image: a}]}\n", "other.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n", "broken.yaml": "a: [b",
		"all.yaml":    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n---\n" + aPod,
		"review.yaml": "apiVersion: admission.k8s.io/v1\nkind: AdmissionReview\nrequest: {uid: a, operation: CREATE, resource: {version: v1, resource: pods}, namespace: a, object: " + strings.TrimSpace(aPod) + "}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]struct {
		code      int
		out, errs string
	}{
		"conform --help":                                                 {0, "exit codes:", ""},
		"conform --endpoint GOOD":                                        {0, "idempotent", ""},
		"conform --endpoint GOOD --only-dry-runs":                        {0, "not tried  dry-run", ""},
		"conform --endpoint GOOD -f DIR/pod.yaml":                        {0, "22 Pods of all shapes", ""},
		"conform --endpoint GOOD -f DIR/all.yaml":                        {0, "23 Pods of all shapes", ""},
		"conform --endpoint GOOD -f DIR/review.yaml":                     {0, "22 Pods of all shapes", ""},
		"conform --endpoint GOOD --validate":                             {1, "an array, as if this were a mutating review", ""},
		"conform --endpoint BAD":                                         {1, "answered 500 Internal Server Error: no database", ""},
		"conform":                                                        {2, "", "--endpoint is missing"},
		"conform --endpoint hook":                                        {2, "", "--endpoint: the URL does not begin with http:// or https://"},
		"conform --endpoint http://127.0.0.1:1":                          {2, "", "connection refused"},
		"conform --endpoint GOOD -f DIR/none":                            {2, "", "no such file"},
		"conform --endpoint GOOD -f DIR/other.yaml":                      {2, "", "Service web: it creates no Pod: expected a Pod, an object with a template, or an AdmissionReview"},
		"conform --endpoint GOOD -f DIR/broken.yaml":                     {2, "", "broken.yaml: "},
		"conform --endpoint GOOD --timeout -1s":                          {2, "", "allowed is a positive duration"},
		"conform --endpoint GOOD --max-bytes 0":                          {2, "", "allowed is a positive number"},
		"conform --endpoint GOOD --ca /none":                             {2, "", "--ca: open /none: no such file"},
		"bench --endpoint GOOD --ca /none":                               {2, "", "--ca: open /none: no such file"},
		"bench --help":                                                   {0, "exit codes:", ""},
		"bench --endpoint GOOD --requests 50":                            {0, "of a namespace's budget of 1500 ms the endpoint takes", ""},
		"bench --endpoint BAD --requests 9":                              {1, "9 calls failed (status), for example: answered 500", ""},
		"bench --endpoint GOOD --requests 9 --rate 1000 -f DIR/pod.yaml": {0, "9 requests in", ""},
		"bench --endpoint http://127.0.0.1:1":                            {2, "", "connection refused"},
		"bench":                                                          {2, "", "--endpoint is missing"},
		"bench --endpoint GOOD --concurrency 0":                          {2, "", "allowed is 1 to 1000"},
		"bench --endpoint GOOD --duration 1h":                            {2, "", "at most 10m0s"},
		"bench --endpoint GOOD --requests -1":                            {2, "", "allowed is 1 to"},
		"bench --endpoint GOOD --rate NaN":                               {2, "", "allowed is 0.001 to 1000000"},
	} {
		t.Run(args, func(t *testing.T) {
			fields := strings.Fields(strings.NewReplacer("GOOD", good, "BAD", bad, "DIR", dir).Replace(args))
			var out, errs bytes.Buffer
			code := run(t.Context(), fields, &out, &errs)
			if code != want.code || !strings.Contains(out.String(), want.out) || !strings.Contains(errs.String(), want.errs) || strings.Contains(out.String()+errs.String(), "secret") {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, out.String(), errs.String())
			}
			if code != 2 && !strings.Contains(args, "--help") {
				out.Reset()
				if again := run(t.Context(), append(fields, "-o", "json"), &out, &errs); again != code || !json.Valid(out.Bytes()) {
					t.Errorf("with -o json: exit code %d, stdout %q", again, out.String())
				}
			}
		})
	}
}
