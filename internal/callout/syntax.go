package callout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/txn2/amp/internal/review"
)

// maxSearch is how much of a text that is not JSON is looked at to find out what it is. It bounds the work: the text is
// read several times.
const maxSearch = 64 << 10

// notJSON says what a text is that is not JSON: the place where it stops being JSON, what stands there, and what to do.
// The error completes the sentence "answered 200 with".
//
// It shows at most one character of the text, a word that a programming language writes for a value, and the title of
// a page: anything more could be a value of the Pod.
func notJSON(header http.Header, text []byte) error {
	if coding := wide(text); coding != "" {
		return inWide(coding)
	}
	contentType, mediaType := header.Get("Content-Type"), mediaTypeOf(header)
	switch {
	case mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"):
		contentType = ""
	case contentType == "":
		contentType = " (content type unknown)"
	default:
		contentType = " (content type " + headerText(contentType) + ")"
	}
	stop := stopOf(text)
	if stop.early {
		return fmt.Errorf("a body that is not JSON%s: it ends at %s, before the JSON is complete; does Content-Length count bytes?",
			contentType, place(text, len(text)))
	}
	what := standing(text, stop.at)
	if first := text[space(text, 0)]; stop.afterValue && (first == '[' || first == '{') { // not "2026" of a date
		what += ", after the JSON"
	}
	return fmt.Errorf("a body that is not JSON%s: at %s stands %s%s", contentType, place(text, stop.at), what, remedy(mediaType, text, stop))
}

// remedy says what to do about what stands where JSON stops; it may be empty.
func remedy(mediaType string, text []byte, stop stop) string {
	first := text[space(text, 0)]
	opened := first == '[' || first == '{'
	next := text[stop.at]
	switch {
	case isHTML(mediaType, text) && !endsInJSON(text):
		if title := pageTitle(text); title != "" {
			return fmt.Sprintf("; it is an HTML page (%q): does the URL lead to the endpoint?", review.Clip(title, maxErrorLine))
		}
		return "; it is an HTML page: does the URL lead to the endpoint?"
	case opened && stop.afterValue && (next == '[' || next == '{'):
		return "; answer one JSON value: an array of all operations, without log lines"
	case bytes.HasPrefix(text[max(stop.at-1, 0):], []byte("[object ")):
		return `; it is the "[object Object]" of JavaScript: use JSON.stringify`
	case pythonObject.Match(text):
		return "; it is how Python prints an object: use json.dumps"
	case bytes.HasPrefix(text[stop.at:], []byte("({")):
		return "; it is how Python prints a tuple: use json.dumps"
	case bytes.HasPrefix(text[stop.at:], []byte("map[")):
		return "; it is how Go prints a map: use json.Marshal"
	case bytes.HasPrefix(text[stop.at:], []byte("&{")):
		return "; it is how Go prints a struct: use json.Marshal"
	case stop.at == 0 && (bytes.HasPrefix(text, []byte("b'")) || bytes.HasPrefix(text, []byte(`b"`))):
		return "; it is how Python prints bytes: answer the bytes themselves"
	case bytes.HasPrefix(text[stop.at:], []byte(byteOrderMark)):
		return "; amp ignores one only: leave it out"
	case !opened && (bytes.HasPrefix(text[stop.at:], []byte("/*")) || bytes.HasPrefix(text[stop.at:], []byte("//")) || next == '#'):
		return "; JSON has no comments"
	case strings.HasPrefix(mediaType, "multipart/"):
		return "; it is a form (" + headerText(mediaType) + "): answer JSON"
	case laterJSON(text) > 0:
		return fmt.Sprintf("; the JSON begins at %s: answer the JSON only, and write logs elsewhere", place(text, laterJSON(text)))
	case opened && stop.afterValue:
		return "; answer the JSON only"
	case stop.tooDeep:
		return "; it is nested too deeply"
	case len(text) <= maxSearch && base64JSON(string(bytes.TrimSpace(text))):
		return "; it is the base64 of JSON: answer the JSON itself"
	case mediaType == "application/x-www-form-urlencoded", len(text) <= maxSearch && form.Match(text):
		return "; it is a form (a=b&c=d): answer JSON"
	case strings.Contains(mediaType, "yaml"), yaml.Match(text):
		return "; it is YAML: answer JSON"
	case strings.Contains(mediaType, "xml"), first == '<':
		return "; it is XML: answer JSON"
	}
	if remedy := slip(text, stop); remedy != "" {
		return remedy
	}
	if stop.at > space(text, 0) {
		return "; use a JSON encoder"
	}
	return "; answer JSON"
}

// endsInJSON reports whether JSON stands after some other text, up to the end. PHP writes warnings before it, as HTML.
func endsInJSON(text []byte) bool {
	at := laterJSON(text)
	return at > 0 && validJSON(text[at:])
}

var (
	// A form's first field, without the signs that begin JSON or a sentence.
	form = regexp.MustCompile(`^[\w%+.-]+=[^\s"'{}]*(&[\w%+.-]+=[^\s"'{}]*)*\s*$`)
	// <generator object …>, <__main__.Patch object at 0x7f…>
	pythonObject = regexp.MustCompile(`^<[\w.]+ object\b`)
	// A document in YAML, an op in a list, or a member of an answer.
	yaml = regexp.MustCompile(`^(---\s|- \w+:\s|"?(allowed|status|warnings|patch|op|path|apiVersion|kind)"?:\s)`)
)

// mediaTypeOf returns the media type in Content-Type; it is empty if there is none that can be read.
func mediaTypeOf(header http.Header) string {
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return mediaType
}

// stop is where a text stops being valid JSON.
type stop struct {
	at         int  // the index of the byte that cannot stand there
	early      bool // the text ends before the JSON does; at is its length
	afterValue bool // a whole value stands before it
	inString   bool
	inEscape   bool // in a string, after a backslash
	forName    bool // the name of a member should stand there
	forColon   bool // a colon should stand there
	forComma   bool // a comma or the end of an array or object should stand there
	inArray    bool // with forComma: it is an array's
	inNumber   bool
	tooDeep    bool
}

// stopOf returns where the text, which is not valid JSON, stops being it.
func stopOf(text []byte) stop {
	var syntax *json.SyntaxError
	if err := json.Unmarshal(text, new(json.RawMessage)); !errors.As(err, &syntax) {
		return stop{at: len(text), early: true}
	}
	// encoding/json has no other way to tell these apart.
	says := func(part string) bool { return strings.Contains(syntax.Error(), part) }
	if says("unexpected end") {
		return stop{at: len(text), early: true}
	}
	at := min(max(int(syntax.Offset)-1, 0), len(text)-1)
	if begin, word := wordAt(text, at); word != "" {
		at = begin // "nan" begins as null does
	}
	return stop{
		at:         at,
		afterValue: says("after top-level value"),
		inString:   says("in string literal"),
		inEscape:   says("in string escape code"),
		forName:    says("beginning of object key string"),
		forComma:   says("after array element") || says("after object key:value pair"),
		forColon:   says("after object key") && !says("after object key:value pair"),
		inArray:    says("after array element"),
		inNumber:   says("in numeric literal") || says("after decimal point"),
		tooDeep:    says("max depth"),
	}
}

// laterJSON returns where JSON begins that stands after some other text; it is 0 if there is none. It looks for an array
// or an object that is complete and is all of the rest, then for one that looks like an answer.
func laterJSON(text []byte) int {
	window := text[:min(len(text), maxSearch)]
	first := window[space(window, 0)]
	opened, maybe, tries := first == '[' || first == '{', 0, 0
	for i := space(window, 0) + 1; i < len(window) && tries < 32; i++ {
		if window[i] != '[' && window[i] != '{' {
			continue
		}
		// Within broken JSON, only what begins a line begins anew, and must be all of the rest.
		lineStart := len(bytes.TrimLeft(window[bytes.LastIndexByte(window[:i], '\n')+1:i], jsonSpace)) == 0
		if opened && !lineStart {
			continue
		}
		tries++
		rest := window[i:]
		if validJSON(rest) {
			return i
		}
		stop := stopOf(rest)
		whole := stop.afterValue || stop.early && len(window) < len(text)
		if next := space(rest, 1); maybe == 0 && !opened && whole && next < len(rest) && bytes.IndexByte([]byte(`{"]`), rest[next]) >= 0 {
			maybe = i
		}
	}
	return maybe
}

// words are what programming languages write for values that JSON writes in another way.
var words = map[string]string{
	"True": "true", "False": "false", "None": "null", "TRUE": "true", "FALSE": "false", "NULL": "null", "Null": "null",
	"nil": "null", "undefined": "null", "NaN": "null", "nan": "null", "Infinity": "null", "inf": "null",
}

// wordAt returns the word of words that stands at, or around, the index, and where it begins; it is empty if there is
// none.
func wordAt(text []byte, at int) (begin int, word string) {
	letter := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
	begin = at
	end := at
	for begin > 0 && at-begin < 16 && letter(text[begin-1]) {
		begin--
	}
	for end < len(text) && end-at < 16 && letter(text[end]) {
		end++
	}
	if word = string(text[begin:end]); words[word] == "" {
		return at, ""
	}
	return begin, word
}

// standing says what stands at the index.
func standing(text []byte, at int) string {
	r, _ := utf8.DecodeRune(text[at:])
	_, word := wordAt(text, at)
	switch {
	case word != "":
		return word
	case r == ' ':
		return "a space"
	case r == '\'':
		return "a single quote"
	case r == '"':
		return "a double quote"
	case r == '\n', r == '\r':
		return "a line break"
	case r == '\t':
		return "a tab"
	case r == '\uFEFF':
		return "a byte order mark"
	case unicode.IsSpace(r), !unicode.IsPrint(r):
		return fmt.Sprintf("the character U+%04X", r)
	}
	return fmt.Sprintf("%q", string(r))
}

// slip says what to do about a character or a word that JSON does not know; it may be empty.
func slip(text []byte, stop stop) string {
	before := bytes.TrimRight(text[:stop.at], jsonSpace)
	c := text[stop.at]
	_, word := wordAt(text, stop.at)
	switch {
	case stop.inString:
		return "; write it with a backslash in a string (\\n for a line break)"
	case stop.inEscape:
		return " after a backslash; write a backslash itself as \\\\"
	case slices.Contains([]string{"True", "False", "None"}, word):
		return ", as Python writes it; use json.dumps"
	case word != "":
		return "; JSON has only " + words[word] + " for it"
	case c == '\'' && !stop.forComma:
		return "; write double quotes (in Python with json.dumps, not with str)"
	case (c == '}' || c == ']') && bytes.HasSuffix(before, []byte(",")):
		return ", after a comma too many"
	case c == '/' || c == '#':
		return "; JSON has no comments"
	case bytes.HasPrefix(text[stop.at:], []byte("=>")):
		return "; write a colon (in Ruby with to_json, not with inspect)"
	case stop.forColon:
		return "; a colon is missing before it"
	case stop.inNumber, !stop.forComma && (c == '+' || c == '.'), stop.forComma && badNumber(before, stop.at, c):
		return "; write numbers as 7, -0.5 or 1e3"
	case stop.forName:
		return "; write each name in double quotes, as a JSON encoder does"
	case stop.forComma && bytes.HasSuffix(before, []byte(`"`)) && (c == '_' || c < utf8.RuneSelf && unicode.IsLetter(rune(c))):
		return "; a double quote in a string needs a backslash"
	case stop.forComma && c == ';':
		return "; write a comma"
	case stop.forComma && c == '}' && stop.inArray:
		return "; a ] is missing before it"
	case stop.forComma && c == ']' && !stop.inArray:
		return "; a } is missing before it"
	case stop.forComma && len(before) == stop.at && c < utf8.RuneSelf && unicode.IsLetter(rune(c)):
		return "; a comma is missing before it, or quotes around the value"
	case stop.forComma && c != ':' && c != '}' && c != ']':
		return "; a comma is missing before it"
	}
	return ""
}

// badNumber reports whether c goes on a number, where JSON lets the number end: 007, 0x1f, 1.
func badNumber(before []byte, at int, c byte) bool {
	if len(before) != at || len(before) == 0 || before[at-1] != '0' {
		return false
	}
	return c >= '0' && c <= '9' || c == 'x' || c == 'X' || c == 'b' || c == 'o'
}
