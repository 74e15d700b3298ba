package callout

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/txn2/amp/internal/review"
)

// Bounds of the texts that an endpoint may show to users, in characters.
const (
	maxMessage   = 1024 // of a refusal
	maxErrorLine = 120  // of an error's text
)

// parse reads an answer:
//
//	status     body                          mutate                 validate
//	204        (not read)                    no change              admitted
//	other 2xx  array of operations           the patch              failure
//	           []                            no change              failure
//	           null                          no change              failure
//	           object                        see parseObject        see parseObject
//	           anything else, also nothing   failure                failure
//	3xx        (never followed)              failure                failure
//	other                                    failure                failure
//
// An empty body is a failure: a handler that died must not read as "no change".
//
// Where an object denies the Pod and something else in it is wrong, the denial stands, and its message says what is
// wrong. As a failure it would admit the Pod under the failure policy Ignore.
//
// The secrets s are hidden in the texts of the endpoint before these are cut: what is left of a long secret is none of s.
func parse(phase review.Phase, status int, header http.Header, body []byte, s secrets) (review.Answer, *review.Failure) {
	switch {
	case status == http.StatusNoContent:
		return review.Answer{Status: status}, nil
	case status >= 300 && status < 400 && status != http.StatusNotModified:
		return review.Answer{}, failed(review.ResultStatus,
			fmt.Sprintf("answered %d: amp does not follow redirects; name the final URL in the annotation", status))
	case status < 200 || status >= 300:
		return review.Answer{}, failed(review.ResultStatus, statusCause(status, header, body, s))
	}
	answer, err := parseBody(phase, header, body, s)
	if err != nil {
		cause, it := err.Error(), ""
		if !errors.As(err, new(badOp)) {
			cause, it = fmt.Sprintf("answered %d with %s", status, cause), "it "
		}
		f := failed(review.ResultInvalid, cause)
		if !answer.Refused {
			return review.Answer{}, f
		}
		answer.Message = denialWith(answer.Message, it+f.Cause)
	}
	answer.Status = status
	return answer, nil
}

// denialWith is the message of a denial in which something is wrong.
func denialWith(message, fault string) string {
	if message == "" {
		return "amp: the endpoint denied the Pod, and gave no reason that amp can read: " + fault
	}
	fault = " (amp: " + fault + ")"
	return review.Clip(message, maxMessage-utf8.RuneCountInString(fault)) + fault
}

// noChange says how to answer that the Pod needs no change.
func noChange(phase review.Phase) string {
	if phase == review.Validate {
		return `status 204 or {"allowed":true}`
	}
	return "[], null or status 204"
}

// expected says which answers there are.
func expected(phase review.Phase) string {
	if phase == review.Validate {
		return `expected {"allowed":…} or status 204`
	}
	return `expected a JSON array of patch operations, {"allowed":…} or status 204`
}

// badOp is the error of one op: a whole sentence that begins like those of internal/patch.
type badOp string

func (b badOp) Error() string { return string(b) }

// parseBody reads the body of a 2xx. An error completes the sentence "answered 200 with", unless it is a badOp. With an
// error, the answer may be a denial; it is never anything else.
func parseBody(phase review.Phase, header http.Header, body []byte, s secrets) (review.Answer, error) {
	text, err := textOf(header, body)
	if err != nil {
		return review.Answer{}, err
	}
	trimmed := bytes.Trim(text, jsonSpace)
	if len(trimmed) == 0 {
		return review.Answer{}, errors.New("an empty body; where nothing is to change, answer " + noChange(phase))
	}
	switch first := trimmed[0]; {
	case first == '[' && phase != review.Validate:
		ops, err := parseOps(text)
		if err != nil && !validJSON(text) {
			return review.Answer{}, notJSON(header, text)
		}
		return review.Answer{Ops: ops}, err
	case !validJSON(text):
		return review.Answer{}, notJSON(header, text)
	case first == '{':
		return parseObject(phase, trimmed, s)
	case first == '[':
		return review.Answer{}, errors.New("an array, as if this were a mutating review; " + expected(phase))
	case first == 'n' && phase != review.Validate:
		return review.Answer{}, nil
	case first == '"' && holdsJSON(trimmed):
		return review.Answer{}, errors.New("a JSON string that holds JSON: it was encoded twice; encode it once")
	case first == '"' && base64JSON(textIn(trimmed)):
		return review.Answer{}, errors.New("a JSON string that holds the base64 of JSON: answer the JSON itself")
	default:
		return review.Answer{}, fmt.Errorf("%s; %s", kind(trimmed), expected(phase))
	}
}

// holdsJSON reports whether a JSON string holds an answer as JSON: an array or an object, or again a string of one.
func holdsJSON(value []byte) bool {
	for range maxNesting {
		value = bytes.TrimLeft([]byte(textIn(value)), jsonSpace)
		if len(value) == 0 || !validJSON(value) {
			return false
		}
		if value[0] != '"' {
			return value[0] == '[' || value[0] == '{'
		}
	}
	return false
}

// kind says what a JSON value is.
func kind(value []byte) string {
	switch {
	case len(value) == 0:
		return "nothing"
	case value[0] == '{':
		return "an object"
	case value[0] == '[':
		return "an array"
	case value[0] == '"':
		return "a string"
	case value[0] == 'n':
		return "null"
	case value[0] == 't' || value[0] == 'f':
		return "a boolean"
	}
	return "a number"
}

// parseWarnings reads the warnings of an object, and makes each one line. It returns the first ones and the number of the
// others.
func parseWarnings(raw []byte, s secrets) (warnings []string, more int, err error) {
	if absent(raw) {
		return nil, 0, nil
	}
	if raw[0] != '[' {
		return nil, 0, fmt.Errorf(`"warnings" that are %s, not an array of strings`, kind(raw))
	}
	number := 0
	for value := range elements(raw) {
		number++
		if value[0] != '"' {
			return nil, 0, fmt.Errorf(`"warnings" of which number %d is %s, not a string`, number, kind(value))
		}
		switch text := s.hide(review.Line(textIn(value))); {
		case text == "":
		case len(warnings) == review.MaxWarnings:
			more++
		default:
			warnings = append(warnings, review.Clip(text, review.MaxWarning))
		}
	}
	return warnings, more, nil
}

// parsePatch reads the patch of an object: an array or, as in the API, the base64 of one.
func parsePatch(raw []byte) ([]review.Op, error) {
	switch {
	case absent(raw):
		return nil, nil
	case raw[0] == '[':
		return parseOps(raw)
	case raw[0] == '{':
		return nil, errors.New("a patch that is an object, not an array or the base64 of one; put each operation into an array")
	case raw[0] != '"':
		return nil, fmt.Errorf("a patch that is %s, not an array or the base64 of one", kind(raw))
	case holdsJSON(raw):
		return nil, errors.New("a patch that is a string of JSON; put the array itself there, not its text")
	}
	encoded := textIn(raw)
	array, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		if base64JSON(encoded) {
			return nil, errors.New("a patch in another kind of base64; use the standard alphabet (+ and /), with padding")
		}
		return nil, errors.New("a patch that is a string, but not the base64 of a JSON array")
	}
	if base64JSON(string(array)) {
		return nil, errors.New("a patch whose base64 was encoded twice; encode it once")
	}
	array, err = textOf(nil, array)
	if err != nil {
		return nil, fmt.Errorf("a patch whose base64 holds %w", err)
	}
	if array = bytes.TrimLeft(array, jsonSpace); len(array) == 0 || array[0] != '[' {
		return nil, errors.New("a patch whose base64 does not hold a JSON array")
	}
	return parseOps(array)
}

// base64JSON reports whether text is base64, of any kind, of a JSON array or object.
func base64JSON(text string) bool {
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if inside, err := encoding.DecodeString(text); err == nil {
			inside = bytes.TrimLeft(inside, jsonSpace)
			return len(inside) > 0 && (inside[0] == '[' || inside[0] == '{') && validJSON(inside)
		}
	}
	return false
}

// absent reports whether a member is missing or null. Both mean the same unless a comment says otherwise: many encoders
// write null for a value that is not set.
func absent(raw []byte) bool { return len(raw) == 0 || string(raw) == "null" }
