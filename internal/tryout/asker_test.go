package tryout_test

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/tryout"
)

func question(endpoint string) *tryout.Question {
	return &tryout.Question{Pod: []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"containers":[{"name":"a","image":"b"}]}}`),
		Namespace: "team-a", Phase: review.Mutate, Endpoints: []string{endpoint}, Timeout: 20 * time.Second}
}

// asker asks with the default settings.
func asker(t *testing.T) *tryout.Asker {
	t.Helper()
	a, err := tryout.NewAsker("", "")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestOneConnection: all questions come over one connection, as amp's reviews do. A server that serves one connection at a
// time, as Python's plain one does, would not answer a second one.
func TestOneConnection(t *testing.T) {
	n := connectionsOfQuestions(t)
	if n > 1 { // net/http gives up a connection if the machine lets it wait for 50 ms after an answer
		n = connectionsOfQuestions(t)
	}
	if n != 1 {
		t.Errorf("%d connections", n)
	}
}

// connectionsOfQuestions asks three questions, and returns how many connections their endpoint got.
func connectionsOfQuestions(t *testing.T) int32 {
	t.Helper()
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `[]`)
	}))
	server.Config.ConnState = func(_ net.Conn, is http.ConnState) {
		if is == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	q, a := question(server.URL), asker(t)
	first, err := a.Ask(t.Context(), q)
	if err != nil || first.Failed() {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := a.Again(t.Context(), q, first); err != nil || again.Failed() {
		t.Errorf("%+v, %v", again, err)
	}
	other := question(server.URL)
	other.Namespace, other.Phase, other.Timeout = "team-b", review.Validate, 30*time.Second
	if _, err := a.Ask(t.Context(), other); err != nil {
		t.Error(err)
	}
	return connections.Load()
}

// TestNoQuestionAnswersTheNext: an endpoint that failed is asked again, and each question has its own Namespace.
func TestNoQuestionAnswersTheNext(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	a := asker(t)
	const times = 30 // amp's circuit bears fewer failures
	for range times {
		before := asked.Load()
		if result, err := a.Ask(t.Context(), question(server.URL)); err != nil || result.Outcome != review.OutcomeRejected || asked.Load() == before {
			t.Fatalf("%+v, %v, asked %d times", result, err, asked.Load())
		}
	}
	shadow := question(server.URL)
	shadow.Labels, shadow.Annotations = map[string]string{"amp.txn2.com/enabled": "true"}, map[string]string{"amp.txn2.com/mode": "shadow"}
	if result, err := a.Ask(t.Context(), shadow); err != nil || result.Outcome != review.OutcomeShadowed {
		t.Errorf("%+v, %v", result, err)
	}
}

// TestOwnCA: the CA of an endpoint may be one that only a file names. Without it the result says so.
func TestOwnCA(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `[]`)
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	q := question(server.URL)
	if result, err := asker(t).Ask(t.Context(), q); err != nil || !result.Failed() || !result.UnknownCA {
		t.Errorf("%+v, %v", result, err)
	}
	knows, err := tryout.NewAsker(file, "")
	if err != nil {
		t.Fatal(err)
	}
	if result, err := knows.Ask(t.Context(), q); err != nil || result.Failed() || result.UnknownCA {
		t.Errorf("%+v, %v", result, err)
	}
	if _, err := tryout.NewAsker(file+".none", ""); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("error %v", err)
	}
}
