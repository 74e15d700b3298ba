package endpoints

import (
	"fmt"
	"slices"
)

// Answer is what an endpoint says about a Pod. The zero Answer lets it pass as it is. [Patch], [Refuse] and
// [Warn] make the others.
type Answer struct {
	// Patch is applied in order; empty for no change. It counts for nothing where Refused is set.
	Patch []PatchOperation
	// Refused keeps the Pod from being created, under either failure policy.
	Refused bool
	// Message says why, to whoever creates the Pod: one sentence that names the remedy.
	Message string
	// Code is the HTTP status of a refusal, 0 for 403. Kubernetes raises those below 400.
	Code int32
	// Warnings are shown to whoever creates the Pod, if a person does so directly: each one line, and short,
	// since Kubernetes cuts long ones.
	Warnings []string
}

// Patch answers with a patch. With no operations it lets the Pod pass as it is.
func Patch(ops ...PatchOperation) Answer { return Answer{Patch: ops} }

// Refuse answers that the Pod must not be created, and why. The message is text, not a format.
func Refuse(message string) Answer { return Answer{Refused: true, Message: message} }

// Warn lets the Pod pass as it is, with warnings.
func Warn(warnings ...string) Answer { return Answer{Warnings: warnings} }

// Warn returns the answer with further warnings:
//
//	return endpoints.Patch(ops...).Warn("the GPU queue is long today"), nil
func (a Answer) Warn(warnings ...string) Answer {
	a.Warnings = append(slices.Clip(a.Warnings), warnings...)
	return a
}

// Refusal is a refusal as an error, for where there is no [Answer] to return: inside [Mutate], or deep in
// an endpoint's own code. It may be wrapped.
type Refusal struct{ Message string }

// NewRefusal returns a [Refusal]. The message is text, not a format.
func NewRefusal(message string) *Refusal { return &Refusal{message} }

// Error returns the message.
func (r *Refusal) Error() string { return r.Message }

// encode writes the answer in the shorter of its two forms that can hold it.
func (a Answer) encode(op Operation) ([]byte, error) {
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
	case op == Mutating:
		out.Patch = a.Patch
	}
	var body any = out
	if op == Mutating && !a.Refused && len(a.Warnings) == 0 {
		body = append([]PatchOperation{}, a.Patch...) // never nil: [] says more to a reader than null
	}
	b, err := encode(body)
	if err != nil {
		return nil, fmt.Errorf("encoding the answer: %w", err)
	}
	return append(b, '\n'), nil
}
