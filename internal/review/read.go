package review

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/txn2/amp/endpoints/events"
)

// nodesGroup is the group of every kubelet. The Pods that a node creates are mirrors of those it runs
// already (static Pods): nothing an answer says can change them. The mirror annotation would not do as the
// condition, since any tenant may set it.
const nodesGroup = "system:nodes"

// StampAnnotation is the annotation by which a mutated Pod names its event.
const StampAnnotation = events.Annotation

// ExplainAnnotation is the annotation, "true", by which a Pod of a dry run asks what amp does with it.
const ExplainAnnotation = "amp.txn2.com/explain"

// Read reads the body of a POST as an admission.k8s.io/v1 AdmissionReview. Its errors say what was expected
// and are meant for an HTTP 400.
//
// It looks values up where they lie instead of decoding the whole body, for the Pod in it is the better
// part and goes out as it came. A review that holds no Pod where one must be is read nevertheless, with
// Pod nil: amp owes it a decision.
func Read(body []byte, phase Phase) (*Review, error) {
	// Not gjson's validation, which is faster: it recurses as deep as the body nests, until the stack is full.
	if !json.Valid(body) {
		return nil, errors.New("expected an AdmissionReview as JSON: the body is not valid JSON")
	}
	// One copy to a string; all that is read below points into it.
	doc := gjson.ParseBytes(body)
	version, kind := doc.Get("apiVersion").String(), doc.Get("kind").String()
	if kind != "AdmissionReview" || version != "admission.k8s.io/v1" {
		return nil, fmt.Errorf("expected apiVersion admission.k8s.io/v1, kind AdmissionReview; this is apiVersion %q, kind %q", clip(version), clip(kind))
	}
	request := doc.Get("request")
	if !request.IsObject() {
		return nil, errors.New("expected an AdmissionReview with a request: there is none")
	}

	r := &Review{Phase: phase}
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
		case "userInfo":
			r.User = value.Get("username").String()
			value.Get("groups").ForEach(func(_, group gjson.Result) bool {
				r.Groups = append(r.Groups, group.String())
				return true
			})
		case "object":
			if value.IsObject() {
				// The bytes as they came, not the string's: what the API server sent is what goes out.
				r.Pod = json.RawMessage(body[value.Index : value.Index+len(value.Raw)])
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
	return r, nil
}

// resourceName is group/version/resource without an empty group.
func resourceName(v gjson.Result) string {
	name := v.Get("version").String() + "/" + v.Get("resource").String()
	if group := v.Get("group").String(); group != "" {
		name = group + "/" + name
	}
	return name
}

// readPod takes from the Pod what routes the review and names its record.
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

// clip keeps a text that a caller chose short enough for a message.
func clip(s string) string { return Clip(s, 60) }
