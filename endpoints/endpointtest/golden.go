package endpointtest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/internal/conform"
	"github.com/txn2/amp/internal/shapes"
)

// UpdateVariable is the environment variable that makes [Golden] write the files ("1") instead of comparing with them.
const UpdateVariable = "AMP_UPDATE_GOLDEN"

// Golden sends the handler each Pod of a folder and compares the answer with the file beside it. The Pods are the files
// NAME.pod.yaml, NAME.pod.json, NAME.review.yaml and NAME.review.json: a review is an AdmissionReview, which also says who
// creates the Pod. The answer is NAME.golden. Each Pod is a subtest.
//
// AMP_UPDATE_GOLDEN=1 writes the answers. Read the difference like code before you commit it.
func Golden(t *testing.T, handler http.Handler, dir string, opts ...Option) {
	t.Helper()
	o := collect(t, opts)
	files := inputs(t, dir)
	if len(files) == 0 {
		t.Fatalf("endpointtest.Golden: %s holds no Pod: write one as NAME.pod.yaml, or an AdmissionReview as NAME.review.json", dir)
	}
	endpoint := serve(t, handler)
	client, err := conform.NewAsker(conform.Config{Endpoint: endpoint, Phase: o.phase, Budget: o.budget, UserAgent: "amp-endpointtest"})
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if text, err = yaml.YAMLToJSON(text); err != nil {
				t.Fatalf("reading %s: %v", file, err)
			}
			shape, err := shapes.Read(name, text, o.phase)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			body, err := client.Ask(ctx, shape)
			if err != nil {
				t.Fatalf("amp could not answer with what came: %v", err)
			}
			compare(t, filepath.Join(dir, name+".golden"), pretty(body))
		})
	}
}

// compare compares got with a file, or writes the file.
func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	if os.Getenv(UpdateVariable) == "1" {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: run the test with %s=1 to write it", err, UpdateVariable)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the answer is not that of %s. If it is right, run the test with %s=1.\ngot:\n%s\nwant:\n%s", file, UpdateVariable, got, want)
	}
}

// pretty indents an answer, so that a difference is one of lines. It keeps the order of the members.
func pretty(body []byte) []byte {
	if len(body) == 0 {
		return []byte("no change\n") // status 204
	}
	var out bytes.Buffer
	if json.Indent(&out, bytes.TrimSpace(body), "", "  ") != nil {
		return body
	}
	return append(out.Bytes(), '\n')
}

// inputs returns the files of a folder that hold a Pod or a review, by their names without the endings.
func inputs(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, ending := range []string{".pod.yaml", ".pod.json", ".review.yaml", ".review.json"} {
		found, err := filepath.Glob(filepath.Join(dir, "*"+ending))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			name := strings.TrimSuffix(filepath.Base(file), ending)
			if other, twice := files[name]; twice {
				t.Fatalf("endpointtest.Golden: %s and %s would have the same golden file: rename one", other, file)
			}
			files[name] = file
		}
	}
	return files
}
