package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sort"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	admissionv1 "k8s.io/api/admission/v1"
)

type result struct {
	told string
	err  error
}

func request(ts *testscript.TestScript, _ bool, args []string) {
	var body io.Reader
	if len(args) > 3 {
		body = strings.NewReader(ts.ReadFile(args[3]))
	}
	req, err := http.NewRequest(args[0], args[1], body)
	ts.Check(err)
	if len(args) > 2 {
		req.Header.Set("Content-Type", args[2])
	}
	resp, err := trusting().Do(req)
	ts.Check(err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d %s", resp.StatusCode, answer)
}

func postReview(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: review FILE URL [NAMESPACE]")
	}
	_, _ = io.WriteString(ts.Stdout(), post(ts, ts.ReadFile(args[0]), args[1], args[2:]...))
}

func postBoth(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: both FILE URL NAMESPACE")
	}
	for _, policy := range []string{"fail", "ignore"} {
		fmt.Fprintf(ts.Stdout(), "%s:\n%s", policy, post(ts, ts.ReadFile(args[0]), args[1]+"/"+policy, args[2]))
	}
}

func begin(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: begin NAME FILE URL [NAMESPACE]")
	}
	s, review := serversOf(ts)[args[0]], ts.ReadFile(args[1])
	go func() {
		told, err := send(review, args[2], args[3:]...)
		s.result <- result{told, err}
	}()
	select {
	case <-s.entered:
	case r := <-s.result:
		ts.Fatalf("the review was answered without %s: %s %v", args[0], r.told, r.err)
	}
}

func finish(ts *testscript.TestScript, _ bool, args []string) {
	s := serversOf(ts)[args[0]]
	close(s.release)
	r := <-s.result
	ts.Check(r.err)
	_, _ = io.WriteString(ts.Stdout(), r.told)
}

// post sends a review and returns the text of its answer, with the servers' names instead of their addresses.
func post(ts *testscript.TestScript, review, url string, namespace ...string) string {
	told, err := send(review, url, namespace...)
	ts.Check(err)
	for name, s := range serversOf(ts) {
		told = strings.ReplaceAll(told, s.addr, name) // ports differ between runs
	}
	return told
}

func send(review, url string, namespace ...string) (string, error) {
	if len(namespace) > 0 {
		review = regexp.MustCompile(`"namespace": "[^"]*"`).ReplaceAllString(review, `"namespace": "`+namespace[0]+`"`)
	}
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(review))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	req.Header["Tracestate"] = []string{"a=1", "b=2"}
	resp, err := trusting().Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Sprintf("%d %s", resp.StatusCode, body), err
	}
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", err
	}
	return tell(&answer)
}

// tell writes an answer as text, one line for each thing it says.
func tell(answer *admissionv1.AdmissionReview) (string, error) {
	r := answer.Response
	var b strings.Builder
	fmt.Fprintf(&b, "allowed: %v\n", r.Allowed)
	if r.Result != nil {
		fmt.Fprintf(&b, "code: %d\nmessage: %s\n", r.Result.Code, r.Result.Message)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
		if len([]rune(w)) > 256 {
			return "", fmt.Errorf("a warning has %d characters: %s", len([]rune(w)), w)
		}
	}
	if (len(r.Patch) > 0) != (r.PatchType != nil) {
		return "", fmt.Errorf("patch %q with patchType %v", r.Patch, r.PatchType)
	}
	if len(r.Patch) > 0 {
		var ops []json.RawMessage
		if err := json.Unmarshal(r.Patch, &ops); err != nil {
			return "", err
		}
		for _, op := range ops {
			fmt.Fprintf(&b, "patch: %s\n", op)
		}
	}
	var keys []string
	for key := range r.AuditAnnotations {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		fmt.Fprintf(&b, "audit: %s=%s\n", key, r.AuditAnnotations[key])
	}
	return b.String(), nil
}
