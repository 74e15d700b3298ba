package review

import (
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The wire types of an answer are those of k8s.io/api/admission/v1, of which a program would also link the code for
// protocol buffers: 200 KB that nothing of amp uses.
type (
	// admissionReview is AdmissionReview.
	admissionReview struct {
		metav1.TypeMeta `json:",inline"`
		Response        *admissionResponse `json:"response,omitempty"`
	}
	// admissionResponse is AdmissionResponse.
	admissionResponse struct {
		UID              string            `json:"uid"`
		Allowed          bool              `json:"allowed"`
		Result           *metav1.Status    `json:"status,omitempty"`
		Patch            []byte            `json:"patch,omitempty"`
		PatchType        string            `json:"patchType,omitempty"`
		AuditAnnotations map[string]string `json:"auditAnnotations,omitempty"`
		Warnings         []string          `json:"warnings,omitempty"`
	}
)

// reviewType is the type of every answer: the API server accepts no other.
var reviewType = metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}

// Write returns the body that answers rec's review. It panics if a value of the patch is not JSON, which is a bug of the
// step that checked the patch.
func Write(rec *Record) []byte {
	v := &rec.Verdict
	response := &admissionResponse{
		UID:              rec.Review.UID,
		Allowed:          v.Allowed(),
		Warnings:         v.Warnings,
		AuditAnnotations: auditAnnotations(rec),
	}
	if !v.Allowed() {
		response.Result = &metav1.Status{Status: metav1.StatusFailure, Message: v.Message, Code: v.Code, Reason: reason(v.Code)}
	}
	if len(v.Patch) > 0 {
		// The API server rejects a patchType without a patch: the answer has both or neither.
		response.Patch, response.PatchType = marshal(v.Patch), "JSONPatch"
	}
	return marshal(admissionReview{TypeMeta: reviewType, Response: response})
}

// auditAnnotations become <webhook>/<key> in the API server's audit log, at its level Metadata. Therefore they hold no
// value of the Pod. A skipped review has none.
func auditAnnotations(rec *Record) map[string]string {
	if rec.Verdict.Outcome == OutcomeSkipped {
		return nil
	}
	annotations := map[string]string{"outcome": string(rec.Verdict.Outcome)}
	if names := EndpointNames(rec.Run.Steps); names != "" {
		annotations["endpoint"] = names
	}
	if rec.Plan.Event != "" {
		annotations["event"] = rec.Plan.Event
	}
	return annotations
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

// marshal panics if v cannot be encoded. The caller of Write contains that.
func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encoding the answer: %v", err))
	}
	return b
}
