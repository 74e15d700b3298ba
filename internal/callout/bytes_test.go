package callout

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/txn2/amp/internal/review"
)

// compressedBy returns text as a writer of package compress writes it.
func compressedBy[W io.WriteCloser](writer func(io.Writer) W, text string) string {
	var b bytes.Buffer
	w := writer(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

// inUTF16 returns text in UTF-16, the byte of the given index first in each unit.
func inUTF16(text string, high int) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		pair := [2]byte{}
		pair[high], pair[1-high] = byte(unit>>8), byte(unit)
		b.Write(pair[:])
	}
	return b.String()
}

func TestParseBytes(t *testing.T) {
	const (
		bom  = "\uFEFF"
		deny = `{"allowed":false,"status":{"message":"no"}}`
	)
	denied := review.Answer{Refused: true, Message: "no"}
	gz, zl := compressedBy(gzip.NewWriter, deny), compressedBy(zlib.NewWriter, deny)
	for name, tt := range map[string]answerTest{
		"as it should be":               {body: deny, want: denied},
		"after a byte order mark":       {body: bom + deny, want: denied},
		"white space around":            {body: bom + "\r\n\t " + deny + "\n", want: denied},
		"an encoding that is none":      {encoding: "identity", body: deny, want: denied},
		"an encoding that is a charset": {encoding: "utf-8", body: deny, want: denied},

		"gzip":                            {encoding: "gzip", body: gz, cause: "answered 200 with a body with Content-Encoding gzip: answer uncompressed, without that header"},
		"gzip in capitals, in a list":     {encoding: "identity, GZIP", body: gz, cause: "answered 200 with a body with Content-Encoding gzip: answer uncompressed, without that header"},
		"x-gzip":                          {encoding: "x-gzip", body: gz, cause: "answered 200 with a body with Content-Encoding x-gzip: answer uncompressed, without that header"},
		"deflate":                         {encoding: "deflate", body: zl, cause: "answered 200 with a body with Content-Encoding deflate: answer uncompressed, without that header"},
		"brotli":                          {encoding: "br", body: "\x0b\x15\x80" + deny + "\x03", cause: "answered 200 with a body with Content-Encoding br: answer uncompressed, without that header"},
		"zstd":                            {encoding: "zstd", body: "\x28\xb5\x2f\xfd\x04", cause: "answered 200 with a body with Content-Encoding zstd: answer uncompressed, without that header"},
		"a header that is wrong":          {encoding: "gzip", body: deny, cause: "answered 200 with a body with Content-Encoding gzip: answer uncompressed, without that header"},
		"an unknown coding":               {encoding: "lz4", body: "\x04\x22\x4d\x18\xff", cause: "answered 200 with a body with Content-Encoding lz4: answer uncompressed, without that header"},
		"gzip without the header":         {body: gz, cause: "answered 200 with a body compressed with gzip: answer uncompressed"},
		"zlib without the header":         {body: zl, cause: "answered 200 with a body compressed with deflate: answer uncompressed"},
		"zstd without the header":         {body: "\x28\xb5\x2f\xfd\x04", cause: "answered 200 with a body compressed with zstd: answer uncompressed"},
		"UTF-16 with its mark":            {body: inUTF16(bom+deny, 1), cause: "answered 200 with a body in UTF-16; encode it as UTF-8"},
		"UTF-16, the high byte first":     {body: inUTF16(bom+deny, 0), cause: "answered 200 with a body in UTF-16; encode it as UTF-8"},
		"UTF-16 without a mark":           {body: inUTF16(deny, 1), cause: "answered 200 with a body in UTF-16; encode it as UTF-8"},
		"and the high byte first":         {body: inUTF16(deny, 0), cause: "answered 200 with a body in UTF-16; encode it as UTF-8"},
		"UTF-16 of more than ASCII":       {body: inUTF16(`{"status":{"message":"ÿ端"}}`, 1), cause: "answered 200 with a body in UTF-16; encode it as UTF-8"},
		"UTF-32":                          {body: "[\x00\x00\x00]\x00\x00\x00", cause: "answered 200 with a body in UTF-32; encode it as UTF-8"},
		"Latin-1":                         {body: "{\"status\":\n{\"message\":\"gar\xe7on\"}}", cause: "answered 200 with a body that is not UTF-8: its byte 27 (line 2, column 16) is 0xE7; encode it as UTF-8"},
		"Latin-1 after a byte order mark": {body: bom + "\"\xe7\"", cause: "answered 200 with a body that is not UTF-8: its byte 5 (line 1, column 3) is 0xE7; encode it as UTF-8"},
		"bytes that are no text":          {body: "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", cause: "answered 200 with a body that is not UTF-8: its byte 1 (line 1, column 1) is 0x89; is it compressed, or not text? answer JSON in UTF-8"},
		"brotli without the header":       {body: "\x8b\x0e\x80[\x01\xff\xb3\x03", cause: "answered 200 with a body that is not UTF-8: its byte 1 (line 1, column 1) is 0x8B; is it compressed, or not text? answer JSON in UTF-8"},
		"a character cut in two":          {body: "{\"status\":{\"message\":\"\xe7\xab", cause: "answered 200 with a body that ends at line 1, column 23, in the middle of a character; does Content-Length count bytes?"},
		"two byte order marks":            {body: bom + bom + deny, cause: `answered 200 with a body that is not JSON: at line 1, column 1 stands a byte order mark; amp ignores one only: leave it out`},
		"JSON in a string":                {body: `"{\"allowed\":false}"`, cause: "answered 200 with a JSON string that holds JSON: it was encoded twice; encode it once"},
		"JSON in a string in a string":    {body: `"\"[]\""`, cause: "answered 200 with a JSON string that holds JSON: it was encoded twice; encode it once"},
		"base64 in a string, as Go's Encoder writes it": {body: `"W10="` + "\n", cause: "answered 200 with a JSON string that holds the base64 of JSON: answer the JSON itself"},
		"JSON in a string, and a line break":            {body: `"[]"` + "\n", cause: "answered 200 with a JSON string that holds JSON: it was encoded twice; encode it once"},
		"base64 in a string":                            {body: `"` + b64("["+add+"]") + `"`, cause: "answered 200 with a JSON string that holds the base64 of JSON: answer the JSON itself"},
		"a patch in a string, with spaces":              {body: `" [ ] "`, cause: "answered 200 with a JSON string that holds JSON: it was encoded twice; encode it once"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.run(t, review.Mutate)
			tt.run(t, review.Validate)
		})
	}
	for name, body := range map[string]string{"nothing": "", "white space": " \r\n\t", "a byte order mark": bom, "both": bom + "\n"} {
		t.Run(name, func(t *testing.T) {
			tt := answerTest{body: body, cause: "answered 200 with an empty body; where nothing is to change, answer [], null or status 204"}
			tt.run(t, review.Mutate)
			tt.encoding = "gzip"
			if body == "" {
				tt.run(t, review.Mutate)
			}
		})
	}
	for body, what := range map[string]string{`"ok"`: "a string", "true": "a boolean", "42": "a number", `"[nothing"`: "a string", `""`: "a string"} {
		answerTest{body: body, cause: "answered 200 with " + what + "; " + expectedMutate}.run(t, review.Mutate)
	}
}

// Each cause begins with "answered 200 with a body that is not JSON".
func TestNotJSON(t *testing.T) {
	const patch = `[{"op":"remove","path":"/a"}]`
	for name, tt := range map[string]struct{ contentType, body, cause string }{
		"Python's repr":           {"", `[{'op': 'remove', 'path': '/a'}]`, `: at line 1, column 3 stands a single quote; write double quotes (in Python with json.dumps, not with str)`},
		"Python's True":           {"", `{"allowed": True}`, `: at line 1, column 13 stands True, as Python writes it; use json.dumps`},
		"Python's None":           {"", "None", `: at line 1, column 1 stands None, as Python writes it; use json.dumps`},
		"Python's nan":            {"", `[{"value":nan}]`, `: at line 1, column 11 stands nan; JSON has only null for it`},
		"NaN":                     {"", `[{"value":NaN}]`, `: at line 1, column 11 stands NaN; JSON has only null for it`},
		"-Infinity":               {"", `[{"value":-Infinity}]`, `: at line 1, column 12 stands Infinity; JSON has only null for it`},
		"JavaScript's undefined":  {"", `undefined`, `: at line 1, column 1 stands undefined; JSON has only null for it`},
		"Go's nil":                {"", `[{"value":nil}]`, `: at line 1, column 11 stands nil; JSON has only null for it`},
		"names without quotes":    {"", `[{op: "remove"}]`, `: at line 1, column 3 stands "o"; write each name in double quotes, as a JSON encoder does`},
		"a comma too many":        {"", "[\n  {\"op\": \"remove\"},\n]", `: at line 3, column 1 stands "]", after a comma too many`},
		"a comma too few":         {"", `[{"op":"remove" "path":"/a"}]`, `: at line 1, column 17 stands a double quote; a comma is missing before it`},
		"a comment":               {"", "[ // nothing\n]", `: at line 1, column 3 stands "/"; JSON has no comments`},
		"a comment before an op":  {"", "[\n // one\n {\"op\":\"remove\"}\n]", `: at line 2, column 2 stands "/"; JSON has no comments`},
		"a line break in a text":  {"", "[{\"value\":\"a\nb\"}]", `: at line 1, column 13 stands a line break; write it with a backslash in a string (\n for a line break)`},
		"a backslash in a text":   {"", `[{"value":"C:\dir"}]`, `: at line 1, column 15 stands "d" after a backslash; write a backslash itself as \\`},
		"a quote in a text":       {"", `[{"value":"a "word""}]`, `: at line 1, column 15 stands "w"; a double quote in a string needs a backslash`},
		"typographic quotes":      {"", `[{“op”:“remove”}]`, `: at line 1, column 3 stands "“"; write each name in double quotes, as a JSON encoder does`},
		"a space of another kind": {"", "[\u00a0]", `: at line 1, column 2 stands the character U+00A0; use a JSON encoder`},
		"a comment first":         {"", "/* nothing */ []", `: at line 1, column 1 stands "/"; JSON has no comments`},
		"a hash first":            {"", "# nothing\n[]", `: at line 1, column 1 stands "#"; JSON has no comments`},
		"a leading zero":          {"", `[{"value":007}]`, `: at line 1, column 12 stands "0"; write numbers as 7, -0.5 or 1e3`},
		"a hexadecimal number":    {"", `[{"value":0x1f}]`, `: at line 1, column 12 stands "x"; write numbers as 7, -0.5 or 1e3`},
		"a number with a plus":    {"", `[{"value":+1}]`, `: at line 1, column 11 stands "+"; write numbers as 7, -0.5 or 1e3`},
		"a number with a comma":   {"", `[{"value":1.}]`, `: at line 1, column 13 stands "}"; write numbers as 7, -0.5 or 1e3`},
		"no digit before a point": {"", `[{"value":.5}]`, `: at line 1, column 11 stands "."; write numbers as 7, -0.5 or 1e3`},
		"a unit":                  {"", `[{"value":5m}]`, `: at line 1, column 12 stands "m"; a comma is missing before it, or quotes around the value`},
		"no colon":                {"", `[{"op" "remove"}]`, `: at line 1, column 8 stands a double quote; a colon is missing before it`},
		"an arrow of Ruby":        {"", `[{"op" => "remove"}]`, `: at line 1, column 8 stands "="; write a colon (in Ruby with to_json, not with inspect)`},
		"a semicolon":             {"", `[{"op":"remove"; "path":"/a"}]`, `: at line 1, column 16 stands ";"; write a comma`},
		"no closing brace":        {"", `[{"op":"remove","path":"/a"]`, `: at line 1, column 28 stands "]"; a } is missing before it`},
		"no closing bracket":      {"", `{"patch":[{"op":"remove","path":"/a"}}`, `: at line 1, column 38 stands "}"; a ] is missing before it`},
		"a word of another kind":  {"", `[PatchOp{op='remove'}]`, `: at line 1, column 2 stands "P"; use a JSON encoder`},
		"the end comes early":     {"", "[\n{\"op\":\"ré", `: it ends at line 2, column 10, before the JSON is complete; does Content-Length count bytes?`},
		"nested too deeply":       {"", strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), `: at line 1, column 10001 stands "["; it is nested too deeply`},

		"JavaScript's objects": {"", "[object Object]", `: at line 1, column 2 stands "o"; it is the "[object Object]" of JavaScript: use JSON.stringify`},
		"a Promise in a text":  {"", "[object Promise]", `: at line 1, column 2 stands "o"; it is the "[object Object]" of JavaScript: use JSON.stringify`},
		"Python's bytes":       {"", "b'" + patch + "'", `: at line 1, column 1 stands "b"; it is how Python prints bytes: answer the bytes themselves`},

		"a log line":                 {"", "INFO starting\n" + patch, `: at line 1, column 1 stands "I"; the JSON begins at line 2, column 1: answer the JSON only, and write logs elsewhere`},
		"a log line in brackets":     {"", "[INFO] starting\n" + patch, `: at line 1, column 2 stands "I"; the JSON begins at line 2, column 1: answer the JSON only, and write logs elsewhere`},
		"a log line with a date":     {"", "2026-07-01 starting\n" + patch, `: at line 1, column 5 stands "-"; the JSON begins at line 2, column 1: answer the JSON only, and write logs elsewhere`},
		"a log line with a number":   {"", "[12] starting [2]\n" + patch, `: at line 1, column 6 stands "s", after the JSON; the JSON begins at line 2, column 1: answer the JSON only, and write logs elsewhere`},
		"a log line before much":     {"", "INFO\n[{\"op\":\"add\",\"path\":\"/a\",\"value\":\"" + strings.Repeat("x", 2*maxSearch) + `"}]`, `: at line 1, column 1 stands "I"; the JSON begins at line 2, column 1: answer the JSON only, and write logs elsewhere`},
		"a log line without an end":  {"", "sending " + patch, `: at line 1, column 1 stands "s"; the JSON begins at line 1, column 9: answer the JSON only, and write logs elsewhere`},
		"a fence":                    {"", "```json\n" + patch + "\n```\n", "" + `: at line 1, column 1 stands "` + "`" + `"; the JSON begins at line 2, column 1: answer the JSON only, and write logs elsewhere`},
		"server-sent events":         {"text/event-stream", "data: " + patch + "\n\n", ` (content type text/event-stream): at line 1, column 1 stands "d"; the JSON begins at line 1, column 7: answer the JSON only, and write logs elsewhere`},
		"JSONP":                      {"text/javascript", "cb(" + patch + ");", ` (content type text/javascript): at line 1, column 1 stands "c"; the JSON begins at line 1, column 4: answer the JSON only, and write logs elsewhere`},
		"a log line after":           {"", patch + "\nINFO done\n", `: at line 2, column 1 stands "I", after the JSON; answer the JSON only`},
		"a bracket after":            {"", patch + "]", `: at line 1, column 30 stands "]", after the JSON; answer the JSON only`},
		"a zero byte after":          {"", patch + "\x00", `: at line 1, column 30 stands the character U+0000, after the JSON; answer the JSON only`},
		"a line for each operation":  {"application/x-ndjson", add + "\n" + add, ` (content type application/x-ndjson): at line 2, column 1 stands "{", after the JSON; answer one JSON value: an array of all operations, without log lines`},
		"two arrays":                 {"", patch + patch, `: at line 1, column 30 stands "[", after the JSON; answer one JSON value: an array of all operations, without log lines`},
		"two words":                  {"", "null!", `: at line 1, column 5 stands "!"; use a JSON encoder`},
		"warnings of PHP":            {"text/html", "<br />\n<b>Warning</b>:  Undefined variable<br />\n" + patch, ` (content type text/html): at line 1, column 1 stands "<"; the JSON begins at line 3, column 1: answer the JSON only, and write logs elsewhere`},
		"a log line in JSON":         {"", `{"level":"info","msg":"x"}` + "\n" + patch, `: at line 2, column 1 stands "[", after the JSON; answer one JSON value: an array of all operations, without log lines`},
		"Python's generator":         {"", "<generator object H.<genexpr> at 0x7f>", `: at line 1, column 1 stands "<"; it is how Python prints an object: use json.dumps`},
		"Python's object":            {"", "<__main__.Patch object at 0x7f>", `: at line 1, column 1 stands "<"; it is how Python prints an object: use json.dumps`},
		"Python's tuple":             {"", "({'op': 'remove'},)", `: at line 1, column 1 stands "("; it is how Python prints a tuple: use json.dumps`},
		"Go's map":                   {"", "map[op:add path:/a]", `: at line 1, column 1 stands "m"; it is how Go prints a map: use json.Marshal`},
		"Go's struct":                {"", "&{add /a}", `: at line 1, column 1 stands "&"; it is how Go prints a struct: use json.Marshal`},
		"a form with parts":          {"multipart/form-data; boundary=x", "--x\r\n\r\n" + patch + "\r\n--x--", ` (content type multipart/form-data; boundary=x): at line 1, column 2 stands "-"; it is a form (multipart/form-data): answer JSON`},
		"a page":                     {"text/html; charset=utf-8", "<h1>hello</h1>", ` (content type text/html; charset=utf-8): at line 1, column 1 stands "<"; it is an HTML page: does the URL lead to the endpoint?`},
		"a page with a title":        {"text/plain", "\n<!DOCTYPE html>\n<head>\n<title>\nSign in\n</title>", ` (content type text/plain): at line 2, column 1 stands "<"; it is an HTML page ("Sign in"): does the URL lead to the endpoint?`},
		"XML":                        {"application/xml", `<?xml version="1.0"?><patch/>`, ` (content type application/xml): at line 1, column 1 stands "<"; it is XML: answer JSON`},
		"a form":                     {"application/x-www-form-urlencoded", "allowed=true", ` (content type application/x-www-form-urlencoded): at line 1, column 1 stands "a"; it is a form (a=b&c=d): answer JSON`},
		"a form without its type":    {"text/plain", "allowed=true&patch=%5B%5D", ` (content type text/plain): at line 1, column 1 stands "a"; it is a form (a=b&c=d): answer JSON`},
		"YAML":                       {"application/yaml", "allowed: no\n", ` (content type application/yaml): at line 1, column 1 stands "a"; it is YAML: answer JSON`},
		"YAML without its type":      {"text/plain", "- op: remove\n  path: /a\n", ` (content type text/plain): at line 1, column 2 stands a space; it is YAML: answer JSON`},
		"base64":                     {"none", b64(patch), ` (content type unknown): at line 1, column 1 stands "` + b64(patch)[:1] + `"; it is the base64 of JSON: answer the JSON itself`},
		"a word":                     {"text/plain", "OK", ` (content type text/plain): at line 1, column 1 stands "O"; answer JSON`},
		"a type that cannot be read": {"x\x01y; \xff", "OK", ` (content type x y;): at line 1, column 1 stands "O"; answer JSON`},
		"a type that ends in json":   {"application/json-patch+json", "OK", `: at line 1, column 1 stands "O"; answer JSON`},
	} {
		t.Run(name, func(t *testing.T) {
			answerTest{contentType: tt.contentType, body: tt.body, cause: "answered 200 with a body that is not JSON" + tt.cause}.run(t, review.Mutate)
		})
	}
}
