package callout

import (
	"compress/gzip"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/review"
)

// Each cause begins with "answered 500 Internal Server Error".
func TestErrorText(t *testing.T) {
	long := strings.Repeat("ä", 200)
	for name, tt := range map[string]struct{ contentType, body, cause string }{
		"nothing":                    {"", "", ""},
		"text":                       {"text/plain; charset=utf-8", "\n\x1b\n  no such\tuser: \xffjane \nstack trace", ": no such user: jane"},
		"a long text":                {"text/plain", long, ": " + strings.Repeat("ä", 119) + "…"},
		"a text without a type":      {"none", "no such user\n", ": no such user"},
		"text in UTF-16":             {"text/plain", inUTF16("no such user", 1), ""},
		"text after a mark":          {"text/plain", "\uFEFFno such user", ": no such user"},
		"bytes that are no text":     {"text/plain", "\x01\x02\x03\xff\xfe\xfdab", ""},
		"another type":               {"application/octet-stream", "no such user", ""},
		"the name of the status":     {"text/plain", "500 Internal Server Error\n", ""},
		"JSON as text":               {"text/plain", `{"detail":"no such user"}`, ": no such user"},
		"JSON as text, no teller":    {"text/plain", `{"x":1}`, `: {"x":1}`},
		"JSON without a type":        {"none", `{"error":"no such user"}`, ": no such user"},
		"not JSON":                   {"application/json", "no such user", ""},
		"a message":                  {"application/json", `{"title":"t","error":"e","message":"no such\nuser","detail":"d"}`, ": no such user"},
		"a detail":                   {"application/problem+json", `{"type":"about:blank","title":"t","status":500,"detail":"no such user"}`, ": no such user"},
		"a title":                    {"application/json", `{"status":500,"title":"no such user","errors":{"a":["b"]}}`, ": no such user"},
		"an error":                   {"application/json", `{"error":"no such user"}`, ": no such user"},
		"an error with a message":    {"application/json", `{"error":{"code":500,"message":"no such user"}}`, ": no such user"},
		"errors":                     {"application/json", `{"data":null,"errors":[{},{"message":"no such user"}]}`, ": no such user"},
		"FastAPI":                    {"application/json", `{"detail":[{"type":"missing","loc":["body","spec"],"msg":"Field required","input":{"a":"secret"}}]}`, ": Field required"},
		"Flask":                      {"application/json", `{"code":500,"description":"x","name":"Internal Server Error"}`, ""},
		"Spring":                     {"application/json", `{"timestamp":"2026","status":500,"error":"Internal Server Error","trace":"at x","message":"no such user","path":"/mutate"}`, ": no such user"},
		"Spring without a message":   {"application/json", `{"timestamp":"2026","status":500,"error":"Internal Server Error","path":"/mutate"}`, ""},
		"an empty message":           {"application/json", `{"message":" ","error":"no such user"}`, ": no such user"},
		"capitals":                   {"application/json", `{"Message":"no such user"}`, ": no such user"},
		"a Status":                   {"application/json", `{"kind":"Status","status":"Failure","message":"no such user","code":500}`, ": no such user"},
		"a word for its status":      {"application/json", `{"status":"error","msg":"no such user"}`, ": no such user"},
		"a string":                   {"application/json", ` "no such user"`, ": no such user"},
		"a list":                     {"application/json", `[{"message":"no such user"}]`, ": no such user"},
		"a patch":                    {"application/json", "[" + add + "]", ""},
		"JSON that is cut off":       {"application/json", `{"message":"no such user","trace":"at x`, ": no such user"},
		"cut off before the end":     {"application/json", `{"message":"no such us`, ""},
		"a text that is too deep":    {"application/json", `{"error":{"error":{"error":{"error":{"error":"deep"}}}}}`, ""},
		"a long message":             {"application/json", `{"message":"` + long + `"}`, ": " + strings.Repeat("ä", 119) + "…"},
		"control characters":         {"application/json", `{"message":"no\u0000such\u001b[31muser\u2028"}`, ": no such [31muser"},
		"a denial":                   {"application/json", `{"allowed":false,"status":{"message":"no such user"}}`, `: no such user; answer {"allowed":false,…} with status 200`},
		"a denial without a word":    {"application/json", `{"allowed":false}`, `; answer {"allowed":false,…} with status 200`},
		"a page":                     {"text/html", "<!doctype html>\n<TITLE lang=en>\nno such user &amp; more</TITLE><h1>x", ": no such user & more"},
		"a page without a type":      {"none", "<html><title>no such user</title>", ": no such user"},
		"a page without a title":     {"text/html", "<h1>secret</h1>", ""},
		"a page of the status":       {"text/html", "<title>500 Internal Server Error</title>", ""},
		"a page of Express":          {"text/html", "<html>\n<head>\n<title>Error</title>\n</head>\n<body>\n<pre>no such user<br> &nbsp; at secret</pre>\n</body>", ": no such user"},
		"a page of Python":           {"text/html;charset=utf-8", "<!DOCTYPE HTML>\n<html><head><title>Error response</title></head><body><h1>Error response</h1>\n<p>Error code: 500</p>\n<p>Message: no such user.</p>", ": no such user."},
		"a page whose title is long": {"text/html", "<title>" + long + "</title>", ": " + strings.Repeat("ä", 119) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			answerTest{status: 500, contentType: tt.contentType, body: tt.body, result: review.ResultStatus,
				cause: "answered 500 Internal Server Error" + tt.cause}.run(t, review.Mutate)
		})
	}
	for name, tt := range map[string]answerTest{
		"a status without a name":        {status: 599, cause: "answered 599"},
		"a text without a name":          {status: 599, contentType: "text/plain", body: "no", cause: "answered 599: no"},
		"a patch does not save an error": {status: 400, body: "[" + add + "]", cause: "answered 400 Bad Request"},
		"a compressed text": {status: 400, contentType: "text/plain", encoding: "gzip", body: compressedBy(gzip.NewWriter, "no"),
			cause: "answered 400 Bad Request with a body with Content-Encoding gzip: answer uncompressed, without that header"},
		"compressed without the header": {status: 400, contentType: "text/plain", body: compressedBy(gzip.NewWriter, "no"),
			cause: "answered 400 Bad Request with a body compressed with gzip: answer uncompressed"},
		"an encoding of nothing": {status: 400, encoding: "gzip", cause: "answered 400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.result = review.ResultStatus
			tt.run(t, review.Mutate)
		})
	}
}
