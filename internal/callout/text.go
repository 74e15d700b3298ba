package callout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/txn2/amp/internal/review"
)

// statusCause says what an error answer says: its status, and one line of its body.
func statusCause(status int, header http.Header, body []byte, s secrets) string {
	name := http.StatusText(status)
	cause := fmt.Sprintf("answered %d", status)
	if name != "" {
		cause += " " + name
	}
	if err := compressed(header, body); err != nil {
		return cause + " with " + err.Error()
	}
	text, denies := errorText(header, bytes.TrimPrefix(body, []byte(byteOrderMark)), s)
	// "500 Internal Server Error" says nothing that the status does not say.
	if text != "" && !strings.EqualFold(strings.TrimLeft(text, "0123456789:. "), name) {
		cause += ": " + text
	}
	switch {
	case denies:
		cause += `; answer {"allowed":false,…} with status 200`
	case status == http.StatusForbidden && text != "": // a denial, perhaps; or a proxy between does not let amp through
		cause += `; to deny a Pod, answer {"allowed":false,…} with status 200`
	}
	return cause
}

// errorText returns what the body of an error answer says, in one line; it is empty if there is nothing that can be
// shown. denies reports whether the body is a denial, which must have another status.
//
//	text/plain, or no type                       its first printable line
//	JSON, by its type or by its first character  its message, detail, title or error (see textAmong)
//	HTML, by its type or by its first tag        its title
//	any other type                               nothing
func errorText(header http.Header, body []byte, s secrets) (text string, denies bool) {
	shown := func(text string) string { return review.Clip(s.hide(text), maxErrorLine) }
	mediaType, typed := mediaTypeOf(header), header.Get("Content-Type") != ""
	plain := mediaType == "text/plain" || !typed
	isJSON := strings.HasSuffix(mediaType, "/json") || strings.HasSuffix(mediaType, "+json")
	switch trimmed := bytes.TrimLeft(body, jsonSpace); {
	case unprintable(body):
		return "", false
	case isHTML(mediaType, body) && (plain || strings.Contains(mediaType, "html")):
		return shown(pageTitle(body)), false
	case len(trimmed) > 0 && (isJSON || plain && (trimmed[0] == '{' || trimmed[0] == '[')):
		text, denies = textOfJSON(trimmed)
		if isJSON || text != "" {
			return shown(text), denies
		}
	}
	if plain {
		for line := range strings.Lines(strings.ToValidUTF8(string(body), " ")) {
			if line = review.Line(line); line != "" {
				return shown(line), denies
			}
		}
	}
	return "", denies
}

// unprintable reports whether a text is none, or in an encoding that amp does not read: more than a tenth of its
// beginning is not UTF-8 or cannot be printed.
func unprintable(text []byte) bool {
	text = text[:min(len(text), 512)]
	bad := 0
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 || !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			bad++
		}
		i += size
	}
	return bad > 2 && bad > len(text)/10
}

// textOfJSON returns what an error answer in JSON says. The text may be cut off: then what stands before the cut counts.
func textOfJSON(text []byte) (line string, denies bool) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if text[0] != '{' {
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return "", false
		}
		return review.Line(textAmong(value, maxNesting)), false
	}
	if _, err := dec.Token(); err != nil {
		return "", false
	}
	var said said
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			break
		}
		said.add(name.(string), value, maxNesting)
		denies = denies || name == "allowed" && string(value) == "false"
	}
	return review.Line(said.text), denies
}

// maxNesting is how deep a text of an error may be: {"error":{"errors":[{"message":"…"}]}}.
const maxNesting = 4

// tellers are the names under which error answers hold their text, the one that tells most first: those of problem details (RFC 9457),
// and those of an answer (status), FastAPI and GraphQL (detail and errors, arrays of objects) and OAuth.
var tellers = []string{"message", "detail", "title", "error", "msg", "errors", "status", "error_description"}

// said is the text that the members of an object hold, and its place among tellers.
type said struct {
	text string
	rank int
}

func (s *said) add(name string, value []byte, depth int) {
	if name == "status" && value[0] != '{' {
		return // "error", of which only the message tells more
	}
	for rank, teller := range tellers {
		if strings.EqualFold(name, teller) && (s.text == "" || rank < s.rank) {
			if text := textAmong(value, depth-1); text != "" {
				s.text, s.rank = text, rank
			}
		}
	}
}

// textAmong returns the text that a value holds: a string, the text of the first element of an array that has one, or
// the text of the member of an object that tells most.
func textAmong(value []byte, depth int) string {
	switch {
	case depth == 0:
	case value[0] == '"':
		return strings.TrimSpace(textIn(value))
	case value[0] == '[':
		for element := range elements(value) {
			if text := textAmong(element, depth-1); text != "" {
				return text
			}
		}
	case value[0] == '{':
		var said said
		for name, member := range members(value) {
			said.add(name, member, depth)
		}
		return said.text
	}
	return ""
}
