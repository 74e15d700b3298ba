package endpointtest_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/endpoints"
	"github.com/txn2/amp/endpoints/endpointtest"
	"github.com/txn2/amp/endpoints/example"
	"github.com/txn2/amp/endpoints/jupyterhub"
	"github.com/txn2/amp/endpoints/require"
)

// patience is a budget that no test waits for.
var patience = endpointtest.Budget(20 * time.Second) // other tests run beside it

// createdBy is the endpoint of docs/endpoints/go.md.
var createdBy = endpoints.Mutate(func(_ context.Context, review *endpoints.Review, pod *corev1.Pod) error {
	if pod.Annotations["example.com/created-by"] == "" {
		pod.Annotations["example.com/created-by"] = review.User
	}
	return nil
})

func TestCreatedBy(t *testing.T) {
	endpointtest.Conformance(t, createdBy, patience)
	endpointtest.Golden(t, createdBy, "testdata", patience)
}

// TestSamples holds the samples to the contract.
func TestSamples(t *testing.T) {
	images, err := require.New("registry.example")
	if err != nil {
		t.Fatal(err)
	}
	for name, handler := range map[string]http.Handler{"example": http.HandlerFunc(example.Handler), "jupyterhub": jupyterhub.New("")} {
		t.Run(name, func(t *testing.T) { endpointtest.Conformance(t, handler, patience) })
	}
	t.Run("require", func(t *testing.T) { endpointtest.Conformance(t, images, patience, endpointtest.Validating()) })
}

// TestFailures runs the kit in a test of its own process, because the kit fails the test that calls it.
func TestFailures(t *testing.T) {
	for name, c := range map[string]struct{ fails, says string }{
		"grows":     {"TestInside/idempotent", "add an element only if none has its name"},
		"without":   {"", "left out: it counts on purpose"},
		"rule":      {"TestInside", `there is no rule "idempotnet": allowed are answer, time`},
		"slow":      {"TestInside/time", "no answer within"},
		"own pod":   {"TestInside/answer", "mine"},
		"bad pod":   {"TestInside", `reading "mine": it is of kind "Deployment"`},
		"no folder": {"TestInside", "holds no Pod: write one as NAME.pod.yaml"},
		"no golden": {"TestInside/a", "run the test with AMP_UPDATE_GOLDEN=1 to write it"},
		"golden":    {"TestInside/a", "the answer is not that of"},
		"failure":   {"TestInside/a", "amp could not answer with what came: answered 500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // one waits for the end of its budget
			dir := t.TempDir()
			out, err := inside(t, name, dir)
			if (err != nil) != (c.fails != "") {
				t.Errorf("the test ended with %v", err)
			}
			if !strings.Contains(out, c.says) || c.fails != "" && !strings.Contains(out, "--- FAIL: "+c.fails+" ") {
				t.Errorf("want %s to fail and %q; got:\n%s", c.fails, c.says, out)
			}
		})
	}
}

// TestUpdate writes a golden file, after which the same test passes.
func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	if out, err := inside(t, "no golden", dir, endpointtest.UpdateVariable+"=1"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "a.golden"))
	if err != nil || !strings.Contains(string(text), "\n    \"op\": \"add\",\n") {
		t.Errorf("%v\n%s", err, text)
	}
	if out, err := inside(t, "no golden", dir); err != nil {
		t.Errorf("after the update: %v\n%s", err, out)
	}
}

func inside(t *testing.T, name, dir string, env ...string) (string, error) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^TestInside$", "-test.v")
	cmd.Env = append(os.Environ(), append(env, "AMP_TEST_INSIDE="+name, "AMP_TEST_INSIDE_DIR="+dir)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

func TestInside(t *testing.T) {
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	add := `[{"op":"add","path":"/metadata/annotations/a","value":"a"}]`
	grows := text(200, `[{"op":"add","path":"/spec/containers/0/args/-","value":"-v"}]`)
	dir := os.Getenv("AMP_TEST_INSIDE_DIR")
	if dir != "" {
		if name := os.Getenv("AMP_TEST_INSIDE"); name != "no folder" {
			if err := os.WriteFile(filepath.Join(dir, "a.pod.json"), []byte(`{"kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"a"}]}}`), 0o600); err != nil {
				t.Fatal(err)
			}
			if name == "golden" {
				_ = os.WriteFile(filepath.Join(dir, "a.golden"), []byte("no change\n"), 0o600)
			}
		}
	}
	switch os.Getenv("AMP_TEST_INSIDE") {
	case "grows":
		endpointtest.Conformance(t, grows, patience)
	case "without":
		endpointtest.Conformance(t, grows, patience, endpointtest.Without("idempotent", "it counts on purpose"))
	case "rule":
		endpointtest.Conformance(t, grows, patience, endpointtest.Without("idempotnet", "a slip"))
	case "slow":
		endpointtest.Conformance(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), endpointtest.Budget(2*time.Second))
	case "own pod":
		endpointtest.Conformance(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.Header.Get("Ce-Subject"), "/my-own") {
				text(500, "")(w, r)
				return
			}
			text(200, add)(w, r)
		}), patience, endpointtest.WithPod("mine", []byte(`{"kind":"Pod","metadata":{"name":"my-own"},"spec":{"containers":[{"name":"a","image":"a"}]}}`)))
	case "bad pod":
		endpointtest.Conformance(t, grows, patience, endpointtest.WithPod("mine", []byte(`{"kind":"Deployment"}`)))
	case "no folder", "no golden", "golden":
		endpointtest.Golden(t, text(200, add), dir, patience)
	case "failure":
		endpointtest.Golden(t, text(500, ""), dir, patience)
	}
}
