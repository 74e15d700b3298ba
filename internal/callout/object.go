package callout

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/txn2/amp/internal/review"
)

// object is an answer that is a JSON object, an AdmissionResponse in short. The raw values are nil where absent.
type object struct {
	allowed, status, warnings, patch []byte
	patchType                        []byte

	empty  bool   // it has no member
	denied bool   // an "allowed" is false
	twice  string // a name of the answer's own that occurs more than once
	kind   string // as in the kind of an AdmissionReview or a Pod
	strays []stray
}

// maxStrays is how many strays are looked at. They are only for the message of a failure.
const maxStrays = 100

// stray is a member that amp does not read. Those of value null say nothing and are left out.
type stray struct {
	name  string
	value []byte
}

// readObject sorts the members of an object. Names are case-sensitive, as in the API.
//
// Members that an AdmissionResponse has in the API, and amp has no use for, are no strays: uid and auditAnnotations.
// Neither is apiVersion.
func readObject(body []byte) *object {
	o := &object{empty: true}
	set := func(member *[]byte, name string, value []byte) {
		if *member != nil {
			o.twice = name
		}
		*member = value
	}
	for name, value := range members(body) {
		o.empty = false
		switch name {
		case "allowed":
			set(&o.allowed, name, value)
			o.denied = o.denied || string(value) == "false"
		case "status":
			set(&o.status, name, value)
		case "warnings":
			set(&o.warnings, name, value)
		case "patch":
			set(&o.patch, name, value)
		case "patchType":
			o.patchType = value
		case "kind":
			o.kind = textIn(value)
		case "uid", "auditAnnotations", "apiVersion":
		default:
			if !absent(value) && len(o.strays) < maxStrays {
				o.strays = append(o.strays, stray{name, value})
			}
		}
	}
	return o
}

// known reports whether the object has one of the names that make it an answer.
func (o *object) known() bool {
	return o.allowed != nil || o.status != nil || o.warnings != nil || o.patch != nil
}

// parseObject reads a body that is an object. Its errors are those of parseBody.
//
//	allowed   status                       patch     meaning
//	true      no error code                any       admitted, with the patch
//	true      an error code                any       failure: it says yes and no
//	false     any                          any       denied
//	absent    message, reason or code      absent    denied: encoders leave false out, and the API server reads it so
//	absent    anything else but null       any       failure: it asks for allowed
//	absent    message, reason or code      present   failure: it asks for allowed
//	absent    absent or null               any       admitted, with the patch
//
// Every part of an answer must be valid. An object fails if it has none of allowed, status, warnings and patch, or one
// of them twice, or another member that is meant as one of them (see fault). If "allowed" is false all the same, it is
// a denial.
func parseObject(phase review.Phase, body []byte, s secrets) (review.Answer, error) {
	o := readObject(body)
	status, statusErr := parseStatus(o.status, s)
	answer := review.Answer{Refused: o.denied}
	if o.denied {
		answer.Message, answer.Code = status.message, status.code
	}
	if err := o.fault(phase); err != nil {
		return answer, err
	}
	if o.allowed == nil && absent(o.patch) && status.denies {
		answer = review.Answer{Refused: true, Message: status.message, Code: status.code}
	}
	switch {
	case statusErr != nil:
		return answer, statusErr
	case answer.Refused && status.hint != "":
		return answer, errors.New(status.hint)
	case answer.Refused && answer.Message == "" && o.perhapsWhy() != "":
		return answer, fmt.Errorf(`%s beside "allowed"; if it is the reason, put it in status.message`, quoted(o.perhapsWhy()))
	case answer.Refused:
	case o.allowed == nil && !absent(o.status) && !absent(o.patch):
		return answer, errors.New(`a "status" and a "patch", but no "allowed"; add "allowed": true or "allowed": false`)
	case o.allowed == nil && !absent(o.status) && status.hint != "":
		return answer, errors.New(status.hint + `; and add "allowed": true or "allowed": false`)
	case o.allowed == nil && !absent(o.status):
		return answer, errors.New(`a "status" that has no message, and no "allowed"; add "allowed": true or "allowed": false`)
	case status.isError:
		return answer, errors.New(`"allowed": true beside a "status" of an error; deny with "allowed": false, or leave the status out`)
	}
	var err error
	if answer.Warnings, answer.MoreWarnings, err = parseWarnings(o.warnings, s); err != nil {
		return answer, err
	}
	ops, err := parsePatch(o.patch)
	switch {
	case err != nil:
		return answer, err
	case phase == review.Validate && len(ops) > 0:
		return answer, errors.New("a patch, which a validating review cannot have; " + expected(phase))
	case !answer.Refused:
		answer.Ops = ops
	}
	return answer, nil
}

// status is what the status of an answer says.
type status struct {
	message string // for the user; if there is none, the reason, as the API server shows it (errors/statuserror.go)
	code    int32  // 0 unless it is an error's: the API server would change it to 400, or not accept the response
	denies  bool   // it has a message, a reason or a code
	isError bool   // its code is an error's, or it says "Failure"
	hint    string // what is wrong with a member that is meant as one of these
}

// parseStatus reads the status of an object.
func parseStatus(raw []byte, hidden secrets) (s status, err error) {
	if absent(raw) {
		return s, nil
	}
	if raw[0] != '{' {
		return s, fmt.Errorf(`a "status" that is %s, not an object with message and code`, kind(raw))
	}
	var reason string
	for name, value := range members(raw) {
		switch name {
		case "message", "reason":
			text := review.Clip(hidden.hide(review.Line(textIn(value))), maxMessage)
			switch {
			case absent(value):
			case value[0] != '"':
				s.denies, err = true, fmt.Errorf(`a "status.%s" that is %s, not a string`, name, kind(value))
			case name == "message":
				s.message = text
			default:
				reason = text
			}
			s.denies = s.denies || text != ""
		case "code":
			var n float64
			switch {
			case absent(value):
			case json.Unmarshal(value, &n) != nil:
				s.denies, err = true, fmt.Errorf(`a "status.code" that is %s, not an HTTP status`, kind(value))
			default:
				s.denies = s.denies || n != 0
				s.isError = s.isError || n >= 400
				if n >= 400 && n < 600 && n == math.Trunc(n) {
					s.code = int32(n)
				}
			}
		case "status": // as metav1.Status has it: Success or Failure
			s.isError = s.isError || textIn(value) == "Failure"
		default:
			if meant := meantInStatus(name); meant != "" && !slices.Contains(emptyValues, string(value)) {
				s.hint = fmt.Sprintf(`%s in "status"; write %q`, quoted(name), meant)
			}
		}
	}
	if s.message == "" {
		s.message = reason
	}
	if s.message != "" {
		s.hint = ""
	}
	return s, err
}
