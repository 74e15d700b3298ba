package review

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/jsonscan"
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
// Read goes through the body once, and takes single values from it instead of decoding it, because most of the body is the
// Pod, which amp forwards unchanged. It also reads a review without a Pod, because amp must decide about that: then Pod is
// nil. A value of another type than the API has there is as if it were absent, and of a key that comes twice the last one
// counts.
//
// The review points into body, which must not be written to afterwards.
func Read(body []byte, phase Phase) (*Review, error) {
	r, _, err := read(body, phase)
	return r, err
}

// read is Read. It also reports whether the body says what is done to which resource.
func read(body []byte, phase Phase) (r *Review, known bool, err error) {
	var version, kind string
	var found request
	s := jsonscan.New(body)
	s.Object(func(name string) {
		switch name {
		case "apiVersion":
			version = s.Text()
		case "kind":
			kind = s.Text()
		case "request":
			found = readRequest(s, phase)
		default:
			s.Skip()
		}
	})
	if !s.End() {
		return nil, false, errors.New("expected an AdmissionReview as JSON: the body is not valid JSON")
	}
	if kind != "AdmissionReview" || version != "admission.k8s.io/v1" {
		return nil, false, fmt.Errorf("expected apiVersion admission.k8s.io/v1, kind AdmissionReview; this is apiVersion %q, kind %q", clip(version), clip(kind))
	}
	if r = found.review; r == nil {
		return nil, false, errors.New("expected an AdmissionReview with a request: there is none")
	}
	resource := found.resource.name()
	switch {
	case resource != "v1/pods" || found.operation != "CREATE" || found.subresource != "":
		if found.subresource != "" {
			resource += "/" + found.subresource
		}
		r.Unhandled = fmt.Sprintf("only the CREATE of v1/pods is handled, not %s of %s: check the webhook's rules", clip(found.operation), clip(resource))
	case slices.Contains(r.Groups, nodesGroup):
		r.FromNode = true
	}
	return r, found.resource.version != "" && found.resource.resource != "" && found.operation != "", nil
}

// request is what Read takes from the request of a review. review is nil if there is none.
type request struct {
	review                 *Review
	resource               resource
	operation, subresource string
}

type resource struct{ group, version, resource string }

// name is group/version/resource without an empty group.
func (r *resource) name() string {
	name := r.version + "/" + r.resource
	if r.group != "" {
		name = r.group + "/" + name
	}
	return name
}

func readRequest(s *jsonscan.Scanner, phase Phase) (found request) {
	if !s.At('{') {
		s.Skip()
		return found
	}
	r := &Review{Phase: phase}
	var name string
	var pod podMeta
	s.Object(func(field string) {
		switch field {
		case "uid":
			r.UID = s.Text()
		case "namespace":
			r.Namespace = s.Text()
		case "name":
			name = s.Text()
		case "operation":
			found.operation = s.Text()
		case "subResource":
			found.subresource = s.Text()
		case "dryRun":
			r.DryRun = s.True()
		case "resource":
			found.resource = readResource(s)
		case "userInfo":
			r.User, r.Groups = readUser(s)
		case "object":
			// amp forwards the API server's own bytes.
			r.Pod, pod = readPod(s)
		default:
			s.Skip()
		}
	})
	r.Name, r.GenerateName, r.PodUID = cmp.Or(name, pod.name), pod.generateName, pod.uid
	r.Labels, r.Stamp, r.Explain, r.Controller = pod.labels, pod.stamp, pod.explain, pod.controller
	found.review = r
	return found
}

func readResource(s *jsonscan.Scanner) (r resource) {
	s.Object(func(name string) {
		switch name {
		case "group":
			r.group = s.Text()
		case "version":
			r.version = s.Text()
		case "resource":
			r.resource = s.Text()
		default:
			s.Skip()
		}
	})
	return r
}

func readUser(s *jsonscan.Scanner) (name string, groups []string) {
	s.Object(func(field string) {
		switch field {
		case "username":
			name = s.Text()
		case "groups":
			groups = make([]string, 0, 4)
			s.Array(func() { groups = append(groups, s.Text()) })
		default:
			s.Skip()
		}
	})
	return name, groups
}

// podMeta is what the plan, the record and the event need of a Pod.
type podMeta struct {
	name, generateName, uid string
	labels                  map[string]string
	stamp                   string
	explain                 bool
	controller              *Owner
}

// readPod returns the Pod byte by byte as it came, nil if the value is not an object, and what is in its metadata.
func readPod(s *jsonscan.Scanner) (pod json.RawMessage, m podMeta) {
	if !s.At('{') {
		s.Skip()
		return nil, m
	}
	pod = s.Within(func() {
		s.Object(func(name string) {
			if name == "metadata" {
				m = readMeta(s)
			} else {
				s.Skip()
			}
		})
	})
	return pod, m
}

func readMeta(s *jsonscan.Scanner) (m podMeta) {
	s.Object(func(name string) {
		switch name {
		case "name":
			m.name = s.Text()
		case "generateName":
			m.generateName = s.Text()
		case "uid":
			m.uid = s.Text()
		case "labels":
			m.labels = map[string]string{}
			s.Object(func(key string) { m.labels[key] = s.Text() })
		case "annotations":
			s.Object(func(key string) {
				switch key {
				case StampAnnotation:
					m.stamp = s.Text()
				case ExplainAnnotation:
					m.explain = s.Text() == "true"
				default:
					s.Skip()
				}
			})
		case "ownerReferences":
			s.Array(func() {
				if owner, controls := readOwner(s); controls {
					m.controller = owner
				}
			})
		default:
			s.Skip()
		}
	})
	return m
}

func readOwner(s *jsonscan.Scanner) (owner *Owner, controls bool) {
	owner = &Owner{}
	s.Object(func(name string) {
		switch name {
		case "apiVersion":
			owner.APIVersion = s.Text()
		case "kind":
			owner.Kind = s.Text()
		case "name":
			owner.Name = s.Text()
		case "uid":
			owner.UID = s.Text()
		case "controller":
			controls = s.True()
		default:
			s.Skip()
		}
	})
	return owner, controls
}

// clip makes a text that the caller chose short enough for a message.
func clip(s string) string { return Clip(s, 60) }
