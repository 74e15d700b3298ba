package endpointtest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/internal/conform"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/shapes"
)

const docs = "../../docs/endpoints"

// compiled compiles a schema of docs/endpoints.
func compiled(t *testing.T, schema any, at string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{}) // It loads nothing: a test does not depend on the network.
	const base = "https://amp.txn2.com/test/"
	if err := c.AddResource(base, schema); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(base + at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func answerSchema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs, "answer.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	delete(schema.(map[string]any), "$id")
	return compiled(t, schema, "#/$defs/"+name)
}

func valid(s *jsonschema.Schema, text string) error {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(value)
}

// TestAnswerSchema compares the schema of answers with what amp makes of them: each one is valid by the schema if and only
// if amp can answer with it.
func TestAnswerSchema(t *testing.T) {
	good := `{"op":"add","path":"/metadata/labels/a","value":"b"}`
	answers := []string{
		`[]`, `null`, `[` + good + `]`, `{"allowed":true}`, `{"allowed":true,"warnings":["w"],"patch":[` + good + `]}`, `{"warnings":["w"]}`, `{"patch":[` + good + `]}`,
		`{"patch":"` + base64.StdEncoding.EncodeToString([]byte("["+good+"]")) + `","patchType":"JSONPatch"}`, `{"allowed":true,"status":null,"warnings":null,"patch":null}`,
		`{"allowed":false}`, `{"allowed":false,"status":{"message":"no","code":422}}`, `{"status":{"message":"no"}}`, `{"status":{"reason":"no"}}`, `{"status":{"code":403}}`,
		`{"allowed":true,"status":{"status":"Success"}}`, `{"allowed":true,"uid":"7","auditAnnotations":{}}`,
		`[{"op":"add","path":"/metadata/labels/a","value":"b"},{"op":"copy","from":"/metadata/labels/a","path":"/metadata/labels/b"},{"op":"move","from":"/metadata/labels/a","path":"/metadata/labels/c"},{"op":"test","path":"/metadata/labels/b","value":"b"},{"op":"remove","path":"/metadata/labels/b"},{"op":"replace","path":"/metadata/labels/c","value":"d"}]`,
		// What is no answer.
		`{}`, `1`, `"text"`, `true`, `{"kind":"Pod","metadata":{},"spec":{}}`, `{"metadata":{},"spec":{}}`, `{"response":{"allowed":true}}`, good, `[[]]`, `["x"]`, `[null]`,
		`[{"op":"set","path":"/metadata/labels/a","value":1}]`, `[{"op":"ADD","path":"/metadata/labels/a","value":"b"}]`, `[{"op":"add","path":"/metadata/labels/a"}]`, `[{"op":"remove"}]`,
		`[{"path":"/a","value":1}]`, `[{"op":"move","path":"/metadata/labels/a"}]`, `[{"op":"add","path":"metadata/labels/a","value":"b"}]`, `[{"op":"replace","path":"","value":{}}]`,
		`{"allowed":"true"}`, `{"allowed":true,"status":{"code":403}}`, `{"allowed":true,"status":{"status":"Failure"}}`, `{"status":{"message":"no"},"patch":[` + good + `]}`, `{"status":{}}`,
		`{"warnings":"w"}`, `{"warnings":[1]}`, `{"patch":{}}`, `{"patch":"not base64"}`, `{"patch":[` + good + `],"patchType":"MergePatch"}`, `{"allowed":true,"status":"no"}`,
		`{"Allowed":true}`, `{"allowed":true,"message":"hello"}`,
	}
	for _, phase := range []review.Phase{review.Mutate, review.Validate} {
		schema := answerSchema(t, map[review.Phase]string{review.Mutate: "mutating", review.Validate: "validating"}[phase])
		all, err := shapes.All(phase)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range answers {
			// Not the one of a controller, and one with labels.
			err := ask(t, phase, all[0], text)
			if bySchema := valid(schema, text); (err == nil) != (bySchema == nil) {
				t.Errorf("%s: %s: amp says %v, the schema %v", phase, text, err, bySchema)
			}
		}
	}
}

func ask(t *testing.T, phase review.Phase, shape shapes.Shape, answer string) error {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	asker, err := conform.NewAsker(conform.Config{Endpoint: u, Phase: phase})
	if err != nil {
		t.Fatal(err)
	}
	_, err = asker.Ask(t.Context(), shape)
	return err
}

// TestOpenAPI records what amp sends about each shape, and what the samples answer, and checks both by openapi.yaml.
func TestOpenAPI(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(docs, "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if text, err = yaml.YAMLToJSON(text); err == nil {
		document, err = jsonschema.UnmarshalJSON(bytes.NewReader(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Parameters []struct {
				Name, In string
				Required bool
				Schema   any
			}
			Responses map[string]any
		}
	}
	if err := json.Unmarshal(text, &api); err != nil {
		t.Fatal(err)
	}
	post := api.Paths["/"]["post"]
	if !strings.HasPrefix(api.OpenAPI, "3.1.") || len(post.Parameters) == 0 || len(post.Responses) != 3 {
		t.Fatalf("%+v", api)
	}
	pod, answers := compiled(t, document, "#/components/schemas/Pod"), answerSchema(t, "mutating")
	params := map[string]*jsonschema.Schema{}
	for i, p := range post.Parameters {
		if p.In != "header" {
			t.Errorf("%s is in %s", p.Name, p.In)
		}
		params[p.Name] = compiled(t, document, "#/paths/~1/post/parameters/"+strconv.Itoa(i)+"/schema")
	}

	all, err := shapes.All(review.Mutate)
	if err != nil {
		t.Fatal(err)
	}
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests++
		if err := valid(pod, string(body)); err != nil {
			t.Errorf("a Pod is not valid: %v", err)
		}
		for _, p := range post.Parameters {
			value, sent := r.Header[http.CanonicalHeaderKey(p.Name)]
			if sent {
				if err := params[p.Name].Validate(value[0]); err != nil {
					t.Errorf("%s: %q: %v", p.Name, value[0], err)
				}
			} else if p.Required {
				t.Errorf("the request has no %s", p.Name)
			}
		}
		for name := range r.Header {
			if low := strings.ToLower(name); strings.HasPrefix(low, "ce-") && params[low] == nil {
				t.Errorf("openapi.yaml does not know the header %s", low)
			}
		}
		recorder := httptest.NewRecorder()
		r.Body = io.NopCloser(bytes.NewReader(body))
		createdBy(recorder, r)
		if err := valid(answers, recorder.Body.String()); err != nil {
			t.Errorf("the answer %s is not valid: %v", recorder.Body, err)
		}
		_, _ = w.Write(recorder.Body.Bytes())
	}))
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	asker, err := conform.NewAsker(conform.Config{Endpoint: u})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if _, err := asker.Ask(t.Context(), s); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
	if requests != len(all) {
		t.Errorf("%d requests", requests)
	}
}
