package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// aReview is a review of aPod.
func aReview(uid string) string {
	return "apiVersion: admission.k8s.io/v1\nkind: AdmissionReview\nrequest: {uid: " + uid + ", operation: CREATE, resource: {version: v1, resource: pods}, namespace: a, object: " + strings.TrimSpace(aPod) + "}\n"
}

func asJSON(t *testing.T, text string) string {
	t.Helper()
	out, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

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
	secure := httptest.NewUnstartedServer(answers(200, "application/json", `[{"op":"add","path":"/metadata/annotations/a","value":"b"}]`))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	dir := t.TempDir()
	write(t, dir, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	for name, text := range map[string]string{"pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: mine}\nspec: {containers: [{name: a, image: a}]}\n", "other.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n", "broken.yaml": "a: [b",
		"all.yaml":     "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n---\n" + aPod,
		"reviews.yaml": aReview("a") + "---\n" + aReview("b"), "mixed.yaml": aPod + "---\n" + aReview("a") + "--- # only a comment\n", "cat.json": `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}` + "\n" + `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"b"}}` + "\n",
		"cat.review.json": asJSON(t, aReview("a")) + "\n" + asJSON(t, aReview("b")), "list.yaml": aPod + "---\napiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(aReview("a"), "\n", "\n  ") + "\n",
		"review.yaml": aReview("a")} {
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
		"conform --endpoint GOOD -f DIR/reviews.yaml":                    {0, "23 Pods of all shapes", ""},
		"conform --endpoint GOOD -f DIR/mixed.yaml":                      {0, "23 Pods of all shapes", ""},
		"conform --endpoint GOOD -f DIR/list.yaml":                       {0, "22 Pods of all shapes", "list.yaml, AdmissionReview : skipped, it creates no Pod"},
		"conform --endpoint GOOD -f DIR/cat.review.json":                 {2, "", "behind the first object there is more"},
		"conform --endpoint GOOD -f DIR/cat.json":                        {2, "", "behind the first object there is more"},
		"conform --endpoint GOOD -f DIR/review.yaml -f DIR/pod.yaml":     {0, "23 Pods of all shapes", ""},
		"conform --endpoint GOOD --endpoint BAD":                         {2, "", "--endpoint: it is given 2 times, and this command asks one endpoint"},
		"bench --endpoint GOOD --endpoint BAD":                           {2, "", "--endpoint: it is given 2 times, and this command asks one endpoint"},
		"conform --endpoint TLS":                                         {2, "", "an authority that amp does not know: name the file with its CA: --ca FILE (amp in a cluster: AMP_ENDPOINT_CA)"},
		"bench --endpoint TLS":                                           {2, "", "an authority that amp does not know: name the file with its CA: --ca FILE (amp in a cluster: AMP_ENDPOINT_CA)"},
		"conform --endpoint TLS --ca DIR/ca.pem":                         {0, "idempotent", ""},
		"bench --endpoint TLS --ca DIR/ca.pem --requests 3":              {0, "3 requests in", ""},
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
			fields := strings.Fields(strings.NewReplacer("GOOD", good, "BAD", bad, "TLS", secure.URL+"/?token=secret", "DIR", dir).Replace(args))
			if !strings.Contains(want.out, "1500 ms") {
				fields = slices.Insert(fields, 1, "--timeout", patience)
			}
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

// TestAllFiles: bench sends the Pods of all -f, and no others; conform sends them, too.
func TestAllFiles(t *testing.T) {
	var mu sync.Mutex
	var subjects map[string]bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		subjects[r.Header.Get("Ce-Subject")] = true
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	a, b := write(t, dir, "a.yaml", strings.ReplaceAll(aPod, "web", "one")+"---\n"+aReview("a")), write(t, dir, "b.yaml", strings.ReplaceAll(aPod, "web", "two"))
	for name, c := range map[string]struct {
		args []string
		more bool
	}{
		"bench":   {[]string{"bench", "-f", a, "-f", b, "--requests", "9"}, false},
		"conform": {[]string{"conform", "-f", a, "-f", b}, true},
	} {
		t.Run(name, func(t *testing.T) {
			subjects = map[string]bool{}
			var out, errs bytes.Buffer
			if code := run(t.Context(), append(c.args, "--endpoint", server.URL, "--timeout", patience), &out, &errs); code != 0 || errs.Len() > 0 {
				t.Errorf("exit code %d, stderr %s", code, errs.String())
			}
			if !subjects["team-a/one"] || !subjects["a/web"] || !subjects["team-a/two"] || (len(subjects) > 3) != c.more {
				t.Errorf("it sent %v", subjects)
			}
		})
	}
}

// TestAnInterruptKeepsWhatIsKnown: conform and bench show what they know by then.
func TestAnInterruptKeepsWhatIsKnown(t *testing.T) {
	for args, want := range map[string]string{
		"conform": "note: interrupted after 1 of 21 Pods", "conform -o json": `"note": "interrupted after 1 of 21 Pods"`,
		"bench --concurrency 1": "requests in", "bench --concurrency 1 -o json": `"requests": `,
	} {
		t.Run(args, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var mu sync.Mutex
			n := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				if n++; n == 5 {
					interrupt()
				}
				answers(200, "application/json", `[{"op":"add","path":"/metadata/annotations/a","value":"b"}]`)(w, r)
			}))
			t.Cleanup(server.Close)
			var out, errs bytes.Buffer
			code := run(ctx, append(strings.Fields(args), "--endpoint", server.URL, "--timeout", patience), &out, &errs)
			if code != 2 || !strings.Contains(out.String(), want) || !strings.HasSuffix(errs.String(), ": interrupted\n") {
				t.Errorf("exit code %d, stdout %s, stderr %s", code, out.String(), errs.String())
			}
		})
	}
}
