package review

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/tidwall/gjson"

	"github.com/txn2/amp/endpoints/events"
)

// nodesGroup is the group of every kubelet. The Pods that a node creates mirror its static Pods, which it already runs: no
// answer can change them. The mirror annotation is not the condition, because any tenant may set it.
const nodesGroup = "system:nodes"

// StampAnnotation is the annotation by which a mutated Pod names its event.
const StampAnnotation = events.Annotation

// OptOutLabel is the label, "false", by which a Pod opts out of amp, and "true", by which a Namespace opts in.
const OptOutLabel = "amp.txn2.com/enabled"

// ExplainAnnotation is the annotation, "true", by which a Pod of a dry run asks what amp does with it.
const ExplainAnnotation = "amp.txn2.com/explain"

// Read reads the body of a POST as an admission.k8s.io/v1 AdmissionReview. Its error says what amp expected; the answer is
// an HTTP 400.
//
// Read looks up single values instead of decoding the whole body, because most of the body is the Pod, which amp forwards
// unchanged. It also reads a review without a Pod, because amp must decide about that: then Pod is nil.
//
// The review points into body, which must not be written to afterwards.
func Read(body []byte, phase Phase) (*Review, error) {
	r, _, err := read(body, phase)
	return r, err
}

// read is Read. It also reports whether the body says what is done to which resource.
func read(body []byte, phase Phase) (r *Review, known bool, err error) {
	// gjson's validation is faster, but it recurses for each level of nesting, until the stack is full.
	if !json.Valid(body) {
		return nil, false, errors.New("expected an AdmissionReview as JSON: the body is not valid JSON")
	}
	// The body as a string, of which all strings read below are slices. A copy would keep each body in memory twice. None
	// is needed, because nothing writes to a body after it was read: the Pod goes on as it came.
	doc := gjson.Parse(unsafe.String(unsafe.SliceData(body), len(body)))
	version, kind := doc.Get("apiVersion").String(), doc.Get("kind").String()
	if kind != "AdmissionReview" || version != "admission.k8s.io/v1" {
		return nil, false, fmt.Errorf("expected apiVersion admission.k8s.io/v1, kind AdmissionReview; this is apiVersion %q, kind %q", clip(version), clip(kind))
	}
	request := doc.Get("request")
	if !request.IsObject() {
		return nil, false, errors.New("expected an AdmissionReview with a request: there is none")
	}

	r = &Review{Phase: phase}
	var resource, operation, subresource string
	request.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "uid":
			r.UID = value.String()
		case "namespace":
			r.Namespace = value.String()
		case "name":
			r.Name = value.String()
		case "operation":
			operation = value.String()
		case "subResource":
			subresource = value.String()
		case "dryRun":
			r.DryRun = value.Bool() // absent and null are false
		case "resource":
			resource = resourceName(value)
			known = value.Get("version").String() != "" && value.Get("resource").String() != ""
		case "userInfo":
			r.User = value.Get("username").String()
			value.Get("groups").ForEach(func(_, group gjson.Result) bool {
				r.Groups = append(r.Groups, group.String())
				return true
			})
		case "object":
			if value.IsObject() {
				// amp forwards the API server's own bytes. No code may append to them, because the rest of the body follows.
				end := value.Index + len(value.Raw)
				r.Pod = json.RawMessage(body[value.Index:end:end])
				r.readPod(value)
			}
		}
		return true
	})

	switch {
	case resource != "v1/pods" || operation != "CREATE" || subresource != "":
		if subresource != "" {
			resource += "/" + subresource
		}
		r.Unhandled = fmt.Sprintf("only the CREATE of v1/pods is handled, not %s of %s: check the webhook's rules", clip(operation), clip(resource))
	case slices.Contains(r.Groups, nodesGroup):
		r.FromNode = true
	}
	return r, known && operation != "", nil
}

// resourceName is group/version/resource without an empty group.
func resourceName(v gjson.Result) string {
	name := v.Get("version").String() + "/" + v.Get("resource").String()
	if group := v.Get("group").String(); group != "" {
		name = group + "/" + name
	}
	return name
}

// readPod takes from the Pod what the plan, the record and the event need.
func (r *Review) readPod(pod gjson.Result) {
	pod.Get("metadata").ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "name":
			if r.Name == "" {
				r.Name = value.String()
			}
		case "generateName":
			r.GenerateName = value.String()
		case "uid":
			r.PodUID = value.String()
		case "labels":
			r.Labels = map[string]string{}
			value.ForEach(func(key, value gjson.Result) bool {
				r.Labels[key.String()] = value.String()
				return true
			})
		case "annotations":
			value.ForEach(func(key, value gjson.Result) bool {
				switch key.String() {
				case StampAnnotation:
					r.Stamp = value.String()
				case ExplainAnnotation:
					r.Explain = value.String() == "true"
				}
				return true
			})
		case "ownerReferences":
			value.ForEach(func(_, owner gjson.Result) bool {
				if owner.Get("controller").Bool() {
					r.Controller = &Owner{
						APIVersion: owner.Get("apiVersion").String(),
						Kind:       owner.Get("kind").String(),
						Name:       owner.Get("name").String(),
						UID:        owner.Get("uid").String(),
					}
				}
				return true
			})
		}
		return true
	})
}

// clip makes a text that the caller chose short enough for a message.
func clip(s string) string { return Clip(s, 60) }
