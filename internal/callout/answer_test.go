package callout

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/review"
)

// The parser is not exported: what it makes of an answer is the package's whole knowledge of
// what answers mean, and a server for each row would hide it.

const (
	add  = `{"op":"add","path":"/metadata/labels/a","value":"b"}`
	html = "text/html; charset=utf-8"
)

var added = []review.Op{{Op: "add", Path: "/metadata/labels/a", Value: json.RawMessage(`"b"`)}}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

type answerTest struct {
	status      int // 0: 200
	contentType string
	body        string

	want   review.Answer // its Status is the test's
	cause  string        // of the failure; empty: none
	result review.Result // of the failure; empty: invalid
}

func (tt answerTest) run(t *testing.T, op review.Phase) {
	t.Helper()
	if tt.status == 0 {
		tt.status = 200
	}
	if tt.contentType == "" {
		tt.contentType = "application/json"
	}
	got, failure := parse(op, tt.status, tt.contentType, []byte(tt.body))
	if tt.cause != "" {
		if tt.result == "" {
			tt.result = review.ResultInvalid
		}
		if want := (&review.Failure{Result: tt.result, Cause: tt.cause}); !cmp.Equal(want, failure) {
			t.Errorf("failure (-want +got):\n%s", cmp.Diff(want, failure))
		}
		return
	}
	if failure != nil {
		t.Fatalf("failure %q", failure.Cause)
	}
	tt.want.Status = tt.status
	if diff := cmp.Diff(tt.want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestParseMutate(t *testing.T) {
	long := strings.Repeat("ä", 2000)
	for name, tt := range map[string]answerTest{
		"an array is the patch":                      {body: "[" + add + "]", want: review.Answer{Ops: added}},
		"white space around it":                      {body: "\r\n [" + add + "]\t\n", want: review.Answer{Ops: added}},
		"an empty array is no change":                {body: "[]"},
		"null is no change":                          {body: "null"},
		"204 is no change":                           {status: 204},
		"any other 2xx is read":                      {status: 202, body: "[" + add + "]", want: review.Answer{Ops: added}},
		"the content type of an answer is not asked": {contentType: "text/plain", body: "[]"},
		"unknown members of an op are ignored": {
			body: `[{"op":"add","path":"/metadata/labels/a","value":"b","OP":"remove","why":{}}]`, want: review.Answer{Ops: added}},
		"from is ignored where the op does not define it": {
			body: `[{"op":"add","path":"/metadata/labels/a","value":"b","from":5}]`, want: review.Answer{Ops: added}},
		"all ops of RFC 6902, null apart from absent": {
			body: `[{"op":"add","path":"/a","value":null},{"op":"remove","path":"/a"},{"op":"replace","path":"/a","value":[1.0]},` +
				`{"op":"move","from":"/a","path":"/b"},{"op":"copy","from":"","path":"/b~1\u00e9"},{"op":"test","path":"","value":{}}]`,
			want: review.Answer{Ops: []review.Op{
				{Op: "add", Path: "/a", Value: json.RawMessage(`null`)},
				{Op: "remove", Path: "/a"},
				{Op: "replace", Path: "/a", Value: json.RawMessage(`[1.0]`)},
				{Op: "move", Path: "/b", From: "/a"},
				{Op: "copy", Path: "/b~1é"},
				{Op: "test", Value: json.RawMessage(`{}`)},
			}}},

		"an object with a patch":                  {body: `{"patch":[` + add + `]}`, want: review.Answer{Ops: added}},
		"a patch in base64, as in the API":        {body: `{"allowed":true,"patchType":"JSONPatch","patch":"` + b64("["+add+"]") + `"}`, want: review.Answer{Ops: added}},
		"a patch that is null":                    {body: `{"patch":null}`},
		"an empty patch":                          {body: `{"patch":[]}`},
		"allowed and nothing else":                {body: `{"allowed":true}`},
		"null where nothing is set":               {body: `{"allowed":true,"status":null,"warnings":null,"patch":null}`},
		"the status of an allowed Pod is ignored": {body: `{"allowed":true,"status":{"message":"fine","code":403}}`},
		"warnings, one line each": {
			body: `{"warnings":["two\nlines","","\u0007bell","` + long + `"]}`,
			want: review.Answer{Warnings: []string{"two lines", "bell", strings.Repeat("ä", 255) + "…"}}},
		"too many warnings": {
			body: `{"warnings":[` + strings.Repeat(`"w",`, 30) + `"w"]}`,
			want: review.Answer{Warnings: slices.Repeat([]string{"w"}, 16)}},

		"a refusal": {body: `{"allowed":false,"status":{"message":"no GPU\r\nfor you","code":403}}`,
			want: review.Answer{Refused: true, Message: "no GPU for you", Code: 403}},
		"a refusal without a word":               {body: `{"allowed":false}`, want: review.Answer{Refused: true}},
		"a refusal with warnings":                {body: `{"allowed":false,"warnings":["w"]}`, want: review.Answer{Refused: true, Warnings: []string{"w"}}},
		"a refusal's patch is not applied":       {body: `{"allowed":false,"patch":[` + add + `]}`, want: review.Answer{Refused: true}},
		"a refusal's long message":               {body: `{"allowed":false,"status":{"message":"` + long + `"}}`, want: review.Answer{Refused: true, Message: strings.Repeat("ä", 1023) + "…"}},
		"a code that is not an error is dropped": {body: `{"allowed":false,"status":{"code":200}}`, want: review.Answer{Refused: true}},
		"a code beyond all statuses is dropped":  {body: `{"allowed":false,"status":{"code":1e30}}`, want: review.Answer{Refused: true}},
		"the last code":                          {body: `{"allowed":false,"status":{"code":599}}`, want: review.Answer{Refused: true, Code: 599}},

		"an empty body": {body: " \n", cause: "answered 200 with an empty body; where nothing is to change, answer [], null or status 204"},
		"an object that says nothing": {body: `{}`,
			cause: `answered 200 with an object that has none of allowed, status, warnings, patch; expected a JSON array of patch operations, {"allowed":…} or status 204`},
		"names are case-sensitive": {body: `{"Allowed":false}`,
			cause: `answered 200 with an object that has none of allowed, status, warnings, patch; expected a JSON array of patch operations, {"allowed":…} or status 204`},
		"a whole AdmissionReview": {body: `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"u","allowed":true}}`,
			cause: `answered 200 with a whole AdmissionReview; answer its response only: {"allowed":…,"patch":…}`},
		"an AdmissionReview without its type": {body: `{"response":{"allowed":true}}`,
			cause: `answered 200 with a whole AdmissionReview; answer its response only: {"allowed":…,"patch":…}`},
		"the Pod, changed": {body: `{"apiVersion":"v1","kind":"Pod","spec":{},"status":{}}`,
			cause: `answered 200 with a Pod; expected a JSON array of patch operations, {"allowed":…} or status 204`},
		"no JSON":              {contentType: html, body: "<h1>hello</h1>", cause: "answered 200 with a body that is not JSON (content type text/html; charset=utf-8)"},
		"JSON that ends early": {body: "[" + add, cause: "answered 200 with a body that is not JSON (content type application/json)"},
		"something after it":   {body: "[" + add + "]]", cause: "answered 200 with a body that is not JSON (content type application/json)"},
		"an object and more":   {body: `{"allowed":true}{}`, cause: "answered 200 with a body that is not JSON (content type application/json)"},
		"null and more":        {body: "null!", cause: "answered 200 with a body that is not JSON (content type application/json)"},
		"a string":             {body: `"ok"`, cause: `answered 200 with a string; expected a JSON array of patch operations, {"allowed":…} or status 204`},
		"true":                 {body: `true`, cause: `answered 200 with a boolean; expected a JSON array of patch operations, {"allowed":…} or status 204`},

		"an unknown op":            {body: `[` + add + `,{"op":"ADD","path":"/x"}]`, cause: `op 2 ("ADD" "/x"): unknown op; RFC 6902 knows add, remove, replace, move, copy, test, in lower case`},
		"an op in capitals":        {body: `[{"OP":"add","path":"/x"}]`, cause: `op 1: it has no "op"; RFC 6902 knows add, remove, replace, move, copy, test`},
		"an op that is a number":   {body: `[{"op":3}]`, cause: `op 1: its "op" is a number, not a string; RFC 6902 knows add, remove, replace, move, copy, test`},
		"no path":                  {body: `[{"op":"remove"}]`, cause: `op 1 (remove): it has no "path"`},
		"a path that is null":      {body: `[{"op":"remove","path":null}]`, cause: `op 1 (remove): its "path" is null, not a string`},
		"a path that is a list":    {body: `[{"op":"remove","path":["a"]}]`, cause: `op 1 (remove): its "path" is an array, not a string`},
		"a move from nowhere":      {body: `[{"op":"move","path":"/a"}]`, cause: `op 1 (move): it has no "from"`},
		"ops that are not objects": {body: `[` + add + `,"remove"]`, cause: `op 2 is a string, not an object`},
		"an op that is null":       {body: `[null]`, cause: `op 1: it has no "op"; RFC 6902 knows add, remove, replace, move, copy, test`},
		"an unknown op in base64": {body: `{"patch":"` + b64(`[{"op":"mv","path":"/x"}]`) + `"}`,
			cause: `op 1 ("mv" "/x"): unknown op; RFC 6902 knows add, remove, replace, move, copy, test, in lower case`},

		"a patch that is text":        {body: `{"patch":"[]"}`, cause: "answered 200 with a patch that is a string, but not the base64 of a JSON array"},
		"a patch that is an object":   {body: `{"patch":{}}`, cause: "answered 200 with a patch that is an object, not an array or the base64 of one"},
		"base64 of something else":    {body: `{"patch":"` + b64(`{}`) + `"}`, cause: "answered 200 with a patch whose base64 does not hold a JSON array"},
		"base64 of nothing":           {body: `{"patch":""}`, cause: "answered 200 with a patch whose base64 does not hold a JSON array"},
		"base64 of half an array":     {body: `{"patch":"` + b64(`[`) + `"}`, cause: "answered 200 with a patch that is not a JSON array"},
		"allowed that is a string":    {body: `{"allowed":"false"}`, cause: `answered 200 with an "allowed" that is a string, not true or false`},
		"allowed that is null":        {body: `{"allowed":null}`, cause: `answered 200 with an "allowed" that is null, not true or false`},
		"a status that is a string":   {body: `{"allowed":false,"status":"no"}`, cause: `answered 200 with a "status" that is a string, not an object with message and code`},
		"a message that is a list":    {body: `{"allowed":false,"status":{"message":["no"]}}`, cause: `answered 200 with a "status.message" that is an array, not a string`},
		"a code that is a string":     {body: `{"allowed":false,"status":{"code":"403"}}`, cause: `answered 200 with a "status.code" that is a string, not an HTTP status`},
		"warnings that are a string":  {body: `{"warnings":"w"}`, cause: `answered 200 with "warnings" that are a string, not an array of strings`},
		"a warning that is an object": {body: `{"warnings":["w",{}]}`, cause: `answered 200 with "warnings" of which number 2 is an object, not a string`},

		"a redirect": {status: 302, result: review.ResultStatus,
			cause: "answered 302: amp does not follow redirects; name the final URL in the annotation"},
		"an error": {status: 500, body: "not for people", result: review.ResultStatus, cause: "answered 500 Internal Server Error"},
		"an error with a text": {status: 500, contentType: "text/plain; charset=utf-8", body: "\n\x1b\n  no such\tuser: \xffjane \nstack trace",
			result: review.ResultStatus, cause: "answered 500 Internal Server Error: no such user: jane"},
		"an error with a long text": {status: 404, contentType: "text/plain", body: long,
			result: review.ResultStatus, cause: "answered 404 Not Found: " + strings.Repeat("ä", 119) + "…"},
		"an error with a page":           {status: 502, contentType: html, body: "<h1>", result: review.ResultStatus, cause: "answered 502 Bad Gateway"},
		"a status without a name":        {status: 599, result: review.ResultStatus, cause: "answered 599"},
		"a patch does not save an error": {status: 400, body: "[" + add + "]", result: review.ResultStatus, cause: "answered 400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) { tt.run(t, review.Mutate) })
	}
}

func TestParseValidate(t *testing.T) {
	for name, tt := range map[string]answerTest{
		"204 admits":                {status: 204},
		"allowed admits":            {body: `{"allowed":true}`},
		"warnings alone admit":      {body: `{"warnings":["w"]}`, want: review.Answer{Warnings: []string{"w"}}},
		"a refusal":                 {body: `{"allowed":false,"status":{"message":"no","code":422}}`, want: review.Answer{Refused: true, Message: "no", Code: 422}},
		"a patch that is null":      {body: `{"allowed":true,"patch":null}`},
		"a patch that is empty":     {body: `{"allowed":true,"patch":[]}`},
		"an empty patch in base64":  {body: `{"allowed":true,"patch":"` + b64("[]") + `"}`},
		"a patch is for mutating":   {body: `{"allowed":true,"patch":[` + add + `]}`, cause: `answered 200 with a patch, which a validating review cannot have; expected {"allowed":…} or status 204`},
		"an array is for mutating":  {body: `[]`, cause: `answered 200 with an array, as if this were a mutating review; expected {"allowed":…} or status 204`},
		"null is for mutating":      {body: `null`, cause: `answered 200 with null; expected {"allowed":…} or status 204`},
		"half an array is not JSON": {body: `[`, cause: "answered 200 with a body that is not JSON (content type application/json)"},
		"an empty body":             {cause: `answered 200 with an empty body; where nothing is to change, answer status 204 or {"allowed":true}`},
		"a redirect":                {status: 307, result: review.ResultStatus, cause: "answered 307: amp does not follow redirects; name the final URL in the annotation"},
	} {
		t.Run(name, func(t *testing.T) { tt.run(t, review.Validate) })
	}
}

// Whatever an endpoint says, parse does not panic, what it lets through has only known ops, and what people
// will read is one line.
func FuzzParse(f *testing.F) {
	for _, body := range []string{
		"", "null", "[]", "[" + add + "]", `[{"op":"move","from":"/a","path":"/b"}]`, `[null,5]`, `[{"op":"\u0061dd","path":"/\ud800"}]`,
		`{"allowed":false,"status":{"message":"a\nb","code":403},"warnings":["\r\u2028\u0085"]}`,
		`{"patch":"` + b64("["+add+"]") + `"}`, `{"kind":"AdmissionReview","response":{}}`, "no\nsuch\x00user", "\xff\xfe",
	} {
		f.Add(true, 200, "application/json", []byte(body))
		f.Add(false, 200, "", []byte(body))
		f.Add(true, 500, "text/plain", []byte(body))
	}
	f.Fuzz(func(t *testing.T, mutate bool, status int, contentType string, body []byte) {
		op := review.Validate
		if mutate {
			op = review.Mutate
		}
		answer, failure := parse(op, status, contentType, body)
		if failure != nil {
			oneLine(t, failure.Cause, maxCause)
			if failure.Cause == "" || failure.Result == "" {
				t.Errorf("a failure without a cause: %+v", failure)
			}
			return
		}
		if answer.Status/100 != 2 {
			t.Errorf("an answer of status %d", answer.Status)
		}
		for _, o := range answer.Ops {
			if !slices.Contains(strings.Split(knownOps, ", "), o.Op) {
				t.Errorf("op %q", o.Op)
			}
			if o.Value != nil && !json.Valid(o.Value) {
				t.Errorf("value %q", o.Value)
			}
		}
		if op == review.Validate && len(answer.Ops) > 0 || answer.Refused && len(answer.Ops) > 0 {
			t.Errorf("a patch where there can be none: %+v", answer)
		}
		if answer.Code != 0 && (answer.Code < 400 || answer.Code > 599) {
			t.Errorf("code %d", answer.Code)
		}
		oneLine(t, answer.Message, maxMessage)
		if len(answer.Warnings) > maxWarnings {
			t.Errorf("%d warnings", len(answer.Warnings))
		}
		for _, w := range answer.Warnings {
			oneLine(t, w, maxWarning)
		}
	})
}

func oneLine(t *testing.T, s string, limit int) {
	t.Helper()
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > limit || strings.ContainsFunc(s, unicode.IsControl) {
		t.Errorf("not one line of at most %d characters: %q", limit, s)
	}
}

func BenchmarkParse(b *testing.B) {
	body := []byte("[" + strings.Repeat(add+",", 4) + add + "]")
	b.ReportAllocs()
	for b.Loop() {
		if _, f := parse(review.Mutate, 200, "application/json", body); f != nil {
			b.Fatal(f)
		}
	}
}
