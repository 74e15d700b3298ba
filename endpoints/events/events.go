// Package events holds the data types of the CloudEvents that amp emits, for auditors. amp emits one event
// for each review that reached a decision in an opted-in namespace with an endpoint, and a second one
// (Compared) where the namespace names a candidate. The package does not send or receive anything, and it imports nothing of amp.
//
// An event says what amp answered. It does not say that the Pod was stored: quota or another webhook may
// still have rejected it.
//
// Events may come twice and in any order. Events with the same source and id are the same event. A verdict
// that supersedes one already sent has an id that ends in /final. Later releases may add fields, so a reader
// must ignore fields that it does not know. [Schema] is for this release and does not allow other fields.
package events

import (
	_ "embed"
	"encoding/json"
)

// The types of the events. A type gets a new version only if the data changes in a way that breaks readers.
const (
	Mutated    = "com.txn2.amp.pod.mutated.v1"    // a patch was answered
	Unchanged  = "com.txn2.amp.pod.unchanged.v1"  // the endpoints wanted no change
	Shadowed   = "com.txn2.amp.pod.shadowed.v1"   // shadow mode: what would have happened
	Denied     = "com.txn2.amp.pod.denied.v1"     // an endpoint denied the Pod: a policy decision, not a failure
	Rejected   = "com.txn2.amp.pod.rejected.v1"   // something failed, under Fail
	FailedOpen = "com.txn2.amp.pod.failedopen.v1" // something failed, under Ignore: the Pod was admitted unmutated
	Validated  = "com.txn2.amp.pod.validated.v1"  // /validate let the Pod pass
	Compared   = "com.txn2.amp.pod.compared.v1"   // what a candidate would have made of the Pod; it changed nothing
)

// Types lists every type.
var Types = []string{Mutated, Unchanged, Shadowed, Denied, Rejected, FailedOpen, Validated, Compared}

// outcomes holds for each type the outcome that its events report.
var outcomes = map[string]string{
	Mutated:    "mutated",
	Unchanged:  "unchanged",
	Shadowed:   "shadowed",
	Denied:     "denied",
	Rejected:   "rejected",
	FailedOpen: "failedopen",
	Validated:  "validated",
	Compared:   "compared",
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

// Schema is the JSON Schema (draft 2020-12) of [Data]. It says which fields belong to which level, operation
// and outcome, and does not allow others.
//
//go:embed schema.json
var Schema []byte

// SchemaURL is the schema's $id and the events' attribute dataschema. It is only a name; the schema cannot
// be downloaded there.
const SchemaURL = "https://amp.txn2.com/schemas/events.v1.json"

// Redacted replaces a value that the level Patch does not show.
const Redacted = "[redacted]"

// Annotation is the annotation that amp sets on a Pod that it mutated: the id of the event that records it.
const Annotation = "amp.txn2.com/event"

// Level says how much an event holds. Each level also holds what the level before it holds.
type Level string

// The levels.
const (
	LevelNone     Level = "None"     // no event
	LevelMetadata Level = "Metadata" // who, where, which endpoints, how it ended
	LevelPatch    Level = "Patch"    // each op of the patch, its values by an allow-list
	LevelFull     Level = "Full"     // the Pod as amp received it, and the ops without redaction
)

// Data is the data of every event, as JSON.
type Data struct {
	UID       string      `json:"uid"`   // of the review; the event's id, except if the verdict supersedes another, and for Compared
	Level     Level       `json:"level"` // how much of the rest is set; never None
	Namespace string      `json:"namespace"`
	Pod       Pod         `json:"pod"`
	Owner     *Controller `json:"controller,omitempty"` // the Pod's controlling ownerReference
	User      string      `json:"user"`                 // the username of the Pod's creator

	Operation     string     `json:"operation"`          // the phase: mutate or validate
	Outcome       string     `json:"outcome"`            // mutated, unchanged, shadowed, denied, rejected, failedopen, validated or compared
	Message       string     `json:"message,omitempty"`  // why it was denied or failed, one line; in shadow mode, and for a candidate: why it would have been
	Warnings      []string   `json:"warnings,omitempty"` // amp's own about the whole review; those of an endpoint are in Endpoints
	FailurePolicy string     `json:"failurePolicy"`      // Fail or Ignore
	Endpoints     []Endpoint `json:"endpoints"`          // in the order of their calls; empty if none was called; for Compared: the candidate
	DurationMS    float64    `json:"durationMs"`         // milliseconds for the whole review, including the endpoints; for Compared: for the candidate's call

	// Mutation is set for Validated: the id of the mutation's event, by the Pod's stamp. Any user can write
	// the stamp, so join it only to a Mutated event of the same namespace and name prefix.
	Mutation string `json:"mutation,omitempty"`

	// Comparison is set for Compared.
	Comparison *Comparison `json:"comparison,omitempty"`

	// Patch is the patch that amp answered, or would have answered: for Shadowed, and for Compared, where it is the candidate's.
	// LevelPatch and LevelFull.
	Patch []Op `json:"patch,omitempty"`
	// Object is the Pod as amp received it. LevelFull only.
	Object json.RawMessage `json:"object,omitempty"`
}

// Pod names the Pod. The API server makes the names of many Pods (for example a Deployment's) from
// generateName, after their mutation. Before that there is no name.
type Pod struct {
	Name         string `json:"name,omitempty"`
	GenerateName string `json:"generateName,omitempty"`
	UID          string `json:"uid,omitempty"` // for Validated; during the mutation the Pod has no uid yet
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
	Status     int      `json:"status,omitempty"` // of HTTP; absent if there was no answer
	DurationMS float64  `json:"durationMs"`
	Ops        int      `json:"ops"`                // ops of its patch, including those that amp adds to create missing parents
	Error      string   `json:"error,omitempty"`    // why the call failed, one line
	Warnings   []string `json:"warnings,omitempty"` // for the user: the endpoint's own, and amp's about its patch ("amp: …")
}

// Op is one operation of a JSON patch (RFC 6902).
type Op struct {
	Step int    `json:"step"` // the endpoint that it came from, counted from 1; 0 is amp itself
	Op   string `json:"op"`
	Path string `json:"path"`
	From string `json:"from,omitempty"` // of move and copy
	// Value is the value of add, replace and test. At LevelPatch, Redacted replaces the parts that are not
	// shown. It may be null.
	Value json.RawMessage `json:"value,omitempty"`
}

// The results of a comparison.
const (
	ResultSame      = "same"      // the candidate would have made the same Pod, or have denied it, too
	ResultDifferent = "different" // the candidate would have made another Pod, or only one of the two denied it
	ResultFailed    = "failed"    // the candidate failed
	ResultAlone     = "alone"     // the candidate did not fail, but the review did: there is nothing to compare with
)

// Comparison is what a candidate would have made of a Pod, beside what amp answered before. Neither amp's own annotation on a
// mutated Pod nor the order of fields makes a difference.
type Comparison struct {
	Result    string `json:"result"`
	Answered  string `json:"answered"`  // the outcome of the review itself, as its own event has it
	Candidate string `json:"candidate"` // what the candidate would have made: mutated, unchanged, denied or failed
	Differing int    `json:"differing"` // number of differences between the two Pods; 0 if there are not two
	// Differences are at most 100. LevelPatch and LevelFull.
	Differences []Difference `json:"differences,omitempty"`
}

// The kinds of a difference.
const (
	OnlyAnswered  = "onlyAnswered"  // only the Pod that amp answered has something there
	OnlyCandidate = "onlyCandidate" // only the candidate's Pod has something there
	OtherValue    = "otherValue"    // both have something there, not the same
	OtherOrder    = "otherOrder"    // both have the same elements there, or elements of the same names, in another order
)

// Difference is a place at which the Pod that amp answered and the candidate's Pod differ.
type Difference struct {
	Kind string `json:"kind"`
	// Path is a JSON pointer into the Pod that amp answered or, for OnlyCandidate, into the candidate's. At LevelPatch it ends
	// where the keys of an object are not shown.
	Path string `json:"path"`
	// Where is Path with the names of elements of lists instead of their indexes, and * for an element without a name, or with
	// one that is not shown. It is the same for the same difference of many Pods.
	Where string `json:"where"`
	// Answered and Candidate are the two values; one that is not there is absent. OtherOrder has none.
	Answered  json.RawMessage `json:"answered,omitempty"`
	Candidate json.RawMessage `json:"candidate,omitempty"`
}
