package callout

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/review"
)

// TestTooManyOps: in each form of a patch, of any kind of element. The check of the patch relies on it.
func TestTooManyOps(t *testing.T) {
	array := func(n int, op string) string { return "[" + strings.TrimSuffix(strings.Repeat(op+",", n), ",") + "]" }
	const op = `{"op":"remove","path":"/a"}`
	for sentence, body := range map[string]func(n int) string{
		"an array":             func(n int) string { return array(n, op) },
		"white space around":   func(n int) string { return " \n" + array(n, op) + "\n" },
		"a patch of an answer": func(n int) string { return `{"allowed":true,"patch":` + array(n, op) + "}" },
		"one in base64": func(n int) string {
			return `{"allowed":true,"patch":"` + base64.StdEncoding.EncodeToString([]byte(array(n, op))) + `"}`
		},
		"elements of one byte": func(n int) string {
			if n <= review.MaxOps {
				return "[]"
			}
			return array(n, "1")
		},
	} {
		if answer, f := parse(review.Mutate, http.StatusOK, http.Header{}, []byte(body(review.MaxOps)), nil); f != nil || len(answer.Ops) > review.MaxOps {
			t.Errorf("%s: %d ops, failure %v", sentence, len(answer.Ops), f)
		}
		const want = "the patch has 10001 ops; the limit is 10000, as for a PATCH request to the API server"
		if answer, f := parse(review.Mutate, http.StatusOK, http.Header{}, []byte(body(review.MaxOps+1)), nil); f == nil || f.Cause != want || len(answer.Ops) > 0 {
			t.Errorf("%s: %d ops, failure %v, want %s", sentence, len(answer.Ops), f, want)
		}
	}
}
