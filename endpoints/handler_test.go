package endpoints

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
)

const barePod = `{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"worker-","namespace":"of-the-pod"},"spec":{"containers":[{"name":"a"}]}}`

func post(h http.HandlerFunc, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h(w, r)
	return w
}

func TestHandlerReadsTheReview(t *testing.T) {
	for name, tc := range map[string]struct {
		headers []string
		want    Review
	}{
		"as amp sends it": {
			[]string{
				"Content-Type", "application/json", "ce-specversion", "1.0", "ce-type", EventType,
				"ce-source", "https://amp.txn2.com/proxy", "ce-id", "6dd84eb1-9610/2", "ce-subject", "jhub/jupyter-alice",
				"ce-time", "2026-11-22T08:16:23.5Z", "ce-namespace", "jhub", "ce-operation", "validate", "ce-dryrun", "true",
				"ce-authtype", "service_account", "ce-authid", "system:serviceaccount:jhub:hub",
				"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate", "a=1", "tracestate", "b=2",
			},
			Review{UID: "6dd84eb1-9610", Step: 2, Operation: Validating, DryRun: true, Namespace: "jhub", Name: "jupyter-alice",
				User: "system:serviceaccount:jhub:hub", AuthType: "service_account", Time: time.Date(2026, 11, 22, 8, 16, 23, 5e8, time.UTC),
				TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", TraceState: "a=1,b=2"},
		},
		"by curl, with no header at all": {nil,
			Review{Operation: Mutating, Namespace: "of-the-pod", Name: "worker-"}},
		"a user's name is percent-decoded, once": {
			[]string{"ce-authid", "J%C3%BCrgen%20%22x%22%20%2541", "ce-subject", "ns/n"},
			Review{Operation: Mutating, Namespace: "of-the-pod", Name: "n", User: `Jürgen "x" %41`}},
		"a percent sign that escapes nothing stays, those beside it are decoded": {
			[]string{"ce-authid", "100% of%20%zz%4"}, Review{Operation: Mutating, Namespace: "of-the-pod", Name: "worker-", User: "100% of %zz%4"}},
		"quotes of older CloudEvents are taken off": {
			[]string{"ce-authid", `"a \"b\" \\c%20d"`}, Review{Operation: Mutating, Namespace: "of-the-pod", Name: "worker-", User: `a "b" \c d`}},
		"bytes that are no UTF-8 are replaced": {
			[]string{"ce-authid", "%ff%feok"}, Review{Operation: Mutating, Namespace: "of-the-pod", Name: "worker-", User: "\uFFFDok"}},
		"an id without a step is taken whole": {
			[]string{"ce-id", "a/b"}, Review{UID: "a/b", Operation: Mutating, Namespace: "of-the-pod", Name: "worker-"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got *Review
			w := post(Handler(func(_ context.Context, r *Review) (Answer, error) { got = r; return Answer{}, nil }), barePod, tc.headers...)
			if got == nil {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if string(got.Pod) != barePod {
				t.Errorf("the Pod is not byte for byte what was sent: %s", got.Pod)
			}
			got.Pod = nil
			if d := cmp.Diff(&tc.want, got, cmpopts.IgnoreUnexported(Review{})); d != "" {
				t.Errorf("review (-want +got):\n%s", d)
			}
		})
	}
}

func TestHandlerRejectsWhatIsNoReview(t *testing.T) {
	h := Handler(func(context.Context, *Review) (Answer, error) { return Answer{}, nil })
	typed := Mutate(func(context.Context, *Review, *corev1.Pod) error { return nil })
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		body    string
		headers []string
		status  int
		text    string
	}{
		"no body":                 {h, "", nil, 400, "want a JSON object"},
		"not JSON":                {h, "kind: Pod", nil, 400, "want a JSON object"},
		"null":                    {h, " null", nil, 400, "want a JSON object"},
		"an array":                {h, "[]", nil, 400, "want a JSON object"},
		"two objects":             {h, "{}{}", nil, 400, "want a JSON object"},
		"another kind":            {h, `{"kind":"AdmissionReview"}`, nil, 400, `not a "AdmissionReview"`},
		"too large":               {h, `{"x":"` + strings.Repeat("x", 7<<20) + `"}`, nil, 413, "larger than 7 MiB"},
		"a structured CloudEvent": {h, `{}`, []string{"Content-Type", "application/cloudevents+json"}, 415, "binary mode"},
		"an unknown operation":    {h, `{}`, []string{"ce-operation", "delete"}, 400, "mutate or validate"},
		"a dry run of yes":        {h, `{}`, []string{"ce-dryrun", "yes"}, 400, "true or false"},
		"a time of noon":          {h, `{}`, []string{"ce-time", "noon"}, 400, "RFC 3339"},
		"a Pod that is none":      {typed, `{"spec":{"containers":"hunter2"}}`, nil, 400, "decoding the Pod: spec.containers is not a"},
		"a bad quantity":          {typed, `{"spec":{"containers":[{"resources":{"limits":{"cpu":"hunter2"}}}]}}`, nil, 400, "decoding the Pod"},
	} {
		t.Run(name, func(t *testing.T) {
			w := post(tc.handler, tc.body, tc.headers...)
			checkError(t, w, tc.status, tc.text)
		})
	}
	t.Run("another method", func(t *testing.T) {
		w := httptest.NewRecorder()
		h(w, httptest.NewRequest(http.MethodGet, "/", nil))
		checkError(t, w, http.StatusMethodNotAllowed, "want a POST")
		if got := w.Header().Get("Allow"); got != "POST" {
			t.Errorf("Allow: %q", got)
		}
	})
	t.Run("a body without end", func(t *testing.T) {
		w := httptest.NewRecorder()
		h(w, httptest.NewRequest(http.MethodPost, "/", endless{}))
		checkError(t, w, http.StatusRequestEntityTooLarge, "7 MiB")
	})
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

func checkError(t *testing.T, w *httptest.ResponseRecorder, status int, text string) {
	t.Helper()
	if w.Code != status {
		t.Errorf("status %d, want %d", w.Code, status)
	}
	if ct := w.Header().Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") {
		t.Errorf("Content-Type %q", ct)
	}
	body := w.Body.String()
	if !strings.Contains(body, text) || strings.Count(body, "\n") != 1 || !strings.HasSuffix(body, "\n") {
		t.Errorf("body %q, want one line with %q", body, text)
	}
	if strings.Contains(body, "hunter2") {
		t.Errorf("body quotes the Pod: %q", body)
	}
}

func TestHandlerAnswers(t *testing.T) {
	var op = PatchOperation{Op: "add", Path: "/metadata/labels/a", Value: "100% <of> it"}
	const wire = `{"op":"add","path":"/metadata/labels/a","value":"100% <of> it"}`
	for name, tc := range map[string]struct {
		answer               Answer
		err                  error
		mutating, validating string
	}{
		"the zero answer":       {Answer{}, nil, `[]`, `{"allowed":true}`},
		"an empty patch":        {Patch(), nil, `[]`, `{"allowed":true}`},
		"a patch":               {Patch(op), nil, `[` + wire + `]`, `{"allowed":true}`},
		"a warning":             {Warn("50% full"), nil, `{"allowed":true,"warnings":["50% full"]}`, `{"allowed":true,"warnings":["50% full"]}`},
		"a patch with warnings": {Patch(op).Warn("a").Warn("b", "c"), nil, `{"allowed":true,"warnings":["a","b","c"],"patch":[` + wire + `]}`, `{"allowed":true,"warnings":["a","b","c"]}`},
		"a refusal":             {Refuse("100% no"), nil, `{"allowed":false,"status":{"message":"100% no"}}`, `{"allowed":false,"status":{"message":"100% no"}}`},
		"a refusal with a code, a patch and a warning": {Answer{Refused: true, Message: "no", Code: 409, Patch: []PatchOperation{op}}.Warn("w"), nil,
			`{"allowed":false,"status":{"message":"no","code":409},"warnings":["w"]}`, `{"allowed":false,"status":{"message":"no","code":409},"warnings":["w"]}`},
		"a refusal without a word": {Refuse(""), nil, `{"allowed":false}`, `{"allowed":false}`},
		"a refusal as an error":    {Patch(op), fmt.Errorf("deep down: %w", NewRefusal("no")), `{"allowed":false,"status":{"message":"no"}}`, `{"allowed":false,"status":{"message":"no"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			h := Handler(func(context.Context, *Review) (Answer, error) { return tc.answer, tc.err })
			for operation, want := range map[string]string{"mutate": tc.mutating, "validate": tc.validating} {
				w := post(h, barePod, "ce-operation", operation)
				if got := w.Body.String(); got != want+"\n" || w.Code != http.StatusOK {
					t.Errorf("%s: %d %s, want %s", operation, w.Code, got, want)
				}
				if ct := w.Header().Get("Content-Type"); ct != "application/json" {
					t.Errorf("Content-Type %q", ct)
				}
			}
		})
	}
}

func TestWarnLeavesTheAnswerItWasCalledOn(t *testing.T) {
	base := Warn("a", "b")
	base.Warnings = base.Warnings[:1:2]
	base.Warn("x")
	if two := base.Warnings[:2]; two[1] != "b" {
		t.Errorf("Warn wrote into the warnings of another answer: %q", two)
	}
}

func TestHandlerFailsInOneLine(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func() (Answer, error)
		text   string
	}{
		"an error":             {func() (Answer, error) { return Answer{}, errors.New("asking the database: 100% down") }, "asking the database: 100% down"},
		"an error over lines":  {func() (Answer, error) { return Answer{}, errors.New("\n\x1b[31mfirst\tone\r\nsecond") }, "[31mfirst one\n"},
		"an error without end": {func() (Answer, error) { return Answer{}, errors.New(strings.Repeat("ä", 9999)) }, "ä…\n"},
		"an error of nothing":  {func() (Answer, error) { return Answer{}, errors.New(" \n") }, "without saying why"},
		"a panic":              {func() (Answer, error) { panic("hunter2") }, "the endpoint panicked"},
		"a nil map": {func() (Answer, error) {
			nilMap()["hunter2"] = 1
			return Answer{}, nil
		}, "the endpoint panicked"},
		"a value that is no JSON": {func() (Answer, error) {
			return Patch(PatchOperation{Op: "add", Path: "/a", Value: math.Inf(1)}), nil
		}, `encoding the value of add "/a"`},
		"an op that is none": {func() (Answer, error) { return Patch(PatchOperation{Op: "Add", Path: "/a"}), nil }, `want add, remove, replace, move, copy or test`},
	} {
		t.Run(name, func(t *testing.T) {
			w := post(Handler(func(context.Context, *Review) (Answer, error) { return tc.answer() }), barePod)
			checkError(t, w, http.StatusInternalServerError, tc.text)
		})
	}
	t.Run("hanging up is left to net/http", func(t *testing.T) {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("recovered %v", p)
			}
		}()
		post(Handler(func(context.Context, *Review) (Answer, error) { panic(http.ErrAbortHandler) }), barePod)
	})
}

func nilMap() map[string]int { return nil }

func TestMutateRefusesWarnsAndFails(t *testing.T) {
	mutate := func(err error) http.HandlerFunc {
		return Mutate(func(_ context.Context, r *Review, p *corev1.Pod) error {
			r.Warn("careful")
			p.Annotations["a"] = "b"
			return err
		})
	}
	for name, tc := range map[string]struct {
		err       error
		operation string
		want      string
	}{
		"changed":    {nil, "mutate", `{"allowed":true,"warnings":["careful"],"patch":[{"op":"add","path":"/metadata/annotations","value":{"a":"b"}}]}`},
		"validating": {nil, "validate", `{"allowed":true,"warnings":["careful"]}`},
		"refused":    {fmt.Errorf("wrapped: %w", NewRefusal("no")), "mutate", `{"allowed":false,"status":{"message":"no"},"warnings":["careful"]}`},
		"failed":     {errors.New("failing"), "mutate", `failing`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := post(mutate(tc.err), barePod, "ce-operation", tc.operation).Body.String(); got != tc.want+"\n" {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestPatchOperationSendsTheMembersItHas(t *testing.T) {
	for want, op := range map[string]PatchOperation{
		`{"op":"add","path":"/a","value":""}`:                 {Op: "add", Path: "/a", Value: ""},
		`{"op":"replace","path":"/a","value":0}`:              {Op: "replace", Path: "/a", Value: int64(0)},
		`{"op":"test","path":"/a","value":false}`:             {Op: "test", Path: "/a", Value: false},
		`{"op":"add","path":"/a","value":null}`:               {Op: "add", Path: "/a"},
		`{"op":"add","path":"/a","value":9007199254740993}`:   {Op: "add", Path: "/a", Value: int64(9007199254740993)},
		`{"op":"add","path":"/a","value":{"b":[1,"<&>"]}}`:    {Op: "add", Path: "/a", Value: map[string]any{"b": []any{int64(1), "<&>"}}},
		`{"op":"remove","path":"/a"}`:                         {Op: "remove", Path: "/a"},
		`{"op":"move","from":"/b","path":"/a"}`:               {Op: "move", Path: "/a", From: "/b"},
		`{"op":"copy","from":"/b~1c","path":"/a"}`:            {Op: "copy", Path: "/a", From: Path("b/c")},
		`{"op":"add","path":"/metadata/x~0y","value":"100%"}`: {Op: "add", Path: Path("metadata", "x~y"), Value: "100%"},
	} {
		t.Run(want, func(t *testing.T) {
			// encoding/json's own Encoder escapes <, > and & afterwards unless told not to, as Handler does.
			got, err := encode(op)
			if err != nil || string(got) != want {
				t.Errorf("got %s, %v", got, err)
			}
			var back PatchOperation
			if err := json.Unmarshal(got, &back); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(op, back); d != "" {
				t.Errorf("decoded (-want +got):\n%s", d)
			}
		})
	}
	if got, err := json.Marshal(PatchOperation{Op: "remove", Path: "/a", From: "/b", Value: 1}); err != nil || string(got) != `{"op":"remove","path":"/a"}` {
		t.Errorf("a remove sends %s, %v", got, err)
	}
}

// FuzzHandler: whatever is sent, the answer is one of the statuses that are documented, in one line.
func FuzzHandler(f *testing.F) {
	f.Add(barePod, "uid/1", "mutate", "a%20b")
	f.Add(`{"kind":"Pod","spec":{"containers":[{}]}}`, "/", "validate", `"\`)
	f.Add(`{"spec":{"containers":[null]},"metadata":null}`, "", "", "%")
	h := Mutate(func(_ context.Context, r *Review, p *corev1.Pod) error {
		p.Annotations[r.User] = r.UID
		p.Spec.Containers = append([]corev1.Container{{Name: "first"}}, p.Spec.Containers...)
		for i := range p.Spec.Containers {
			p.Spec.Containers[i].Env = append(p.Spec.Containers[i].Env, corev1.EnvVar{Name: "A"})
		}
		return nil
	})
	f.Fuzz(func(t *testing.T, body, id, operation, user string) {
		r := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(strings.NewReader(body)))
		r.Header = http.Header{"Ce-Id": {id}, "Ce-Operation": {operation}, "Ce-Authid": {user}}
		w := httptest.NewRecorder()
		h(w, r)
		switch w.Code {
		case http.StatusOK:
			if operation != "validate" {
				apply(t, body, w.Body.Bytes())
			}
		case http.StatusBadRequest:
			if strings.Count(w.Body.String(), "\n") != 1 {
				t.Errorf("error of more than a line: %q", w.Body)
			}
		default:
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
}
