package callout

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"strings"

	sjson "sigs.k8s.io/json"

	"github.com/txn2/amp/internal/review"
)

// Bounds of the texts that an endpoint may show to users, in characters.
const (
	maxMessage   = 1024 // of a refusal
	maxWarning   = 256  // to which the API server cuts each one when there are many (filters/warning.go)
	maxWarnings  = 16
	maxErrorLine = 120 // of an error's text
)

// parse reads an answer:
//
//	status     body                          mutate                 validate
//	204        (not read)                    no change              admitted
//	other 2xx  array of operations           the patch              failure
//	           []                            no change              failure
//	           null                          no change              failure
//	           object with at least one of   an AdmissionResponse   the same, but a patch that
//	           allowed, status, warnings,    in short               is not empty is a failure
//	           patch
//	           anything else, also nothing   failure                failure
//	3xx        (never followed)              failure                failure
//	other                                    failure                failure
//
// An empty body, and an object with none of those keys, is a failure: a handler that died must not read as "no
// change". Every part of an answer must be valid, also of a refusal.
func parse(phase review.Phase, status int, contentType string, body []byte) (review.Answer, *review.Failure) {
	switch {
	case status == http.StatusNoContent:
		return review.Answer{Status: status}, nil
	case status >= 300 && status < 400:
		return review.Answer{}, failed(review.ResultStatus,
			fmt.Sprintf("answered %d: amp does not follow redirects; name the final URL in the annotation", status))
	case status < 200 || status >= 300:
		return review.Answer{}, failed(review.ResultStatus, statusCause(status, contentType, body))
	}
	answer, err := parseBody(phase, contentType, bytes.Trim(body, " \t\r\n"))
	var bad badOp
	switch {
	case errors.As(err, &bad):
		return review.Answer{}, failed(review.ResultInvalid, bad.Error())
	case err != nil:
		return review.Answer{}, failed(review.ResultInvalid, fmt.Sprintf("answered %d with %v", status, err))
	}
	answer.Status = status
	return answer, nil
}

func statusCause(status int, contentType string, body []byte) string {
	cause := fmt.Sprintf("answered %d", status)
	if text := http.StatusText(status); text != "" {
		cause += " " + text
	}
	// Only plain text: the first line of an HTML page says nothing.
	if mediaType, _, err := mime.ParseMediaType(contentType); err == nil && mediaType == "text/plain" {
		for line := range strings.Lines(strings.ToValidUTF8(string(body), " ")) {
			if line = review.Line(line); line != "" {
				return cause + ": " + review.Clip(line, maxErrorLine)
			}
		}
	}
	return cause
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

// parseBody reads the body of a 2xx. An error completes the sentence "answered 200 with", unless it is a badOp.
func parseBody(phase review.Phase, contentType string, body []byte) (review.Answer, error) {
	if len(body) == 0 {
		return review.Answer{}, errors.New("an empty body; where nothing is to change, answer " + noChange(phase))
	}
	switch first := body[0]; {
	case first == '{':
		return parseObject(phase, contentType, body)
	case first == '[' && phase != review.Validate:
		ops, err := parseOps(body)
		if err != nil && !json.Valid(body) {
			return review.Answer{}, notJSON(contentType)
		}
		return review.Answer{Ops: ops}, err
	case !json.Valid(body):
		return review.Answer{}, notJSON(contentType)
	case first == '[':
		return review.Answer{}, errors.New("an array, as if this were a mutating review; " + expected(phase))
	case first == 'n' && phase != review.Validate:
		return review.Answer{}, nil
	default:
		return review.Answer{}, fmt.Errorf("%s; %s", kind(body), expected(phase))
	}
}

func notJSON(contentType string) error {
	if contentType == "" {
		contentType = "unknown"
	}
	return fmt.Errorf("a body that is not JSON (content type %s)", review.Clip(review.Line(strings.ToValidUTF8(contentType, "")), 60))
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

// wireAnswer holds the members that make an object an answer, and those that show what else it may be.
type wireAnswer struct {
	Allowed  json.RawMessage `json:"allowed"`
	Status   json.RawMessage `json:"status"`
	Warnings json.RawMessage `json:"warnings"`
	Patch    json.RawMessage `json:"patch"`

	Kind     member          `json:"kind"`
	Response json.RawMessage `json:"response"`
	Spec     json.RawMessage `json:"spec"`
}

// parseObject reads a body that is an object. Its errors are those of parseBody.
func parseObject(phase review.Phase, contentType string, body []byte) (review.Answer, error) {
	var wire wireAnswer
	if err := sjson.UnmarshalCaseSensitivePreserveInts(body, &wire); err != nil {
		return review.Answer{}, notJSON(contentType)
	}
	empty := wire.Allowed == nil && wire.Status == nil && wire.Warnings == nil && wire.Patch == nil
	switch {
	case wire.Kind.text == "AdmissionReview", empty && wire.Response != nil:
		return review.Answer{}, errors.New(`a whole AdmissionReview; answer its response only: {"allowed":…,"patch":…}`)
	case wire.Kind.text == "Pod" && wire.Spec != nil && wire.Allowed == nil && wire.Patch == nil:
		// Without this case, the Pod's status would read as an answer's, and the author's change would be lost.
		return review.Answer{}, errors.New("a Pod; " + expected(phase))
	case empty:
		return review.Answer{}, errors.New("an object that has none of allowed, status, warnings, patch; " + expected(phase))
	}

	var answer review.Answer
	switch string(wire.Allowed) {
	case "", "true":
	case "false":
		answer.Refused = true
	default:
		return review.Answer{}, fmt.Errorf("an \"allowed\" that is %s, not true or false", kind(wire.Allowed))
	}
	message, code, err := parseStatus(wire.Status)
	if err != nil {
		return review.Answer{}, err
	}
	if answer.Warnings, err = parseWarnings(wire.Warnings); err != nil {
		return review.Answer{}, err
	}
	ops, err := parsePatch(wire.Patch)
	switch {
	case err != nil:
		return review.Answer{}, err
	case phase == review.Validate && len(ops) > 0:
		return review.Answer{}, errors.New("a patch, which a validating review cannot have; " + expected(phase))
	case answer.Refused:
		answer.Message, answer.Code = message, code
	default:
		answer.Ops = ops
	}
	return answer, nil
}

// parseStatus reads the message and code of a refusal. It returns a code only if it is an error's: the API server would
// change any other to 400, or would not accept the response.
func parseStatus(raw []byte) (message string, code int32, err error) {
	if absent(raw) {
		return "", 0, nil
	}
	var status struct {
		Message member          `json:"message"`
		Code    json.RawMessage `json:"code"`
	}
	if err := sjson.UnmarshalCaseSensitivePreserveInts(raw, &status); err != nil {
		return "", 0, fmt.Errorf(`a "status" that is %s, not an object with message and code`, kind(raw))
	}
	if m := status.Message.is; m != 0 && m != '"' && m != 'n' {
		return "", 0, fmt.Errorf(`a "status.message" that is %s, not a string`, kind([]byte{m}))
	}
	if !absent(status.Code) {
		var n float64
		if err := json.Unmarshal(status.Code, &n); err != nil {
			return "", 0, fmt.Errorf(`a "status.code" that is %s, not an HTTP status`, kind(status.Code))
		}
		if n >= 400 && n < 600 && n == math.Trunc(n) {
			code = int32(n)
		}
	}
	return review.Clip(review.Line(status.Message.text), maxMessage), code, nil
}

// parseWarnings reads the warnings of an object, and makes each one line.
func parseWarnings(raw []byte) ([]string, error) {
	if absent(raw) {
		return nil, nil
	}
	var members []member
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, fmt.Errorf(`"warnings" that are %s, not an array of strings`, kind(raw))
	}
	var warnings []string
	for i, w := range members {
		if w.is != '"' {
			return nil, fmt.Errorf(`"warnings" of which number %d is %s, not a string`, i+1, kind([]byte{w.is}))
		}
		if text := review.Line(w.text); text != "" && len(warnings) < maxWarnings {
			warnings = append(warnings, review.Clip(text, maxWarning))
		}
	}
	return warnings, nil
}

// parsePatch reads the patch of an object: an array or, as in the API, the base64 of one.
func parsePatch(raw []byte) ([]review.Op, error) {
	switch {
	case absent(raw):
		return nil, nil
	case raw[0] == '[':
		return parseOps(raw)
	case raw[0] == '"':
		var encoded member
		if err := encoded.UnmarshalJSON(raw); err != nil {
			return nil, errors.New("a patch that amp cannot read")
		}
		array, err := base64.StdEncoding.DecodeString(encoded.text)
		if err != nil {
			return nil, errors.New("a patch that is a string, but not the base64 of a JSON array")
		}
		if array = bytes.Trim(array, " \t\r\n"); len(array) == 0 || array[0] != '[' {
			return nil, errors.New("a patch whose base64 does not hold a JSON array")
		}
		return parseOps(array)
	}
	return nil, fmt.Errorf("a patch that is %s, not an array or the base64 of one", kind(raw))
}

// absent reports whether a member is missing or null. Both mean the same unless a comment says otherwise: many encoders
// write null for a value that is not set.
func absent(raw []byte) bool { return len(raw) == 0 || string(raw) == "null" }
