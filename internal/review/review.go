package review

import (
	"encoding/json"

	"github.com/txn2/amp/internal/share"
)

// Phase says which of its two webhooks the API server called.
type Phase string

// The phases, spelled as in the metrics and in the CloudEvents attribute "operation".
const (
	Mutate   Phase = "mutate"
	Validate Phase = "validate"
)

// FailurePolicy says what happens to a Pod whose mutation failed.
type FailurePolicy string

// The failure policies, spelled as in a webhook configuration. The zero value means that none is set.
const (
	Fail   FailurePolicy = "Fail"
	Ignore FailurePolicy = "Ignore"
)

// Review is one admission review of a Pod, as the API server sent it.
type Review struct {
	UID   string // the review's own, not the Pod's; fresh for each call
	Phase Phase
	// FailurePolicy is what the request's path says; empty if the path names none.
	FailurePolicy FailurePolicy

	Namespace    string // from the request; the Pod's own may be empty
	Name         string // empty if the API server will make it of GenerateName
	GenerateName string // of the Pod
	User         string // who creates the Pod
	DryRun       bool
	Candidate    bool // it is the candidate that is asked: its answer changes nothing
	Explain      bool // the Pod has ExplainAnnotation: after a dry run, a warning says how the review ended

	// Pod is the object byte for byte as amp received it, nil if the review has none.
	Pod        json.RawMessage
	PodUID     string            // empty in the mutate phase: the API server has not made it yet
	Labels     map[string]string // of the Pod; nil if ManyLabels
	ManyLabels bool              // the Pod has more labels than amp reads
	Stamp      string            // the Pod's StampAnnotation, which any user can write
	Controller *Owner            // the Pod's controlling owner, nil if it has none

	// Unhandled tells the user why amp cannot handle this review; empty for the CREATE of a Pod.
	Unhandled string
	// FromNode marks a Pod that a node creates to mirror one that it already runs: amp skips it.
	FromNode bool

	// Memory is what amp keeps in memory for the review. A step that keeps more lets it grow before. Nil has no bound.
	Memory *share.Hold

	// TraceParent and TraceState are the W3C trace context of the API server's call. amp passes them on unchanged.
	TraceParent, TraceState string
}

// Owner is the ownerReference of a Pod's controller.
type Owner struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

// PodName is the Pod's name or, if it has none yet, its generateName.
func (r *Review) PodName() string {
	if r.Name != "" {
		return r.Name
	}
	return r.GenerateName
}

// MaxOps is the most ops of a patch: the API server's own limit for those of a PATCH request (maxJSONPatchOperations in its
// endpoints/handlers). It sets none for the patches of webhooks; amp keeps to the same one.
const MaxOps = 10_000

// Op is one operation of a JSON patch (RFC 6902). A nil Value is an absent one; the Value null is JSON's null.
type Op struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	From  string          `json:"from,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}
