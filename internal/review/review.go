package review

import (
	"encoding/json"
	"time"
)

// Phase says which of its two webhooks the API server called.
type Phase string

// The phases, spelt as in the metrics and in the CloudEvents attribute "operation".
const (
	Mutate   Phase = "mutate"
	Validate Phase = "validate"
)

// FailurePolicy says what becomes of a Pod whose mutation failed.
type FailurePolicy string

// The failure policies, spelt as in a webhook configuration. The zero value means that nobody said.
const (
	Fail   FailurePolicy = "Fail"
	Ignore FailurePolicy = "Ignore"
)

// Review is one admission review of a Pod, as the API server sent it.
type Review struct {
	UID   string // the review's own, not the Pod's; fresh for each call
	Phase Phase
	// FailurePolicy is what the request's path says; empty where the Namespace is to be asked.
	FailurePolicy FailurePolicy

	Namespace    string   // from the request, never from the Pod: there it may be empty
	Name         string   // empty when the API server has yet to make it of GenerateName
	GenerateName string   //
	User         string   // who creates the Pod
	Groups       []string // of that user
	DryRun       bool
	Explain      bool // the Pod asks, by ExplainAnnotation, how the review of a dry run ended

	// Pod is the object byte for byte as it came, nil where the review holds none.
	Pod        json.RawMessage
	PodUID     string            // empty when mutating: the API server has not made it yet
	Labels     map[string]string // of the Pod
	Stamp      string            // the Pod's annotation amp.txn2.com/event, which anyone can write
	Controller *Owner            // the Pod's controlling owner, nil if it has none

	// Unhandled says why amp cannot handle this review, for the user's eyes; empty for the CREATE of a Pod.
	Unhandled string
	// FromNode marks a Pod that a node creates to mirror one it runs already: it is left alone.
	FromNode bool

	// TraceParent and TraceState are the W3C trace context of the API server's call, passed on as is.
	TraceParent, TraceState string
}

// Owner is the ownerReference of a Pod's controller.
type Owner struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

// PodName is the Pod's name or, where it has none yet, its generateName.
func (r *Review) PodName() string {
	if r.Name != "" {
		return r.Name
	}
	return r.GenerateName
}

// Op is one operation of a JSON patch (RFC 6902). A nil Value is an absent one, "null" is null.
type Op struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	From  string          `json:"from,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

// Answer is what an endpoint said. A refusal is a value, not an error: the endpoint did its work.
type Answer struct {
	Status   int // of HTTP; 0 where no answer came
	Ops      []Op
	Refused  bool
	Message  string // of a refusal, one line
	Code     int32  // of a refusal, 0 where the endpoint gave none
	Warnings []string
}

// Checked is a patch that applies, with what it makes of the Pod.
type Checked struct {
	// Ops are the endpoint's, preceded where necessary by those that make missing parents; empty if they
	// change nothing.
	Ops      []Op
	Pod      json.RawMessage // the Pod after Ops; fields that no op touches keep their bytes
	Warnings []string        // for the user, each one line
}

// Result classifies how the call of one endpoint ended, for the metrics.
type Result string

// The results of a call. All but ResultOK and ResultRefused are failures.
const (
	ResultOK          Result = "ok"
	ResultRefused     Result = "refused"     // the endpoint refused the Pod
	ResultForbidden   Result = "forbidden"   // amp may not call that address
	ResultUnreachable Result = "unreachable" // no connection, or it broke
	ResultLate        Result = "late"        // no answer within the deadline
	ResultStatus      Result = "status"      // an HTTP status other than 2xx
	ResultInvalid     Result = "invalid"     // an answer that amp cannot read
	ResultPatch       Result = "patch"       // a patch that does not apply or does what it may not
)

// Failure is the error of a call or of a check: the cause as a person reads it, and its class.
type Failure struct {
	Result Result
	Cause  string // one line that names cause and remedy, not the endpoint; holds no value of the Pod
	// Err is what a library said, nil if amp found the fault itself. Its text may quote the Pod, the answer or
	// the URL: it is for errors.Is and errors.As, never to be shown.
	Err error
}

func (f *Failure) Error() string { return f.Cause }

// Unwrap returns f.Err.
func (f *Failure) Unwrap() error { return f.Err }

// Step is the call of one endpoint of a chain.
type Step struct {
	Endpoint Endpoint
	Status   int // of HTTP; 0 where no answer came
	Result   Result
	Took     time.Duration
	Ops      []Op // as checked and completed
	Warnings []string
	Err      error // why the step failed, nil if it did not
}

// Run is what happened to a review, before any policy.
type Run struct {
	Steps   []Step
	Patch   []Op    // of all steps, then the stamp; empty if the steps changed nothing
	Stamp   []Op    // amp's own end of Patch, which names the event on the Pod; empty if there is none
	Refusal *Answer // of the endpoint that refused the Pod, which is the last step; nil if none did
	// Warnings are amp's own, for the user.
	Warnings []string
	// Err is a failure outside the endpoints, e.g. a Namespace with a bad value; a failed endpoint's is in
	// the last step.
	Err error
}

// Failed reports why a run failed and at which endpoint (empty if at none); a nil error means it did not.
func (run *Run) Failed() (endpoint string, err error) {
	if run.Err != nil {
		return "", run.Err
	}
	if n := len(run.Steps); n > 0 && run.Steps[n-1].Err != nil {
		return run.Steps[n-1].Endpoint.Name, run.Steps[n-1].Err
	}
	return "", nil
}

// Record is all that is known of one review once its verdict is fixed; it is what leaves amp at the side.
type Record struct {
	Review  *Review
	Policy  *Policy // of the namespace, nil if the review was left alone before it was looked up
	Run     Run
	Verdict Verdict
	Time    time.Time // of the decision
	Took    time.Duration

	// FailurePolicy is the one that held, whoever said it.
	FailurePolicy FailurePolicy
	// Event is the id of the event of this review, empty if there is none.
	Event string
	// Level is what that event tells.
	Level Level
}
