package suite

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/txn2/amp/endpoints/jsonpointer"
	"github.com/txn2/amp/internal/review"
)

// expectation is what the answer must be. A nil field says nothing.
type expectation struct {
	patch                         *[]op
	pod                           []part
	denied, unchanged, idempotent *bool
	message, warning, outcome     *string
}

// part is a part of the Pod, at a JSON pointer.
type part struct {
	place string
	value any
}

// op is an operation of a patch.
type op struct {
	Op    string `yaml:"op" json:"op"`
	Path  string `yaml:"path" json:"path"`
	From  string `yaml:"from,omitempty" json:"from,omitempty"`
	Value any    `yaml:"value,omitempty" json:"value,omitempty"`
}

// podFields are the fields of a Pod.
var podFields = []string{"apiVersion", "kind", "metadata", "spec", "status"}

// operations are those of a patch.
var operations = []string{"add", "remove", "replace", "move", "copy", "test"}

// empty reports whether nothing is expected.
func (e *expectation) empty() bool {
	return e.patch == nil && e.pod == nil && e.denied == nil && e.unchanged == nil && e.idempotent == nil && e.message == nil && e.warning == nil && e.outcome == nil
}

// meansFailure reports whether it expects that something fails. A word of amp's messages may stand in a denial, too, so a
// message shows it only by its beginning.
func (e *expectation) meansFailure() bool {
	return e.outcome != nil && isFailure(*e.outcome) || e.message != nil && strings.HasPrefix(*e.message, "amp: ")
}

// expectation reads what is expected.
func (r *reader) expectation(n *yaml.Node) (e expectation) {
	r.fields(n, "expect", map[string]func(*yaml.Node){
		"denied":     r.into("denied", &e.denied, "true or false"),
		"message":    r.into("message", &e.message, "a text: a part of the message"),
		"unchanged":  r.into("unchanged", &e.unchanged, "true or false"),
		"idempotent": r.into("idempotent", &e.idempotent, "true or false"),
		"warning":    r.into("warning", &e.warning, "a text: a part of a warning"),
		"patch": func(n *yaml.Node) {
			if n.Kind != yaml.SequenceNode {
				r.bad(n, "patch: expected a list of operations {op, path, value}")
				return
			}
			e.patch = &[]op{}
			for _, one := range n.Content {
				*e.patch = append(*e.patch, r.operation(one))
			}
		},
		"pod": func(n *yaml.Node) {
			if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
				r.bad(n, "pod: expected fields of the Pod, or JSON pointers, each with its value")
				return
			}
			for i := 0; i+1 < len(n.Content); i += 2 {
				key, value := n.Content[i], n.Content[i+1]
				one := part{place: pointerOf(key.Value)}
				place, err := jsonpointer.Parse(one.place)
				switch {
				case err != nil:
					r.bad(key, "pod: "+err.Error())
				case !slices.Contains(podFields, place[0]): // null would hold there for any Pod
					r.bad(key, "pod: "+key.Value+": a Pod has no such field; expected apiVersion, kind, metadata, spec or status, or a JSON pointer that begins so: /metadata/name")
				}
				if one.value, err = valueOf(value); err != nil {
					r.bad(value, fmt.Sprintf("pod: %s: %v", key.Value, err))
				}
				e.pod = append(e.pod, one)
			}
		},
		"outcome": func(n *yaml.Node) {
			outcome := n.Value
			if !slices.Contains(review.Outcomes, review.Outcome(outcome)) {
				r.bad(n, fmt.Sprintf("outcome %q: allowed are mutated, unchanged, denied, rejected, failedopen, validated", outcome))
			}
			e.outcome = &outcome
		},
	})
	return e
}

// operation reads an operation of patch.
func (r *reader) operation(n *yaml.Node) (one op) {
	errs := len(r.errs)
	r.fields(n, "an operation of patch", map[string]func(*yaml.Node){
		"op": func(n *yaml.Node) {
			if one.Op = n.Value; !slices.Contains(operations, one.Op) {
				r.bad(n, fmt.Sprintf("op %q: allowed are %s", one.Op, strings.Join(operations, ", ")))
			}
		},
		"path": r.into("path", &one.Path, "a JSON pointer"),
		"from": r.into("from", &one.From, "a JSON pointer"),
		"value": func(n *yaml.Node) {
			var err error
			if one.Value, err = valueOf(n); err != nil {
				r.bad(n, fmt.Sprintf("value: %v", err))
			}
		},
	})
	if len(r.errs) == errs && (one.Op == "" || one.Path == "") {
		r.bad(n, "an operation of patch needs op and path")
	}
	return one
}
