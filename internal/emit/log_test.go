package emit_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/txn2/amp/internal/emit"
	"github.com/txn2/amp/internal/review"
)

// libraryErrors are real errors of the libraries that amp calls, whose text or document holds a secret or not.
func libraryErrors(t *testing.T) map[string]error {
	t.Helper()
	apply := func(patch, doc string) error {
		p, err := jsonpatch.DecodePatch([]byte(patch))
		if err != nil {
			return err
		}
		_, err = p.Apply([]byte(doc))
		return err
	}
	var number struct{ A string }
	return map[string]error{
		"test":      apply(`[{"op":"test","path":"/a","value":"s3cret"}]`, `{"a":"s3cret2"}`),
		"missing":   apply(`[{"op":"remove","path":"/b"}]`, `{"a":"s3cret"}`),
		"index":     apply(`[{"op":"replace","path":"/a/7","value":"s3cret"}]`, `{"a":["s3cret"]}`),
		"not JSON":  apply(`["s3cret`, `{}`),
		"number":    json.Unmarshal([]byte(`{"a":47114711471147}`), &number),
		"dial":      fmt.Errorf("s3cret: %w", &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80}, Err: syscall.EHOSTUNREACH}),
		"lookup":    &net.DNSError{Err: "server misbehaving", Name: "hook.team.svc"},
		"tls":       &tls.CertificateVerificationError{Err: errors.New("x509: certificate is valid for a, not b")},
		"malformed": fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", fmt.Errorf("malformed HTTP response %q", "s3cret")),
	}
}

// TestLibraryErrorsAreLoggedAtDebugLevel: the text where it holds no data, else the types.
func TestLibraryErrorsAreLoggedAtDebugLevel(t *testing.T) {
	want := map[string]string{
		"test":      "testing value /a failed: test failed",
		"missing":   "Unable to remove nonexistent key: b: missing value",
		"index":     "doc is missing key: /a/7: missing value",
		"not JSON":  "*json.SyntaxError",
		"number":    "*json.UnmarshalTypeError",
		"dial":      "dial tcp 10.0.0.1:80: no route to host",
		"lookup":    "lookup hook.team.svc: server misbehaving",
		"tls":       "tls: failed to verify certificate: x509: certificate is valid for a, not b",
		"malformed": "*fmt.wrapError: *errors.errorString",
	}
	for name, err := range libraryErrors(t) {
		t.Run(name, func(t *testing.T) {
			if err == nil {
				t.Fatal("the library gives no error")
			}
			rec := mutated(t)
			rec.Run.Steps[0].Err = &review.Failure{Result: review.ResultUnreachable, Cause: "the connection broke before an answer", Err: err}
			rec.Run.Steps[0].Ops, rec.Run.Patch = nil, nil
			rec.Verdict = review.Verdict{Outcome: review.OutcomeRejected, Message: "amp: endpoint http://hook:8080/mutate: the connection broke before an answer"}

			var log strings.Builder
			recorder, _, info := newRecorder()
			recorder.Record(t.Context(), rec)
			if strings.Contains(info.String(), `"error"`) {
				t.Errorf("at level info: %s", info)
			}
			recorder.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			recorder.Record(t.Context(), rec)
			var line struct{ Level, Error string }
			if err := json.Unmarshal([]byte(log.String()), &line); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(line.Error, want[name]) || want[name] == "" || line.Level != "WARN" {
				t.Errorf("level %s, error %q, want %q", line.Level, line.Error, want[name])
			}
			if strings.Contains(log.String(), "s3cret") || strings.Contains(log.String(), "47114711471147") {
				t.Errorf("the log holds data: %s", log.String())
			}
		})
	}
}

// TestNoLibraryErrorNoAttribute: a failure that amp found itself, and one of no library.
func TestNoLibraryErrorNoAttribute(t *testing.T) {
	for _, err := range []error{&review.Failure{Result: review.ResultStatus, Cause: "answered 500"}, errors.New("s3cret"), context.DeadlineExceeded} {
		rec := mutated(t)
		rec.Run.Err = err
		var log strings.Builder
		recorder := &emit.Recorder{Metrics: newMetrics(), Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		recorder.Record(t.Context(), rec)
		if strings.Contains(log.String(), `"error"`) {
			t.Errorf("%T: %s", err, log.String())
		}
	}
}
