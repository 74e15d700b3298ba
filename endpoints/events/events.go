// Package events holds the data of the CloudEvents that amp emits: one for each review that reached a
// decision in an opted-in namespace with an endpoint. It is a leaf, for auditors: it neither sends nor
// receives anything, and imports nothing of amp.
//
// An event says what amp answered, which is not what the API server stored: quota or another webhook may
// still have refused the Pod.
//
// Events may come twice and in any order: those with the same source and id are the same. A verdict that
// supersedes one already sent has an id that ends in /final. Later releases may add fields, so that a reader
// ignores what it does not know; [Schema] is of this release and does not.
package events

import (
	_ "embed"
	"encoding/json"
)

// The types of the events. They change only when the data changes so that a reader breaks.
const (
	Mutated    = "com.txn2.amp.pod.mutated.v1"    // a patch was answered
	Unchanged  = "com.txn2.amp.pod.unchanged.v1"  // the endpoints wanted no change
	Shadowed   = "com.txn2.amp.pod.shadowed.v1"   // shadow mode: what would have been
	Denied     = "com.txn2.amp.pod.denied.v1"     // an endpoint denied the Pod: a policy decision, not a failure
	Rejected   = "com.txn2.amp.pod.rejected.v1"   // something failed, under Fail
	FailedOpen = "com.txn2.amp.pod.failedopen.v1" // failed under Ignore: admitted unmutated
	Validated  = "com.txn2.amp.pod.validated.v1"  // /validate let it pass
)

// Types lists every type.
var Types = []string{Mutated, Unchanged, Shadowed, Denied, Rejected, FailedOpen, Validated}

// outcomes holds for each type the outcome that its events report.
var outcomes = map[string]string{
	Mutated:    "mutated",
	Unchanged:  "unchanged",
	Shadowed:   "shadowed",
	Denied:     "denied",
	Rejected:   "rejected",
	FailedOpen: "failedopen",
	Validated:  "validated",
}

// OutcomeOf returns the outcome that events of a type report, as [Data] spells it. ok is false for a type that is not one
// of amp's.
func OutcomeOf(eventType string) (outcome string, ok bool) {
	outcome, ok = outcomes[eventType]
	return outcome, ok
}

// TypeOf returns the type of the events that report an outcome. ok is false for an outcome that has no event.
func TypeOf(outcome string) (eventType string, ok bool) {
	for eventType, reported := range outcomes {
		if reported == outcome {
			return eventType, true
		}
	}
	return "", false
}

// Schema is the JSON Schema (draft 2020-12) of [Data]. It says which parts go with which level, operation
// and outcome, and allows no others.
//
//go:embed schema.json
var Schema []byte

// SchemaURL is the schema's $id and the events' attribute dataschema. It is a name: nothing is served there.
const SchemaURL = "https://amp.txn2.com/schemas/events.v1.json"

// Redacted stands for a value that the level Patch does not show.
const Redacted = "[redacted]"

// Annotation on a Pod that amp mutated: the id of the event that records it.
const Annotation = "amp.txn2.com/event"

// Level says how much an event tells. Each level holds what the one before holds.
type Level string

// The levels.
const (
	LevelNone     Level = "None"     // no event
	LevelMetadata Level = "Metadata" // who, where, which endpoints, how it ended
	LevelPatch    Level = "Patch"    // each operation, values by an allow-list
	LevelFull     Level = "Full"     // the Pod as it came, and the operations in clear
)

// Data is the data of every event, as JSON.
type Data struct {
	UID       string      `json:"uid"`   // of the review; the event's id, but for a verdict that supersedes another
	Level     Level       `json:"level"` // how much of the rest is there; never None
	Namespace string      `json:"namespace"`
	Pod       Pod         `json:"pod"`
	Owner     *Controller `json:"controller,omitempty"` // the Pod's controlling ownerReference
	User      string      `json:"user"`                 // who created the Pod, as Kubernetes spells it

	Operation     string     `json:"operation"`          // mutate or validate
	Outcome       string     `json:"outcome"`            // mutated, unchanged, shadowed, denied, rejected, failedopen or validated
	Message       string     `json:"message,omitempty"`  // why it was denied or failed, one line; under shadow: would have been
	Warnings      []string   `json:"warnings,omitempty"` // amp's own about the review as a whole; an endpoint's are at the endpoint
	FailurePolicy string     `json:"failurePolicy"`      // Fail or Ignore
	Endpoints     []Endpoint `json:"endpoints"`          // in the order of their calls; empty if none was called
	DurationMS    float64    `json:"durationMs"`         // of the whole review, endpoints included

	// Mutation is the id of the mutation's event as the Pod's stamp says, for Validated. Anyone can write
	// the stamp: join it to a Mutated event of the same namespace and name prefix only.
	Mutation string `json:"mutation,omitempty"`

	// Patch is what was answered or, for Shadowed, would have been. From LevelPatch on.
	Patch []Op `json:"patch,omitempty"`
	// Object is the Pod as it came. LevelFull only.
	Object json.RawMessage `json:"object,omitempty"`
}

// Pod names the Pod. The API server makes the name of many Pods (a Deployment's, a Job's) of generateName,
// and only after their mutation: then there is no name yet.
type Pod struct {
	Name         string `json:"name,omitempty"`
	GenerateName string `json:"generateName,omitempty"`
	UID          string `json:"uid,omitempty"` // for Validated: before, the Pod has none
}

// Controller is the ownerReference of a Pod's controller.
type Controller struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

// Endpoint is one call of a chain.
type Endpoint struct {
	URL        string   `json:"url"`              // without userinfo, query and fragment
	Status     int      `json:"status,omitempty"` // of HTTP; absent where no answer came
	DurationMS float64  `json:"durationMs"`
	Ops        int      `json:"ops"`                // operations of its patch, those that make missing parents included
	Error      string   `json:"error,omitempty"`    // why the call failed, one line
	Warnings   []string `json:"warnings,omitempty"` // for the user: the endpoint's, and amp's about its patch ("amp: …")
}

// Op is one operation of a JSON patch (RFC 6902).
type Op struct {
	Step int    `json:"step"` // the endpoint it came from, counted from 1; 0: amp itself
	Op   string `json:"op"`
	Path string `json:"path"`
	From string `json:"from,omitempty"` // of move and copy
	// Value is that of add, replace and test; at LevelPatch with Redacted in the place of what is not shown.
	// It may be null.
	Value json.RawMessage `json:"value,omitempty"`
}
