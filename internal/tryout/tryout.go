// Package tryout asks endpoints about a Pod as amp would in a cluster, without a cluster: it puts the same proxy together,
// and hands it the review that an API server would send. It does not know where Pods come from and writes nothing.
package tryout

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/endpoints/events/describe"
	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/emit"
	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
)

// Question is one review: a Pod, who creates it and where, and whom to ask.
type Question struct {
	Pod       json.RawMessage
	Namespace string
	Phase     review.Phase
	Endpoints []string // URLs, asked in order
	User      string
	Groups    []string
	Creator   string // kind and name of the controller that creates the Pod; empty for a user
	DryRun    bool
	// FailurePolicy is what holds; empty: what the Namespace says, else Fail.
	FailurePolicy review.FailurePolicy
	// Timeout is AMP_TIMEOUT: a mutating review has all of it, a validating one half; 0 is [review.DefaultTimeout].
	Timeout time.Duration
	// Labels and Annotations are those of a real Namespace, nil if there is none. Endpoints go before its own.
	Labels, Annotations map[string]string
}

// Result is the answer to a Question.
type Result struct {
	Phase    review.Phase   `json:"phase"`
	Outcome  review.Outcome `json:"outcome"`
	Allowed  bool           `json:"allowed"`
	Message  string         `json:"message,omitempty"` // why it failed or was denied
	Seen     string         `json:"seen,omitempty"`    // what the Pod's creator reads of that
	Warnings []string       `json:"warnings,omitempty"`
	// Ops are those of the endpoints, as amp completed them; Patch has amp's stamp, too.
	Ops       []review.Op       `json:"ops"`
	Patch     []describe.Change `json:"patch"`
	Pod       json.RawMessage   `json:"pod"` // as it was admitted, with the stamp; as it came if it was not
	Diff      describe.Diff     `json:"diff"`
	Endpoints []events.Endpoint `json:"endpoints"`
	TookMS    float64           `json:"tookMs"`
	Event     string            `json:"event"` // its type and id, or why there is none
	// NotThere says that no server answers at an endpoint's address.
	NotThere bool `json:"notThere,omitempty"`
	// Loopback says that an endpoint was not called because it is on loopback.
	Loopback bool `json:"loopback,omitempty"`
	// UnknownCA says that an endpoint's certificate is signed by an authority that this program does not know.
	UnknownCA bool `json:"unknownCA,omitempty"`

	unstamped json.RawMessage // Pod without the stamp
}

// Failed reports whether something failed or an endpoint denied the Pod, also if the Pod is admitted nevertheless.
func (r *Result) Failed() bool { return r.Message != "" || !r.Allowed }

// Ask asks the question. Its error says why the question cannot be asked; an endpoint that fails is a result.
func (a *Asker) Ask(ctx context.Context, q *Question) (*Result, error) {
	policy, err := q.policy()
	if err != nil {
		return nil, err
	}
	body, err := q.body()
	if err != nil {
		return nil, err
	}
	r, err := review.Read(body, q.Phase)
	if err != nil {
		return nil, err
	}
	// As the path of the webhook says that the API server chooses.
	if r.FailurePolicy = q.FailurePolicy; r.FailurePolicy == "" {
		r.FailurePolicy = review.Fail
		if policy.FailurePolicy == review.Ignore {
			r.FailurePolicy = review.Ignore
		}
	}
	record, answer := a.proxy(q, policy).Review(ctx, r, time.Now(), 0)
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	return q.result(record, answer)
}

// policy is what the Namespace says.
func (q *Question) policy() (*review.Policy, error) {
	labels, annotations := map[string]string{namespaces.LabelEnabled: "true"}, map[string]string{}
	if q.Labels != nil || q.Annotations != nil {
		labels = q.Labels
		for key, value := range q.Annotations {
			annotations[key] = value
		}
	}
	if i := slices.IndexFunc(q.Endpoints, func(e string) bool { return strings.TrimSpace(e) == "" }); i >= 0 {
		return nil, fmt.Errorf("endpoint: URL %d of %d is empty: name it, e.g. http://127.0.0.1:9000/", i+1, len(q.Endpoints))
	}
	if len(q.Endpoints) > 0 {
		delete(annotations, namespaces.AnnotationMutationEndpoint)
		key := namespaces.AnnotationEndpoint
		if q.Phase == review.Validate {
			key = namespaces.AnnotationValidation
		}
		annotations[key] = strings.Join(q.Endpoints, " ")
	}
	policy := namespaces.Parse(q.Namespace, labels, annotations)
	if policy.Err != nil && q.Labels == nil && q.Annotations == nil {
		why := policy.Err.Error()
		_, why, _ = strings.Cut(why, ": ") // the Namespace
		_, why, _ = strings.Cut(why, ": ") // the annotation, which no one wrote here
		return nil, fmt.Errorf("endpoint: %s", why)
	}
	return policy, nil
}

// body is the AdmissionReview that an API server would send.
func (q *Question) body() ([]byte, error) {
	var pod struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(q.Pod, &pod); err != nil {
		return nil, fmt.Errorf("reading the Pod: %w", err)
	}
	type object = map[string]any
	pods := object{"group": "", "version": "v1", "resource": "pods"}
	kind := object{"group": "", "version": "v1", "kind": "Pod"}
	return json.Marshal(object{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": object{
		"uid": uuid.NewString(), "kind": kind, "requestKind": kind, "resource": pods, "requestResource": pods,
		"name": pod.Metadata.Name, "namespace": q.Namespace, "operation": "CREATE",
		"userInfo": object{"username": q.User, "groups": q.Groups}, "object": q.Pod, "dryRun": q.DryRun,
	}})
}

// result reads what became of a question. answer is the body of the answer that the API server would get.
func (q *Question) result(rec *review.Record, answer []byte) (*Result, error) {
	full := *rec
	full.Plan.Level = review.LevelFull
	data := emit.NewData(&full)
	r := &Result{
		Phase: q.Phase, Outcome: rec.Verdict.Outcome, Allowed: rec.Verdict.Allowed(), Message: rec.Verdict.Message, Warnings: rec.Verdict.Warnings,
		Patch: describe.Changes(data), Diff: describe.DiffOf(data), Endpoints: data.Endpoints, TookMS: data.DurationMS,
		Ops: []review.Op{}, Pod: rec.Review.Pod, unstamped: rec.Review.Pod,
	}
	var err error
	if len(rec.Run.Patch) > 0 && (r.Outcome == review.OutcomeMutated || r.Outcome == review.OutcomeShadowed) {
		for i := range rec.Run.Steps {
			r.Ops = append(r.Ops, rec.Run.Steps[i].Ops...)
		}
		if r.unstamped, err = patch.Apply(rec.Review.Pod, r.Ops); err != nil {
			return nil, fmt.Errorf("applying the patch: %w", err)
		}
	}
	if len(rec.Verdict.Patch) > 0 {
		if r.Pod, err = patch.Apply(rec.Review.Pod, rec.Verdict.Patch); err != nil {
			return nil, fmt.Errorf("applying the patch: %w", err)
		}
	}
	if !r.Allowed {
		if r.Seen, err = q.seen(rec, answer); err != nil {
			return nil, err
		}
	}
	for i := range rec.Run.Steps {
		step := &rec.Run.Steps[i]
		r.NotThere = r.NotThere || notThere(step.Err)
		r.Loopback = r.Loopback || callout.OnLoopback(step.Err)
		r.UnknownCA = r.UnknownCA || errors.As(step.Err, new(x509.UnknownAuthorityError))
	}
	switch eventType, ok := events.TypeOf(string(r.Outcome)); {
	case rec.Review.DryRun:
		r.Event = "none: a dry run has none"
	case !ok:
		r.Event = "none: amp skips this Pod"
	default:
		r.Event = eventType + ", id " + rec.Plan.Event
	}
	return r, nil
}

// notThere reports whether no server listens at the address, no way leads there, or the name has none.
func notThere(err error) bool {
	var lookup *net.DNSError
	return outbound.Refused(err) || outbound.NoWay(err) || errors.As(err, &lookup) && lookup.IsNotFound
}

// seen is what the Pod's creator gets: kubectl's text for a user, that of the controller's Event otherwise.
func (q *Question) seen(rec *review.Record, answer []byte) (string, error) {
	var is struct {
		Response struct {
			Status struct {
				Message string `json:"message"`
				Reason  string `json:"reason"`
			} `json:"status"`
		} `json:"response"`
	}
	if err := json.Unmarshal(answer, &is); err != nil {
		return "", fmt.Errorf("reading amp's answer: %w", err)
	}
	status := is.Response.Status
	text := fmt.Sprintf("admission webhook %q denied the request: %s", Webhook(q.Phase, rec.Plan.FailurePolicy), status.Message)
	if q.Creator != "" {
		return q.Creator + ": FailedCreate: Error creating: " + text, nil
	}
	if status.Reason != "" {
		return "Error from server (" + status.Reason + "): " + text, nil
	}
	return "Error from server: " + text, nil
}

// Webhook is the name of amp's webhook for a phase and a failure policy, as deploy/base has it.
func Webhook(phase review.Phase, policy review.FailurePolicy) string {
	name := "fail.amp.txn2.com"
	if policy == review.Ignore {
		name = "ignore.amp.txn2.com"
	}
	if phase == review.Validate {
		name = "validate." + name
	}
	return name
}

// Again asks the same about the Pod that the result left. An endpoint that is idempotent wants no change then.
func (a *Asker) Again(ctx context.Context, q *Question, first *Result) (*Result, error) {
	second := *q
	second.Pod = first.unstamped
	return a.Ask(ctx, &second)
}

// Unstamped is the Pod with the endpoints' changes only.
func (r *Result) Unstamped() json.RawMessage { return r.unstamped }
