// Package shapes holds reviews of every shape that a Pod has when the API server sends it to a webhook: recorded ones, and
// ones made like them. The tools that try an endpoint send them. It calls nothing and judges nothing.
package shapes

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/txn2/amp/internal/review"
)

// Shape is a review of one shape.
type Shape struct {
	// Name says in a few words what is special about the Pod.
	Name string
	// Review is what amp reads from the API server's request. It is never changed.
	Review *review.Review
}

// The reviews that a kube-apiserver 1.36 sent, without their indentation.
//
//go:embed recorded/*.review.json
var recorded embed.FS

var recordedAs = []struct{ file, name string }{
	{"jupyterhub-user", "JupyterHub, KubeSpawner 4: a user's server"},
	{"kubespawner7-named-server", "JupyterHub, KubeSpawner 7: a named server"},
	{"kubespawner7-escaped-user", "JupyterHub, KubeSpawner 7: a user whose name is escaped"},
	{"worker-generate-name", "generateName: no name yet"},
	{"dry-run", "a dry run (kubectl run --dry-run=server)"},
}

// All returns the reviews of a phase, the same ones each time.
func All(phase review.Phase) ([]Shape, error) {
	var all []Shape
	for _, r := range recordedAs {
		body, err := recorded.ReadFile("recorded/" + r.file + ".review.json")
		if err != nil {
			return nil, err
		}
		shape, err := Read(r.name, body, phase)
		if err != nil {
			return nil, err
		}
		all = append(all, shape)
	}
	for _, m := range made() {
		body, err := m.review(len(all))
		if err != nil {
			return nil, err
		}
		shape, err := Read(m.name, body, phase)
		if err != nil {
			return nil, err
		}
		all = append(all, shape)
	}
	return all, nil
}

// Read makes a shape of a Pod or of an AdmissionReview, as JSON. A Pod without a namespace is created in "default". The
// error says what is wrong with the text. All reviews of Pods have one uid.
func Read(name string, text []byte, phase review.Phase) (Shape, error) {
	var what struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(text, &what); err != nil {
		return Shape{}, fmt.Errorf("reading %q: it is not a JSON object: %w", name, err)
	}
	switch what.Kind {
	case "AdmissionReview":
	case "Pod":
		body, err := envelope(json.RawMessage(text), request{uid: UID(0), namespace: what.Metadata.Namespace, user: user})
		if err != nil {
			return Shape{}, err
		}
		text = body
	default:
		return Shape{}, fmt.Errorf("reading %q: it is of kind %q; expected a Pod or an AdmissionReview", name, what.Kind)
	}
	return read(name, text, phase)
}

// OfPod makes a shape of a Pod, as JSON, that a user with these groups creates. All have one uid.
func OfPod(name string, pod json.RawMessage, namespace, user string, groups []string, phase review.Phase) (Shape, error) {
	body, err := envelope(pod, request{uid: UID(0), namespace: namespace, user: creator{user, groups}})
	if err != nil {
		return Shape{}, err
	}
	return read(name, body, phase)
}

// read makes a shape of an AdmissionReview.
func read(name string, text []byte, phase review.Phase) (Shape, error) {
	r, err := review.Read(text, phase)
	switch {
	case err != nil:
		return Shape{}, fmt.Errorf("reading %q: %w", name, err)
	case r.Unhandled != "":
		return Shape{}, fmt.Errorf("reading %q: %s", name, r.Unhandled)
	case r.Pod == nil:
		return Shape{}, fmt.Errorf("reading %q: the review has no Pod", name)
	}
	return Shape{name, r}, nil
}

// request is what a review says beside the Pod.
type request struct {
	uid, namespace string
	user           creator
	dryRun         bool
}

// creator is who creates a Pod.
type creator struct {
	name   string
	groups []string
}

// envelope puts a Pod into an AdmissionReview, as the API server does.
func envelope(pod any, r request) ([]byte, error) {
	if r.namespace == "" {
		r.namespace = "default"
	}
	groups := slices.Clone(r.user.groups)
	if !slices.Contains(groups, "system:authenticated") {
		groups = append(groups, "system:authenticated")
	}
	resource := object{"group": "", "version": "v1", "resource": "pods"}
	kind := object{"group": "", "version": "v1", "kind": "Pod"}
	return json.Marshal(object{
		"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
		"request": object{
			"uid": r.uid, "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
			"namespace": r.namespace, "operation": "CREATE", "dryRun": r.dryRun, "oldObject": nil,
			"userInfo": object{"username": r.user.name, "groups": groups},
			"object":   pod,
			"options":  object{"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
		},
	})
}

// UID returns a review's uid. Each number has one of its own.
func UID(number int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", number) }

// controller is the user of one of Kubernetes' own controllers.
func controller(name string) creator {
	return creator{"system:serviceaccount:kube-system:" + name + "-controller", []string{"system:serviceaccounts", "system:serviceaccounts:kube-system"}}
}

var user = creator{"jane@example.com", []string{"developers"}}

type (
	object = map[string]any
	list   = []any
)

// long returns a text of n bytes.
func long(n int) string { return strings.Repeat("0123456789abcdef", n/16+1)[:n] }
