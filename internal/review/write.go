package review

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Write returns the body that answers rec's review. It panics if a value of the patch is not JSON, which is a bug of the
// step that checked the patch.
//
// The answer is an AdmissionReview of admission.k8s.io/v1. It is appended piece by piece, because a program that links
// k8s.io/api/admission/v1 also links its code for protocol buffers, 200 KB, and because reflection takes several times as long.
func Write(rec *Record) []byte {
	v := &rec.Verdict
	patch := appendPatch(v.Patch)
	b := make([]byte, 0, 512+base64.StdEncoding.EncodedLen(len(patch)))
	b = append(b, `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":`...)
	b = appendText(b, rec.Review.UID)
	b = append(b, `,"allowed":`...)
	b = strconv.AppendBool(b, v.Allowed())
	if !v.Allowed() {
		b = append(b, `,"status":{"metadata":{},"status":"Failure","message":`...)
		b = appendText(b, v.Message)
		if r := reason(v.Code); r != "" {
			b = append(b, `,"reason":`...)
			b = appendText(b, string(r))
		}
		b = append(b, `,"code":`...)
		b = strconv.AppendInt(b, int64(v.Code), 10)
		b = append(b, '}')
	}
	if len(patch) > 0 {
		// The API server rejects a patchType without a patch: the answer has both or neither.
		b = append(b, `,"patch":"`...)
		b = base64.StdEncoding.AppendEncode(b, patch)
		b = append(b, `","patchType":"JSONPatch"`...)
	}
	b = appendAuditAnnotations(b, rec)
	for i, warning := range v.Warnings {
		if i == 0 {
			b = append(b, `,"warnings":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendText(b, warning)
	}
	if len(v.Warnings) > 0 {
		b = append(b, ']')
	}
	return append(b, `}}`...)
}

// appendText appends a JSON string as encoding/json writes it. What is not UTF-8 becomes U+FFFD.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		switch text[i] {
		case '<', '>', '&', '\xe2': // with which U+2028 begins, too
			quoted, _ := json.Marshal(text) // a string has no errors
			return append(b, quoted...)
		}
	}
	b, _ = jsontext.AppendQuote(b, text) // its only error is about what is not UTF-8
	return b
}

// appendPatch returns the ops as a JSON patch, nothing if there are none. The API server compares the text of the value of a
// test with that of the Pod, which Go's encoder wrote: so it must have <, > and & escaped, as that has.
func appendPatch(ops []Op) []byte {
	if len(ops) == 0 {
		return nil
	}
	size := 2
	for i := range ops {
		size += 40 + len(ops[i].Path) + len(ops[i].From) + len(ops[i].Value)
	}
	b := make([]byte, 0, size)
	for i := range ops {
		op := &ops[i]
		if i == 0 {
			b = append(b, '[')
		} else {
			b = append(b, ',')
		}
		b = append(b, `{"op":`...)
		b = appendText(b, op.Op)
		b = append(b, `,"path":`...)
		b = appendText(b, op.Path)
		if op.From != "" {
			b = append(b, `,"from":`...)
			b = appendText(b, op.From)
		}
		if len(op.Value) > 0 {
			b = append(b, `,"value":`...)
			b = appendValue(b, op.Value)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendValue appends a value without white space. It panics if the value is not JSON. The caller of Write contains that.
func appendValue(b []byte, value json.RawMessage) []byte {
	b, err := jsontext.AppendFormat(b, value, jsontext.EscapeForHTML(true), jsontext.EscapeForJS(true), jsontext.PreserveRawStrings(true),
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(fmt.Sprintf("encoding the answer: %v", err))
	}
	return b
}

// appendAuditAnnotations appends what becomes <webhook>/<key> in the API server's audit log, at its level Metadata. Therefore
// it holds no value of the Pod. A skipped review has none.
func appendAuditAnnotations(b []byte, rec *Record) []byte {
	if rec.Verdict.Outcome == OutcomeSkipped {
		return b
	}
	b = append(b, `,"auditAnnotations":{`...)
	if names := EndpointNames(rec.Run.Steps); names != "" {
		b = append(b, `"endpoint":`...)
		b = append(appendText(b, names), ',')
	}
	if rec.Plan.Event != "" {
		b = append(b, `"event":`...)
		b = append(appendText(b, rec.Plan.Event), ',')
	}
	b = append(b, `"outcome":`...)
	return append(appendText(b, string(rec.Verdict.Outcome)), '}')
}

// EndpointNames are the endpoints of the steps in the order of their calls, separated by spaces.
func EndpointNames(steps []Step) string {
	if len(steps) == 1 { // the usual case needs no memory
		return steps[0].Endpoint.Name
	}
	names := make([]string, len(steps))
	for i := range steps {
		names[i] = steps[i].Endpoint.Name
	}
	return strings.Join(names, " ")
}

// reason is what kubectl shows in brackets: Error from server (Forbidden).
func reason(code int32) metav1.StatusReason {
	switch code {
	case codeDenied:
		return metav1.StatusReasonForbidden
	case codeFailed:
		return metav1.StatusReasonInternalError
	}
	return ""
}
