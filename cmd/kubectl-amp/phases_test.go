package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// TestAFailureIsNoPass: a case passes only if its endpoints answered, or if it says that it expects a failure.
func TestAFailureIsNoPass(t *testing.T) {
	var urls []string
	for name, handler := range map[string]http.HandlerFunc{
		"FINE": answers(204, "application/json", ""), "BROKEN": answers(500, "text/plain", "no database"),
		"DENIES": answers(200, "application/json", `{"allowed":false,"status":{"message":"no GPUs left"}}`),
		"ONCE": func(w http.ResponseWriter, r *http.Request) {
			if b, _ := io.ReadAll(r.Body); bytes.Contains(b, []byte(`"team":"red"`)) {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			_, _ = io.WriteString(w, `[{"op":"add","path":"/metadata/labels/team","value":"red"}]`)
		},
	} {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		urls = append(urls, name, server.URL)
	}
	replace := strings.NewReplacer(append(urls, "NONE", "http://127.0.0.1:1/")...)
	for name, test := range map[string]struct {
		given, expect string
		code          int
		says          string
	}{
		"the first phase has no server":                 {"endpoint: NONE, validation: FINE, failurePolicy: Ignore", "unchanged: true", 2, "NOT ASKED"},
		"the first has no server, the second passes":    {"endpoint: NONE, validation: FINE, failurePolicy: Ignore", "outcome: validated", 2, "NOT ASKED"},
		"the first phase fails":                         {"endpoint: BROKEN, validation: FINE, failurePolicy: Ignore", "unchanged: true", 1, "no database"},
		"the first fails, the second passes":            {"endpoint: BROKEN, validation: FINE, failurePolicy: Ignore", "outcome: validated", 1, "failedopen: amp: endpoint"},
		"the first fails, the second denies":            {"endpoint: BROKEN, validation: DENIES, failurePolicy: Ignore", "outcome: denied", 1, "failedopen: amp: endpoint"},
		"the first fails, and no message is expected":   {"endpoint: BROKEN, validation: FINE, failurePolicy: Ignore", "message: ''", 1, "no database"},
		"the first fails, as is expected":               {"endpoint: BROKEN, validation: FINE, failurePolicy: Ignore", "outcome: failedopen, message: no database", 0, "1 passed"},
		"both messages are there":                       {"endpoint: BROKEN, validation: DENIES, failurePolicy: Ignore", "denied: true, message: no GPUs left", 0, "1 passed"},
		"both phases pass":                              {"endpoint: FINE, validation: FINE", "outcome: validated, unchanged: true, message: ''", 0, "1 passed"},
		"the second phase has no server":                {"endpoint: FINE, validation: NONE", "denied: true", 2, "connection refused"},
		"no server, and a denial is expected":           {"endpoint: NONE", "denied: true", 2, "connection refused"},
		"no server, and a word of the failure":          {"endpoint: NONE", "denied: true, message: refused", 2, "connection refused"},
		"no server, and no denial is expected":          {"endpoint: NONE, failurePolicy: Ignore", "denied: false, unchanged: true", 2, "connection refused"},
		"no server of a chain":                          {"endpoint: [FINE, NONE]", "denied: true", 2, "connection refused"},
		"no server, and another failure is expected":    {"endpoint: NONE", "outcome: failedopen", 2, "connection refused"},
		"no server, as is expected under Fail":          {"endpoint: NONE", "outcome: rejected", 0, "1 passed"},
		"no server, as is expected under Ignore":        {"endpoint: NONE, failurePolicy: Ignore", "outcome: failedopen, unchanged: true", 0, "1 passed"},
		"no server, as the message says":                {"endpoint: NONE", "denied: true, message: 'amp: endpoint NONE: connection refused'", 0, "1 passed"},
		"asked again it fails, and a change was wanted": {"endpoint: ONCE", "idempotent: false", 1, "idempotent"},
		"a validation is not asked again":               {"validation: FINE", "idempotent: false", 1, "it was not asked again"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			file := write(t, t.TempDir(), "suite.yaml", replace.Replace("cases:\n- {name: one, pod: "+strings.TrimSpace(aPod)+", "+test.given+", expect: {"+test.expect+"}}\n"))
			if code := run(t.Context(), []string{"test", file, "--timeout", patience}, &out, &errs); code != test.code || !strings.Contains(out.String(), test.says) {
				t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
			}
		})
	}
}

// TestTestKnowsAPrivateCA: --ca says by which CAs an endpoint's certificate is verified.
func TestTestKnowsAPrivateCA(t *testing.T) {
	server := httptest.NewTLSServer(answers(200, "application/json", `[]`))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	ca := write(t, t.TempDir(), "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	file := write(t, t.TempDir(), "suite.yaml", "cases: [{name: one, pod: "+strings.TrimSpace(aPod)+", expect: {unchanged: true}}]\n")
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--ca", ca}, 0, "1 passed"},
		{nil, 1, "an authority that amp does not know"},
		{[]string{"--ca", file + ".none"}, 2, "--ca: open "},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), append([]string{"test", file, "--endpoint", server.URL, "--timeout", patience}, test.args...), &out, &errs); code != test.code || !strings.Contains(out.String()+errs.String(), test.says) {
			t.Errorf("%q: exit code %d\n%s%s", test.args, code, out.String(), errs.String())
		}
	}
}

// TestAnInterruptedTestSaysWhatItKnows: ^C in the second suite loses neither the results of the first nor those of its own.
func TestAnInterruptedTestSaysWhatItKnows(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, _ := io.ReadAll(r.Body); bytes.Contains(b, []byte(`"name":"last"`)) {
			interrupt()
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	suite := func(file string, cases ...string) string {
		content := "validation: " + server.URL + "\ncases:\n"
		for _, name := range cases {
			content += "- {name: about " + name + ", pod: {apiVersion: v1, kind: Pod, metadata: {name: " + name + "}, spec: {containers: [{name: a, image: b}]}}, expect: {unchanged: " + fmt.Sprint(name != "a") + "}}\n"
		}
		return write(t, dir, file, content)
	}
	first, second, third := suite("first.yaml", "a"), suite("second.yaml", "b", "last"), suite("third.yaml", "c")
	before, _ := os.ReadFile(second)

	var out, errs bytes.Buffer
	junit := dir + "/junit.xml"
	if code := run(ctx, []string{"test", first, second, third, "--parallel", "1", "--update", "--junit", junit, "--timeout", patience}, &out, &errs); code != 2 || !strings.HasSuffix(errs.String(), "kubectl amp test: interrupted\n") {
		t.Errorf("exit code %d, stderr %s", code, errs.String())
	}
	xml, err := os.ReadFile(junit)
	if err != nil {
		t.Error(err)
	}
	for _, name := range []string{"about a", "about b", "about last"} {
		if !strings.Contains(out.String(), name) || !strings.Contains(string(xml), `name="`+name+`"`) {
			t.Errorf("no %q in\n%s\nor in\n%s", name, out.String(), xml)
		}
	}
	if !strings.Contains(out.String(), "2 passed, 0 failed, 1 could not be asked") || strings.Contains(out.String(), "about c") {
		t.Errorf("stdout %s", out.String())
	}
	if after, _ := os.ReadFile(second); !bytes.Equal(before, after) {
		t.Errorf("it rewrote a suite that did not end:\n%s", after)
	}
}

// TestAnUpdateThatCannotBeWritten: the results are known nevertheless.
func TestAnUpdateThatCannotBeWritten(t *testing.T) {
	file := write(t, t.TempDir(), "suite.yaml", "cases: [{name: one, pod: "+strings.TrimSpace(aPod)+", expect: {unchanged: false}}]\n")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = os.Remove(file)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"test", file, "--endpoint", server.URL, "--update", "--timeout", patience}, &out, &errs); code != 2 || !strings.Contains(out.String(), "1 failed") || !strings.Contains(errs.String(), "no such file") {
		t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
}
