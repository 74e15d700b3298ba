package review_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"

	"github.com/txn2/amp/internal/fuzztest"
	"github.com/txn2/amp/internal/review"
)

// FuzzRead holds Read and Write against encoding/json and the API's own types. Whatever the bytes are, Read does not panic;
// what it reads is a review for them too, with the same uid and namespace; and the Pod it forwards is the very bytes that
// came. What Write writes, they read as the same verdict.
func FuzzRead(f *testing.F) {
	const patch = `[{"op":"add","path":"/metadata/labels/a~1b","value":{"a":[1.50,null,"<\u003c\u2028"]}},{"op":"move","from":"/a","path":"/b"},{"op":"remove","path":"/c"}]`
	for _, name := range []string{"jupyterhub-user", "worker-generate-name", "dry-run"} {
		f.Add(recorded(f, name), patch, "no GPUs <left>", "w")
	}
	f.Add([]byte(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"\u0061","object":{"metadata":[]}}}`), patch, "", "")
	f.Add([]byte(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":1,"object":7,"userInfo":[],"resource":"x"}}`), `[]`, "\xff", "\n")
	f.Fuzz(func(t *testing.T, body []byte, patch, message, warning string) {
		var r *review.Review
		var err error
		fuzztest.Within(t, time.Second, 64<<20, func() { r, err = review.Read(body, review.Mutate) })
		if err != nil {
			if review.Line(err.Error()) != err.Error() {
				t.Errorf("the error is not one clean line: %q", err)
			}
			return
		}
		if !json.Valid(body) {
			t.Fatalf("read what is not JSON")
		}
		if r.Pod != nil && (!bytes.Contains(body, r.Pod) || !json.Valid(r.Pod)) {
			t.Errorf("the Pod is not what came: %s", r.Pod)
		}
		answered := writes(t, r, patch, message, warning)

		// Keys that come twice or in another case are read otherwise by encoding/json: the API server sends
		// neither.
		var want admissionv1.AdmissionReview
		if duplicateOrOddKeys(body) || json.Unmarshal(body, &want) != nil || want.Request == nil {
			return
		}
		// encoding/json replaces what is not UTF-8 when it reads, and amp when it writes.
		if asWritten(t, r.UID) != string(want.Request.UID) || asWritten(t, r.Namespace) != want.Request.Namespace {
			t.Errorf("read uid %q, namespace %q; encoding/json reads %q, %q", r.UID, r.Namespace, want.Request.UID, want.Request.Namespace)
		}
		if answered != string(want.Request.UID) {
			t.Errorf("answered uid %q, want %q", answered, want.Request.UID)
		}
	})
}

// asWritten is a text as it is after amp has written it as JSON.
func asWritten(t *testing.T, text string) (written string) {
	t.Helper()
	b, err := json.Marshal(text)
	if err == nil {
		err = json.Unmarshal(b, &written)
	}
	if err != nil {
		t.Fatal(err)
	}
	return written
}

// writes has verdicts on r written and read again as the API server does. It returns the uid of the answers.
func writes(t *testing.T, r *review.Review, patch, message, warning string) (uid string) {
	t.Helper()
	var ops []review.Op
	if json.Unmarshal([]byte(patch), &ops) != nil {
		ops = nil
	}
	for _, v := range []review.Verdict{
		skipped(r.Unhandled),
		{Outcome: review.OutcomeMutated, Patch: ops, Warnings: []string{warning}},
		{Outcome: review.OutcomeDenied, Message: message, Code: 403},
	} {
		var got admissionv1.AdmissionReview
		if err := json.Unmarshal(review.Write(&review.Record{Review: r, Verdict: v}), &got); err != nil {
			t.Fatalf("the answer is not JSON: %v", err)
		}
		response := got.Response
		uid = string(response.UID)
		if response.Allowed != v.Allowed() || (len(response.Patch) > 0) != (response.PatchType != nil) || (len(v.Patch) > 0) != (len(response.Patch) > 0) {
			t.Fatalf("the verdict %+v is answered as %+v", v, response)
		}
		if !v.Allowed() && utf8.ValidString(message) && (response.Result.Message != message || response.Result.Code != 403) {
			t.Errorf("the message %q is answered as %+v", message, response.Result)
		}
		if len(v.Warnings) > 0 && utf8.ValidString(warning) && !cmp.Equal(v.Warnings, response.Warnings) {
			t.Errorf("the warnings %q are answered as %q", v.Warnings, response.Warnings)
		}
		if len(v.Patch) == 0 {
			continue
		}
		var back []review.Op
		if err := json.Unmarshal(response.Patch, &back); err != nil {
			t.Fatalf("the patch is not JSON: %v", err)
		}
		want, err := json.Marshal(v.Patch)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := json.Marshal(back); err != nil || !bytes.Equal(same, want) {
			t.Errorf("the patch %s is answered as %s", want, response.Patch)
		}
	}
	return uid
}

// duplicateOrOddKeys reports whether an object on the way to what Read looks up holds a key twice, or one
// that equals another but for its case.
func duplicateOrOddKeys(body []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(body))
	return oddKeys(dec)
}

func oddKeys(dec *json.Decoder) bool {
	token, err := dec.Token()
	if err != nil {
		return true
	}
	switch token {
	case json.Delim('{'):
		seen := map[string]bool{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return true
			}
			name := key.(string)
			folded := strings.ToLower(strings.ToUpper(name))
			if seen[folded] || oddKeys(dec) {
				return true
			}
			// encoding/json takes UID for uid.
			for _, known := range []string{"kind", "apiVersion", "request", "uid", "namespace", "object"} {
				if name != known && strings.EqualFold(name, known) {
					return true
				}
			}
			seen[folded] = true
		}
		_, err = dec.Token()
	case json.Delim('['):
		for dec.More() {
			if oddKeys(dec) {
				return true
			}
		}
		_, err = dec.Token()
	}
	return err != nil
}

// FuzzTexts checks what holds for every text that a user sees. A warning of a failure that was ignored fits, it is one
// line, and it begins with the whole cause unless the cause alone is too long. An explanation of a dry run that is written
// and read again is the same, whatever was read first.
func FuzzTexts(f *testing.F) {
	f.Add("answered 500", "mutate", eventID)
	f.Add(strings.Repeat("ü", 250), strings.Repeat("é", 100), "")
	f.Add("", "", "")
	f.Add("amp: dry run, mutate: mutated, operations: 2", "", "")
	f.Add("amp: dry run, validate: shadow mode, else denied: no GPUs left", "", "")
	f.Add("amp: dry run, mutate: shadow mode, else failed: endpoint http://a: answered 500", "", "")
	f.Fuzz(func(t *testing.T, text, path, event string) {
		fuzztest.Within(t, time.Second, 16<<20, func() {
			holdIgnored(t, text, path, event)
			holdExplanation(t, text)
		})
	})
}

func holdIgnored(t *testing.T, cause, path, event string) {
	t.Helper()
	event = strings.ToValidUTF8(review.Line(event), "")
	warning := ignored(t, "http://hook/"+strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' && r < 0x80 || r == utf8.RuneError {
			return -1
		}
		return r
	}, path), cause, event)
	if n := utf8.RuneCountInString(warning); n > review.MaxWarning || review.Line(warning) != warning {
		t.Fatalf("%d characters: %q", n, warning)
	}
	whole := "amp: not mutated: " + review.Line(cause)
	switch {
	case utf8.RuneCountInString(whole) <= review.MaxWarning && !strings.HasPrefix(warning, strings.TrimSpace(whole)):
		t.Fatalf("%q does not begin with %q", warning, whole)
	case utf8.ValidString(cause) && !utf8.ValidString(warning):
		t.Fatalf("cut within a character: %q", warning)
	}
}

func holdExplanation(t *testing.T, warning string) {
	t.Helper()
	first, ok := review.ParseExplanation(warning)
	if !ok {
		return
	}
	written := first.String()
	if n := utf8.RuneCountInString(written); n > 250 {
		t.Fatalf("%q has %d characters", written, n)
	}
	second, ok := review.ParseExplanation(written)
	if utf8.RuneCountInString(warning) > 250 {
		return // it may be cut anywhere
	}
	if !ok || second != first {
		t.Fatalf("%q is read as %+v, written as %q, read as %+v", warning, first, written, second)
	}
}
