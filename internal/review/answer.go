package review

import "encoding/json"

// Answer is what an endpoint answered. A refusal is a value, not an error: the endpoint did its work.
type Answer struct {
	Status   int      // of HTTP; 0 if no answer came
	Ops      []Op     // the patch; empty if the endpoint wants no change
	Refused  bool     // the endpoint denied the Pod
	Message  string   // of a refusal, one line
	Code     int32    // of a refusal; 0 if the endpoint gave none
	Warnings []string // for the user, at most MaxWarnings
	// MoreWarnings counts the warnings after those.
	MoreWarnings int
}

// Checked is a patch that applies, and the Pod that it makes.
type Checked struct {
	// Ops are the endpoint's and, before them where necessary, ops that create missing parents; empty if they change
	// nothing.
	Ops []Op
	// Numbers hold for each of Ops the number, from 1, of the endpoint's op that it is or that needs it.
	Numbers  []int
	Pod      json.RawMessage // the Pod after Ops; fields that no op touches keep their bytes
	Warnings []string        // for the user, each one line
	// MoreWarnings counts the warnings that were left out because there were too many.
	MoreWarnings int
}

// Result classifies how the call of one endpoint ended, for the metrics.
type Result string

// The results of a call. All but ResultOK and ResultRefused are failures.
const (
	ResultOK          Result = "ok"
	ResultRefused     Result = "refused"     // the endpoint refused the Pod
	ResultForbidden   Result = "forbidden"   // amp may not call that address
	ResultUnreachable Result = "unreachable" // no connection, or it broke
	ResultLate        Result = "late"        // no answer within the deadline, or one too late to check it
	ResultStatus      Result = "status"      // an HTTP status other than 2xx
	ResultInvalid     Result = "invalid"     // an answer that amp cannot read
	ResultPatch       Result = "patch"       // a patch that does not apply, or that changes what it may not
	ResultCircuit     Result = "circuit"     // not called: its circuit is open
	ResultFull        Result = "full"        // amp has no memory for it: the endpoint is not the reason
)

// Failure is the error of a call or of a check: the cause in words for the user, and its class.
type Failure struct {
	Result Result
	Cause  string // one line that names cause and remedy, not the endpoint; holds no value of the Pod
	// Own says that amp itself could not make the call: this tells nothing about the endpoint.
	Own bool
	// Err is the error of a library, nil if amp found the fault itself. Its text may quote the Pod, the answer or the
	// URL: never show it to a user.
	Err error
}

func (f *Failure) Error() string { return f.Cause }

// Unwrap returns f.Err.
func (f *Failure) Unwrap() error { return f.Err }
