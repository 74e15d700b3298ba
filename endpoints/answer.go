package endpoints

import (
	"fmt"
	"slices"
)

// Answer is what an endpoint says about a Pod. The zero Answer lets the Pod pass unchanged. [Patch],
// [Refuse] and [Warn] make the other answers.
type Answer struct {
	// Patch holds the operations, in the order in which they apply. If it is empty, the Pod does not change.
	// It is ignored if Refused is set.
	Patch []PatchOperation
	// Refused means that the Pod must not be created. This does not depend on the failure policy.
	Refused bool
	// Message tells the Pod's creator why it is refused: one sentence that also says what to do.
	Message string
	// Code is the HTTP status of a refusal; 0 means 403. Kubernetes raises a code below 400.
	Code int32
	// Warnings are for the Pod's creator. A person who creates the Pod directly sees them; a controller does
	// not show them. Each is one short line, because Kubernetes cuts long ones.
	Warnings []string
}

// Patch answers with a patch. Without operations it lets the Pod pass unchanged.
func Patch(ops ...PatchOperation) Answer { return Answer{Patch: ops} }

// Refuse answers that the Pod must not be created, and why. The message is text, not a format string.
func Refuse(message string) Answer { return Answer{Refused: true, Message: message} }

// Warn lets the Pod pass unchanged, with warnings.
func Warn(warnings ...string) Answer { return Answer{Warnings: warnings} }

// Warn returns a copy of the answer with more warnings:
//
//	return endpoints.Patch(ops...).Warn("the GPU queue is long today"), nil
func (a Answer) Warn(warnings ...string) Answer {
	a.Warnings = append(slices.Clip(a.Warnings), warnings...)
	return a
}

// Refusal is a refusal as an error. Use it where a function returns no [Answer]: inside [Mutate], or deep
// in an endpoint's own code. It may be wrapped.
type Refusal struct{ Message string }

// NewRefusal returns a [Refusal]. The message is text, not a format string.
func NewRefusal(message string) *Refusal { return &Refusal{message} }

// Error returns the message.
func (r *Refusal) Error() string { return r.Message }

// encode writes the answer as an array of operations if an array can hold it, and as an object otherwise.
func (a Answer) encode(phase Operation) ([]byte, error) {
	type status struct {
		Message string `json:"message,omitempty"`
		Code    int32  `json:"code,omitempty"`
	}
	type response struct {
		Allowed  bool             `json:"allowed"`
		Status   *status          `json:"status,omitempty"`
		Warnings []string         `json:"warnings,omitempty"`
		Patch    []PatchOperation `json:"patch,omitempty"`
	}
	out := response{Allowed: !a.Refused, Warnings: a.Warnings}
	switch {
	case a.Refused:
		if a.Message != "" || a.Code != 0 {
			out.Status = &status{a.Message, a.Code}
		}
	case phase == Mutating:
		out.Patch = a.Patch
	}
	var body any = out
	if phase == Mutating && !a.Refused && len(a.Warnings) == 0 {
		body = append([]PatchOperation{}, a.Patch...) // never nil: [] is clearer to a reader than null
	}
	b, err := encode(body)
	if err != nil {
		return nil, fmt.Errorf("encoding the answer: %w", err)
	}
	return append(b, '\n'), nil
}
