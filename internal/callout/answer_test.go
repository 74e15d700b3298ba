package callout

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/fuzztest"
	"github.com/txn2/amp/internal/review"
)

// The parser is not exported: what it makes of an answer is the package's whole knowledge of
// what answers mean, and a server for each row would hide it.

const (
	add = `{"op":"add","path":"/metadata/labels/a","value":"b"}`
)

var added = []review.Op{{Op: "add", Path: "/metadata/labels/a", Value: json.RawMessage(`"b"`)}}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

type answerTest struct {
	status      int    // 0: 200
	contentType string // empty: application/json
	encoding    string // Content-Encoding
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
	header := http.Header{"Content-Type": {tt.contentType}}
	if tt.contentType == "none" {
		header = nil
	}
	if tt.encoding != "" {
		header["Content-Encoding"] = []string{tt.encoding}
	}
	got, failure := parse(op, tt.status, header, []byte(tt.body), nil)
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

		"an object with a patch":           {body: `{"patch":[` + add + `]}`, want: review.Answer{Ops: added}},
		"a patch in base64, as in the API": {body: `{"allowed":true,"patchType":"JSONPatch","patch":"` + b64("["+add+"]") + `"}`, want: review.Answer{Ops: added}},
		"a patch that is null":             {body: `{"patch":null}`},
		"an empty patch":                   {body: `{"patch":[]}`},
		"allowed and nothing else":         {body: `{"allowed":true}`},
		"null where nothing is set":        {body: `{"allowed":true,"status":null,"warnings":null,"patch":null}`},
		"warnings, one line each": {
			body: `{"warnings":["two\nlines","","\u0007bell","` + long + `"]}`,
			want: review.Answer{Warnings: []string{"two lines", "bell", strings.Repeat("ä", 255) + "…"}}},
		"too many warnings": {
			body: `{"warnings":[` + strings.Repeat(`"w",`, 40) + `"w"]}`,
			want: review.Answer{Warnings: slices.Repeat([]string{"w"}, 32), MoreWarnings: 9}},

		"an empty body": {body: " \n", cause: "answered 200 with an empty body; where nothing is to change, answer [], null or status 204"},

		"an unknown op":                {body: `[` + add + `,{"op":"ADD","path":"/x"}]`, cause: `op 2 ("ADD" "/x"): unknown op; RFC 6902 knows add, remove, replace, move, copy, test, in lower case`},
		"an op that is a number":       {body: `[{"op":3}]`, cause: `op 1: its "op" is a number, not a string; RFC 6902 knows add, remove, replace, move, copy, test`},
		"no path":                      {body: `[{"op":"remove"}]`, cause: `op 1 (remove): it has no "path"`},
		"a path that is null":          {body: `[{"op":"remove","path":null}]`, cause: `op 1 (remove): its "path" is null, not a string`},
		"a path that is a list":        {body: `[{"op":"remove","path":["a"]}]`, cause: `op 1 (remove): its "path" is an array, not a string`},
		"a move from nowhere":          {body: `[{"op":"move","path":"/a"}]`, cause: `op 1 (move): it has no "from"`},
		"ops that are not objects":     {body: `[` + add + `,"remove"]`, cause: `op 2 is a string, not an object`},
		"ops in an array of their own": {body: `[[` + add + `]]`, cause: `op 1 is an array, not an object; answer one array of all operations`},
		"an op that is a text of JSON": {body: `["{\"op\":\"remove\",\"path\":\"/a\"}"]`, cause: `op 1 is a string that holds JSON, not an object; encode it once`},
		"a Buffer of Node":             {body: `{"type":"Buffer","data":[91,93]}`, cause: `answered 200 with a Buffer, as JSON.stringify writes it; answer its bytes`},
		"an unknown op in base64": {body: `{"patch":"` + b64(`[{"op":"mv","path":"/x"}]`) + `"}`,
			cause: `op 1 ("mv" "/x"): unknown op; RFC 6902 knows add, remove, replace, move, copy, test, in lower case`},

		"an op in capitals":                          {body: `[{"OP":"add","path":"/x"}]`, cause: `op 1: it has "OP" instead of "op"`},
		"an op that is null":                         {body: `[` + add + `,null]`, cause: `op 2 is null, not an object`},
		"the fields of Go":                           {body: `[{"Op":"add","Path":"/x","Value":1}]`, cause: `op 1: it has "Op" instead of "op"`},
		"a path in Go":                               {body: `[{"op":"add","Path":"/x","Value":1}]`, cause: `op 1: it has "Path" instead of "path"`},
		"a value in Go":                              {body: `[{"op":"add","path":"/x","Value":1}]`, cause: `op 1: it has "Value" instead of "value"`},
		"a value misspelt":                           {body: `[{"op":"test","path":"/x","vlaue":1}]`, cause: `op 1: it has "vlaue" instead of "value"`},
		"a from misspelt":                            {body: `[{"op":"move","path":"/x","From":"/y"}]`, cause: `op 1: it has "From" instead of "from"`},
		"another word for op":                        {body: `[{"operation":"add","path":"/x"}]`, cause: `op 1: it has "operation" instead of "op"`},
		"an answer in an array":                      {body: `[{"allowed":false}]`, cause: `op 1: it has "allowed" instead of "op": it is an answer, not an operation; answer the object itself, without [ ]`},
		"an answer with a patch in an array":         {body: `[{"patch":[` + add + `]}]`, cause: `op 1: it has "patch" instead of "op": it is an answer, not an operation; answer the object itself, without [ ]`},
		"no member that helps":                       {body: `[{"path":"/x","why":"y"}]`, cause: `op 1: it has no "op"; RFC 6902 knows add, remove, replace, move, copy, test`},
		"without value, which internal/patch judges": {body: `[{"op":"add","path":"/x","why":"y"}]`, want: review.Answer{Ops: []review.Op{{Op: "add", Path: "/x"}}}},
		"a remove needs none":                        {body: `[{"op":"remove","path":"/x","Value":"y"}]`, want: review.Answer{Ops: []review.Op{{Op: "remove", Path: "/x"}}}},

		"base64 of something else":       {body: `{"patch":"` + b64(`{}`) + `"}`, cause: "answered 200 with a patch whose base64 does not hold a JSON array"},
		"base64 of nothing":              {body: `{"patch":""}`, cause: "answered 200 with a patch whose base64 does not hold a JSON array"},
		"base64 of half an array":        {body: `{"patch":"` + b64(`[`) + `"}`, cause: "answered 200 with a patch that is not a JSON array"},
		"base64 after a byte order mark": {body: `{"patch":"` + b64("\uFEFF["+add+"]") + `"}`, want: review.Answer{Ops: added}},
		"base64 of UTF-16":               {body: `{"patch":"` + b64("\xff\xfe[\x00]\x00") + `"}`, cause: "answered 200 with a patch whose base64 holds a body in UTF-16; encode it as UTF-8"},
		"base64 of base64":               {body: `{"patch":"` + b64(b64("["+add+"]")) + `"}`, cause: "answered 200 with a patch whose base64 was encoded twice; encode it once"},
		"base64 without padding":         {body: `{"patch":"` + strings.TrimRight(b64("["+add+" ]"), "=") + `"}`, cause: "answered 200 with a patch in another kind of base64; use the standard alphabet (+ and /), with padding"},
		"a patch that is text":           {body: `{"patch":"[]"}`, cause: "answered 200 with a patch that is a string of JSON; put the array itself there, not its text"},
		"a patch that is an object":      {body: `{"patch":{}}`, cause: "answered 200 with a patch that is an object, not an array or the base64 of one; put each operation into an array"},
		"a patch that is a number":       {body: `{"patch":1}`, cause: "answered 200 with a patch that is a number, not an array or the base64 of one"},

		"answers in an array":        {body: `{"results":[{"allowed":false}]}`, cause: `answered 200 with an object that has none of allowed, status, warnings, patch; ` + expectedMutate},
		"a Status with its metadata": {body: `{"kind":"Status","metadata":{},"status":"Failure","message":"no"}`, cause: `answered 200 with an object of kind "Status"; ` + expectedMutate},
		"a Deployment":               {body: `{"kind":"Deployment","metadata":{},"spec":{}}`, cause: `answered 200 with an object of kind "Deployment"; ` + expectedMutate},
		"a Pod under another name":   {body: `{"allowed":true,"pod":{"metadata":{},"spec":{}}}`, cause: `answered 200 with a Pod in "pod"; answer a JSON patch in "patch"`},
		"a Pod beside a patch":       {body: `{"patch":[` + add + `],"was":{"kind":"Pod"}}`, want: review.Answer{Ops: added}},
		"a denial by its status": {status: 403, contentType: "text/plain", body: "no quota", result: review.ResultStatus,
			cause: `answered 403 Forbidden: no quota; to deny a Pod, answer {"allowed":false,…} with status 200`},
		"a denial by its status, in JSON": {status: 403, body: `{"error":"no quota"}`, result: review.ResultStatus,
			cause: `answered 403 Forbidden: no quota; to deny a Pod, answer {"allowed":false,…} with status 200`},
		"a status that is no redirect": {status: 304, result: review.ResultStatus, cause: "answered 304 Not Modified"},

		"a redirect": {status: 302, result: review.ResultStatus,
			cause: "answered 302: amp does not follow redirects; name the final URL in the annotation"},
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
		"half an array is not JSON": {body: `[`, cause: "answered 200 with a body that is not JSON: it ends at line 1, column 2, before the JSON is complete; does Content-Length count bytes?"},
		"an empty body":             {cause: `answered 200 with an empty body; where nothing is to change, answer status 204 or {"allowed":true}`},
		"a redirect":                {status: 307, result: review.ResultStatus, cause: "answered 307: amp does not follow redirects; name the final URL in the annotation"},
	} {
		t.Run(name, func(t *testing.T) { tt.run(t, review.Validate) })
	}
}

// Whatever an endpoint says, parse does not panic, what it lets through has only known ops, and what people will read is
// one line. What says no is never an admission: see saysNo.
func FuzzParse(f *testing.F) {
	for _, body := range []string{
		"", "null", "[]", "[" + add + "]", `[{"op":"move","from":"/a","path":"/b"}]`, `[null,5]`, `[{"op":"\u0061dd","path":"/\ud800"}]`,
		`[{"Op":"add","path":"/a","vaule":1}]`, "[{'op': True}]", "INFO\n[]", "\uFEFF{}", "[\x00]\x00", "\x1f\x8b\x08", `"[]"`, "<html><title>x", "- op: add",
		`{"allowed":false,"status":{"message":"a\nb","code":403},"warnings":["\r\u2028\u0085"]}`,
		`{"status":{"message":"no","reason":"no","code":403},"patch":null}`, `{"allowed":true,"deny":["no"]}`, `{"Allowed":false,"warnings":["w"]}`,
		`{"allowed":false,"allowed":true}`, `{"metadata":{},"spec":{},"status":{}}`, `{"warning":"w","message":"no"}`,
		`{"patch":"` + b64("["+add+"]") + `"}`, `{"kind":"AdmissionReview","response":{}}`, "no\nsuch\x00user", "\xff\xfe",
		`{}`, ` { "a" : [ { } , "\"}" ] , "\u0062":-1.5e3,"a":null }`, `[[],{},"]",true, 1 ]`, `{"a":{"b":{"c":"\\"}}}`,
		`{"error":{"message":"x"}}`, `{"detail":[{"msg":"x"}]`, `<title>Error</title><pre>x<br>`,
	} {
		for _, mutate := range []bool{true, false} {
			f.Add(mutate, 200, "application/json", "", []byte(body))
			f.Add(mutate, 500, "text/plain", "gzip", []byte(body))
		}
		f.Add(true, 500, "application/json", "", []byte(body))
		f.Add(true, 500, "text/html", "", []byte(body))
	}
	f.Fuzz(func(t *testing.T, mutate bool, status int, contentType, encoding string, body []byte) {
		phase := review.Validate
		if mutate {
			phase = review.Mutate
		}
		header := http.Header{"Content-Type": {contentType}}
		if encoding != "" {
			header["Content-Encoding"] = []string{encoding}
		}
		before := slices.Clone(body)
		holdMembers(t, body)
		var answer review.Answer
		var failure *review.Failure
		fuzztest.Within(t, time.Second, 64<<20, func() { answer, failure = parse(phase, status, header, body, nil) })
		if !slices.Equal(before, body) {
			t.Error("the body was changed")
		}
		if failure != nil {
			oneLine(t, failure.Cause, maxCause)
			if failure.Cause == "" || failure.Result == "" {
				t.Errorf("a failure without a cause: %+v", failure)
			}
			if !cmp.Equal(answer, review.Answer{}) {
				t.Errorf("a failure with an answer: %+v", answer)
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
			if o.Value != nil && !(json.Valid(o.Value) && utf8.Valid(o.Value)) {
				t.Errorf("value %q", o.Value)
			}
		}
		if phase == review.Validate && len(answer.Ops) > 0 || answer.Refused && len(answer.Ops) > 0 {
			t.Errorf("a patch where there can be none: %+v", answer)
		}
		if answer.Code != 0 && (answer.Code < 400 || answer.Code > 599 || !answer.Refused) {
			t.Errorf("code %d", answer.Code)
		}
		if status != http.StatusNoContent && !answer.Refused {
			if why := saysNo(body); why != "" {
				t.Errorf("admitted, but the answer says no (%s): %q", why, body)
			}
		}
		oneLine(t, answer.Message, maxMessage)
		if len(answer.Warnings) > review.MaxWarnings {
			t.Errorf("%d warnings", len(answer.Warnings))
		}
		for _, w := range answer.Warnings {
			oneLine(t, w, review.MaxWarning)
		}
	})
}

// saysNo says where a body denies a Pod, as a person would read it; it is empty if it does not. It is not how parse
// decides: it decodes into maps, and takes every spelling.
func saysNo(body []byte) string {
	var object map[string]any
	if json.Unmarshal([]byte(strings.TrimPrefix(string(body), "\uFEFF")), &object) != nil || object == nil {
		return ""
	}
	for name, value := range object {
		switch lower := strings.ToLower(name); {
		case strings.HasPrefix(lower, "allow") && value != true && value != nil:
			return name
		case (lower == "denied" || lower == "deny") && value == true:
			return name
		case (lower == "message" || lower == "reason" || lower == "error") && value != "" && value != nil && value != false && value != 0.0 &&
			!cmp.Equal(value, []any{}) && !cmp.Equal(value, map[string]any{}):
			return name
		case name == "spec", name == "metadata", name == "response":
			if value != nil {
				return name
			}
		}
	}
	if status, ok := object["status"].(map[string]any); ok {
		_, said := object["allowed"]
		code, _ := status["code"].(float64)
		if !said || code >= 400 {
			return "status"
		}
	}
	return ""
}

func oneLine(t *testing.T, s string, limit int) {
	t.Helper()
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > limit || strings.ContainsFunc(s, unicode.IsControl) {
		t.Errorf("not one line of at most %d characters: %q", limit, s)
	}
}

func BenchmarkParse(b *testing.B) {
	body := []byte("[" + strings.Repeat(add+",", 4) + add + "]")
	header := http.Header{"Content-Type": {"application/json"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, f := parse(review.Mutate, 200, header, body, nil); f != nil {
			b.Fatal(f)
		}
	}
}
