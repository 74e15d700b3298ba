package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const aPod = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: team-a}, spec: {containers: [{name: a, image: 'registry.example/a:1'}]}}\n"

// patience is a --timeout that no test waits for.
const patience = "20s" // other tests run beside it

// answers returns a handler that always answers the same.
func answers(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		if status == http.StatusMovedPermanently {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// faults are wrong endpoints, each with a part of the message by which try and test name the fault.
var faults = map[string]struct {
	handler http.HandlerFunc
	named   []string // parts of the message: cause and remedy
}{
	"not JSON":               {answers(200, "application/json", "[{'op': 'add'}]"), []string{"json.dumps"}},
	"an HTML page":           {answers(200, "text/html", "<html><title>Login</title></html>"), []string{"Login"}},
	"an empty answer":        {answers(200, "application/json", ""), []string{"empty", "204"}},
	"an object of no form":   {answers(200, "application/json", `{"result": "ok"}`), []string{"allowed"}},
	"Allowed":                {answers(200, "application/json", `{"Allowed": true}`), []string{"allowed"}},
	"a whole Pod":            {answers(200, "application/json", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"}}`), []string{"Pod"}},
	"an AdmissionReview":     {answers(200, "application/json", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"allowed":true}}`), []string{"AdmissionReview"}},
	"too large":              {answers(200, "application/json", "["+strings.Repeat(" ", 1<<20)+"]"), []string{"more than 1048576 bytes", "AMP_ENDPOINT_MAX_BYTES"}},
	"an error":               {answers(500, "text/plain", "no database"), []string{"500", "no database"}},
	"a redirect":             {answers(301, "text/plain", ""), []string{"301", "redirect"}},
	"not UTF-8":              {answers(200, "application/json", "[\"\xff\"]"), []string{"UTF-8"}},
	"an op that is unknown":  {answers(200, "application/json", `[{"op":"merge","path":"/metadata"}]`), []string{"op 1", "merge"}},
	"a path that is unknown": {answers(200, "application/json", `[{"op":"remove","path":"/spec/containers/9"}]`), []string{`op 1 (remove "/spec/containers/9")`, "the Pod has 1 container"}},
	"a path that is denied":  {answers(200, "application/json", `[{"op":"add","path":"/spec/hostNetwork","value":true}]`), []string{"/spec/hostNetwork", "AMP_PATCH_DENY"}},
	"a bad quantity":         {answers(200, "application/json", `[{"op":"add","path":"/spec/containers/0/resources/limits/memory","value":"1Gb"}]`), []string{"1Gi"}},
	"another name":           {answers(200, "application/json", `[{"op":"replace","path":"/metadata/name","value":"x"}]`), []string{"name"}},
	"two containers alike":   {answers(200, "application/json", `[{"op":"add","path":"/spec/containers/-","value":{"name":"a","image":"b"}}]`), []string{"op 1", `"a"`}},
	"it closes": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		[]string{"the connection was closed before an answer", "did its handler crash"}},
	"it hangs": {func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}, []string{"no answer within", "AMP_TIMEOUT"}},
	"half an answer": {func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "[")
	}, []string{"in the middle of the answer"}},
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestEachFaultIsNamed: try and test find each wrong endpoint, and say what is wrong as the Pod's creator would read it.
func TestEachFaultIsNamed(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(fault.handler)
			t.Cleanup(server.Close)
			dir := t.TempDir()
			pod := write(t, dir, "pod.yaml", aPod)
			suite := write(t, dir, "suite.yaml", "cases:\n- name: it works\n  file: pod.yaml\n  expect: {unchanged: true}\n")
			timeout := patience
			if name == "it hangs" {
				timeout = "2s"
			}
			for _, args := range [][]string{
				{"try", "-f", pod, "--endpoint", server.URL, "--timeout", timeout},
				{"test", suite, "--endpoint", server.URL, "--timeout", timeout},
			} {
				var out, errs bytes.Buffer
				if code := run(t.Context(), args, &out, &errs); code != 1 {
					t.Errorf("%s: exit code %d, %s", args[0], code, errs.String())
				}
				for _, part := range append(fault.named, `Error from server (InternalError): admission webhook "fail.amp.txn2.com" denied the request: amp: endpoint `+server.URL+`: `) {
					if !strings.Contains(out.String(), part) {
						t.Errorf("%s: no %q in\n%s", args[0], part, out.String())
					}
				}
			}
		})
	}
}
