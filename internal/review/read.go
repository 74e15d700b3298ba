package review

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

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

// The most characters of what amp keeps of a review besides the Pod: it goes into headers, log lines and events, and is not
// counted as memory. A mutating webhook sees values before the API server refuses them, and anyone may call amp.
const (
	// maxName is that of Kubernetes' own names, and more than uids, kinds and API versions have. What is longer is cut: the API
	// server will refuse the Pod.
	maxName = 253
	// maxUser is that of usernames, for which Kubernetes has no limit.
	maxUser = 1024
	// MaxLabels is how many labels of a Pod amp reads.
	MaxLabels = 1000
)

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
	if len(r.UID) > maxName || len(r.Namespace) > maxName {
		return nil, false, fmt.Errorf("expected a request as an API server writes it: its uid or its namespace has more than %d bytes", maxName)
	}
	resource := found.resource.name()
	switch {
	case resource != "v1/pods" || found.operation != "CREATE" || found.subresource != "":
		if found.subresource != "" {
			resource += "/" + found.subresource
		}
		r.Unhandled = fmt.Sprintf("only the CREATE of v1/pods is handled, not %s of %s: check the webhook's rules", clip(found.operation), clip(resource))
	case found.fromNode:
		r.FromNode = true
	}
	return r, found.resource.version != "" && found.resource.resource != "" && found.operation != "", nil
}

// request is what Read takes from the request of a review. review is nil if there is none.
type request struct {
	review                 *Review
	resource               resource
	operation, subresource string
	fromNode               bool
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
			name = short(s)
		case "operation":
			found.operation = short(s)
		case "subResource":
			found.subresource = short(s)
		case "dryRun":
			r.DryRun = s.True()
		case "resource":
			found.resource = readResource(s)
		case "userInfo":
			r.User, found.fromNode = readUser(s)
		case "object":
			// amp forwards the API server's own bytes.
			r.Pod, pod = readPod(s)
		default:
			s.Skip()
		}
	})
	r.Name, r.GenerateName, r.PodUID = cmp.Or(name, pod.name), pod.generateName, pod.uid
	r.Labels, r.ManyLabels = pod.labels, pod.manyLabels
	r.Stamp, r.Explain, r.Controller = pod.stamp, pod.explain, pod.controller
	found.review = r
	return found
}

func readResource(s *jsonscan.Scanner) (r resource) {
	s.Object(func(name string) {
		switch name {
		case "group":
			r.group = short(s)
		case "version":
			r.version = short(s)
		case "resource":
			r.resource = short(s)
		default:
			s.Skip()
		}
	})
	return r
}

func readUser(s *jsonscan.Scanner) (name string, isNode bool) {
	s.Object(func(field string) {
		switch field {
		case "username":
			name = Clip(s.Text(), maxUser)
		case "groups":
			isNode = false
			s.Array(func() { isNode = s.Text() == nodesGroup || isNode })
		default:
			s.Skip()
		}
	})
	return name, isNode
}

// podMeta is what the plan, the record and the event need of a Pod.
type podMeta struct {
	name, generateName, uid string
	labels                  map[string]string
	manyLabels              bool
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
			m.name = short(s)
		case "generateName":
			m.generateName = short(s)
		case "uid":
			m.uid = short(s)
		case "labels":
			m.labels, m.manyLabels = readLabels(s)
		case "annotations":
			s.Object(func(key string) {
				switch key {
				case StampAnnotation:
					m.stamp = short(s)
				case ExplainAnnotation:
					m.explain = strings.TrimSpace(s.Text()) == "true"
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

// readLabels returns no labels if there are too many.
func readLabels(s *jsonscan.Scanner) (all map[string]string, tooMany bool) {
	all = map[string]string{}
	s.Object(func(key string) {
		if tooMany = tooMany || len(all) == MaxLabels; tooMany {
			all = nil
			s.Skip()
			return
		}
		all[key] = s.Text()
	})
	return all, tooMany
}

func readOwner(s *jsonscan.Scanner) (owner *Owner, controls bool) {
	owner = &Owner{}
	s.Object(func(name string) {
		switch name {
		case "apiVersion":
			owner.APIVersion = short(s)
		case "kind":
			owner.Kind = short(s)
		case "name":
			owner.Name = short(s)
		case "uid":
			owner.UID = short(s)
		case "controller":
			controls = s.True()
		default:
			s.Skip()
		}
	})
	return owner, controls
}

// short is the text at which s is, cut to the length of a name.
func short(s *jsonscan.Scanner) string { return Clip(s.Text(), maxName) }

// clip makes a text that the caller chose short enough for a message.
func clip(s string) string { return Clip(s, 60) }
