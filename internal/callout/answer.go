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
	"unicode/utf8"

	sjson "sigs.k8s.io/json"

	"github.com/txn2/amp/internal/review"
)

// Bounds of what an endpoint says to people, in characters.
const (
	maxMessage   = 1024 // of a refusal
	maxWarning   = 256  // what the API server cuts each one to when there are many (filters/warning.go)
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
// A handler that died must not read as "no change": hence the strictness about empty bodies and objects that
// say nothing. All of an answer must be readable, of a refusal too.
func parse(op review.Phase, status int, contentType string, body []byte) (review.Answer, *review.Failure) {
	switch {
	case status == http.StatusNoContent:
		return review.Answer{Status: status}, nil
	case status >= 300 && status < 400:
		return review.Answer{}, failed(review.ResultStatus,
			fmt.Sprintf("answered %d: amp follows no redirect; name the final URL in the annotation", status))
	case status < 200 || status >= 300:
		return review.Answer{}, failed(review.ResultStatus, statusCause(status, contentType, body))
	}
	answer, err := parseBody(op, contentType, bytes.Trim(body, " \t\r\n"))
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
	// Only plain text: the first line of a page of HTML says nothing.
	if mediaType, _, err := mime.ParseMediaType(contentType); err == nil && mediaType == "text/plain" {
		for line := range strings.Lines(strings.ToValidUTF8(string(body), " ")) {
			if line = review.Line(line); line != "" {
				return cause + ": " + review.Clip(line, maxErrorLine)
			}
		}
	}
	return cause
}

// noChange says how to answer that there is nothing to do.
func noChange(op review.Phase) string {
	if op == review.Validate {
		return `status 204 or {"allowed":true}`
	}
	return "[], null or status 204"
}

func expected(op review.Phase) string {
	if op == review.Validate {
		return `expected {"allowed":…} or status 204`
	}
	return `expected a JSON array of patch operations, {"allowed":…} or status 204`
}

// badOp is the error of an operation, a sentence of its own that begins like those of internal/patch.
type badOp string

func (b badOp) Error() string { return string(b) }

// parseBody reads the body of a 2xx. An error completes the sentence "answered 200 with", unless it is a badOp.
func parseBody(op review.Phase, contentType string, body []byte) (review.Answer, error) {
	if len(body) == 0 {
		return review.Answer{}, errors.New("an empty body; where nothing is to change, answer " + noChange(op))
	}
	switch first := body[0]; {
	case first == '{':
		return parseObject(op, contentType, body)
	case first == '[' && op != review.Validate:
		ops, err := parseOps(body)
		if err != nil && !json.Valid(body) {
			return review.Answer{}, notJSON(contentType)
		}
		return review.Answer{Ops: ops}, err
	case !json.Valid(body):
		return review.Answer{}, notJSON(contentType)
	case first == '[':
		return review.Answer{}, errors.New("an array, as if this were a mutating review; " + expected(op))
	case first == 'n' && op != review.Validate:
		return review.Answer{}, nil
	default:
		return review.Answer{}, fmt.Errorf("%s; %s", kind(body), expected(op))
	}
}

func notJSON(contentType string) error {
	if contentType == "" {
		contentType = "unknown"
	}
	return fmt.Errorf("what is not JSON (content type %s)", review.Clip(review.Line(strings.ToValidUTF8(contentType, "")), 60))
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

// wireOp is an operation as it comes. Names are case-sensitive as in the API server: OP is not op.
type wireOp struct {
	Op    member          `json:"op"`
	Path  member          `json:"path"`
	From  member          `json:"from"`
	Value json.RawMessage `json:"value"` // nil where absent, null where null
}

// member is a string, or the knowledge that something is there which is not a string. It leaves no error to
// the decoder, whose errors do not say in which element of an array they are.
type member struct {
	text string
	is   byte // 0 where absent, else the value's first byte
}

// UnmarshalJSON implements [json.Unmarshaler].
func (m *member) UnmarshalJSON(value []byte) error {
	m.text, m.is = "", value[0]
	if m.is != '"' {
		return nil
	}
	if inside := value[1 : len(value)-1]; bytes.IndexByte(inside, '\\') < 0 && utf8.Valid(inside) {
		m.text = string(inside)
		return nil
	}
	return json.Unmarshal(value, &m.text)
}

// missing says what is wrong with a member that is not a string.
func (m *member) missing(name string) string {
	if m.is == 0 {
		return fmt.Sprintf("it has no %q", name)
	}
	return fmt.Sprintf("its %q is %s, not a string", name, kind([]byte{m.is}))
}

// parseOps reads an array of operations. It looks at each one's form; whether it applies, and to what, is
// the matter of internal/patch.
func parseOps(array []byte) ([]review.Op, error) {
	var wire []wireOp
	if err := sjson.UnmarshalCaseSensitivePreserveInts(array, &wire); err != nil {
		var elements []json.RawMessage
		if err := json.Unmarshal(array, &elements); err != nil {
			return nil, errors.New("a patch that is not a JSON array")
		}
		for i, element := range elements {
			if element[0] != '{' {
				return nil, badOp(fmt.Sprintf("op %d is %s, not an object", i+1, kind(element)))
			}
		}
		return nil, errors.New("a patch that amp cannot read")
	}
	if len(wire) == 0 {
		return nil, nil
	}
	ops := make([]review.Op, len(wire))
	for i := range wire {
		op, complaint := wire[i].op()
		if complaint != "" {
			return nil, badOp(fmt.Sprintf("op %d%s", i+1, complaint))
		}
		ops[i] = op
	}
	return ops, nil
}

// knownOps are the operations of RFC 6902, section 4.
const knownOps = "add, remove, replace, move, copy, test"

// op checks the form of an operation. A complaint follows the operation's number in a sentence.
func (w *wireOp) op() (op review.Op, complaint string) {
	op = review.Op{Op: w.Op.text, Path: w.Path.text, Value: w.Value}
	switch op.Op {
	case "add", "remove", "replace", "test":
		// A member that the operation does not define is to be ignored, whatever it is.
	case "move", "copy":
		if w.From.is != '"' {
			return op, fmt.Sprintf(" (%s): %s", op.Op, w.From.missing("from"))
		}
		op.From = w.From.text
	default:
		if w.Op.is != '"' {
			return op, fmt.Sprintf(": %s; RFC 6902 knows %s", w.Op.missing("op"), knownOps)
		}
		return op, fmt.Sprintf(" (%q %q): unknown op; RFC 6902 knows %s, in lower case", review.Clip(op.Op, 40), review.Clip(op.Path, 80), knownOps)
	}
	if w.Path.is != '"' {
		return op, fmt.Sprintf(" (%s): %s", op.Op, w.Path.missing("path"))
	}
	return op, ""
}

// wireAnswer holds the members that make an object an answer, and those that tell what it is if not that.
type wireAnswer struct {
	Allowed  json.RawMessage `json:"allowed"`
	Status   json.RawMessage `json:"status"`
	Warnings json.RawMessage `json:"warnings"`
	Patch    json.RawMessage `json:"patch"`

	Kind     member          `json:"kind"`
	Response json.RawMessage `json:"response"`
	Spec     json.RawMessage `json:"spec"`
}

func parseObject(op review.Phase, contentType string, body []byte) (review.Answer, error) {
	var wire wireAnswer
	if err := sjson.UnmarshalCaseSensitivePreserveInts(body, &wire); err != nil {
		return review.Answer{}, notJSON(contentType)
	}
	silent := wire.Allowed == nil && wire.Status == nil && wire.Warnings == nil && wire.Patch == nil
	switch {
	case wire.Kind.text == "AdmissionReview", silent && wire.Response != nil:
		return review.Answer{}, errors.New(`a whole AdmissionReview; answer its response only: {"allowed":…,"patch":…}`)
	case wire.Kind.text == "Pod" && wire.Spec != nil && wire.Allowed == nil && wire.Patch == nil:
		// Its status would pass for an answer's, and the change that the author made for none at all.
		return review.Answer{}, errors.New("a Pod; " + expected(op))
	case silent:
		return review.Answer{}, errors.New("an object that has none of allowed, status, warnings, patch; " + expected(op))
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
	case op == review.Validate && len(ops) > 0:
		return review.Answer{}, errors.New("a patch, which a validating review cannot have; " + expected(op))
	case answer.Refused:
		answer.Message, answer.Code = message, code
	default:
		answer.Ops = ops
	}
	return answer, nil
}

// parseStatus reads the message and code of a refusal. A code is kept where it is an error's: the API server
// would raise any other to 400 or refuse to make a response of it.
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

func parseWarnings(raw []byte) ([]string, error) {
	if absent(raw) {
		return nil, nil
	}
	var all []member
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf(`"warnings" that are %s, not an array of strings`, kind(raw))
	}
	var warnings []string
	for i, w := range all {
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
			return nil, errors.New("a patch whose base64 holds no JSON array")
		}
		return parseOps(array)
	}
	return nil, fmt.Errorf("a patch that is %s, not an array or the base64 of one", kind(raw))
}

// absent reports whether a member is missing or null, which mean the same but where said otherwise: many an
// encoder writes null for what is not set.
func absent(raw []byte) bool { return len(raw) == 0 || string(raw) == "null" }
