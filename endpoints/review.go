package endpoints

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"
)

// EventType is the CloudEvents type of the request that amp sends to an endpoint.
const EventType = "com.txn2.amp.pod.review.v1"

// Operation is the phase of a review: mutate or validate. The CloudEvents attribute that carries it is
// called "operation".
type Operation string

// The phases.
const (
	// Mutating asks for a patch. The endpoint may also refuse the Pod.
	Mutating Operation = "mutate"
	// Validating asks whether the Pod may be created. The Pod is as it is after every mutation. It can no
	// longer be patched, so the answer never holds a patch.
	Validating Operation = "validate"
)

// Review is one Pod that amp asks about. A request without amp's headers, for example from curl, is a
// mutating review and not a dry run. Its namespace and name are those in the Pod. The other fields are empty.
type Review struct {
	// UID is the review's uid, not the Pod's. Kubernetes may ask about one Pod more than once, each time
	// with another UID.
	UID string
	// Step is this endpoint's place in the namespace's chain, from 1; 0 if the request does not say.
	Step int
	// Operation is the phase: Mutating or Validating.
	Operation Operation
	// DryRun forbids any side effect of the endpoint: it must not write a row or open a ticket. The answer
	// is the same as for a real review.
	DryRun bool

	// Namespace is the namespace that the Pod will be created in. The Pod itself may leave it out.
	Namespace string
	// Name is the Pod's name, or its generateName if Kubernetes has not made the name yet.
	Name string
	// User is the username of the Pod's creator, as Kubernetes spells it. A Deployment's Pods are created by
	// a controller.
	User string
	// AuthType is the kind of User, by CloudEvents' Auth Context extension: user, service_account, system, …
	AuthType string
	// Time is when amp asked; zero if the request does not say.
	Time time.Time
	// TraceParent and TraceState are the W3C trace context. An endpoint that calls other services passes
	// them on.
	TraceParent, TraceState string

	// Pod is byte for byte what Kubernetes sent. It may hold fields that this package's API does not know.
	Pod json.RawMessage

	warnings []string
}

// Warn adds warnings to the answer, for the Pod's creator. Use it inside [Mutate], where there is no [Answer]
// yet.
func (r *Review) Warn(warnings ...string) { r.warnings = append(r.warnings, warnings...) }

// Decode returns the Pod by the Kubernetes API that this package is built with. Use it for reading. To
// change a Pod, use [Mutate] or answer with a [Patch]: if a Pod is decoded and encoded again, the fields
// that this API does not know are lost.
func (r *Review) Decode() (*corev1.Pod, error) {
	pod := new(corev1.Pod)
	if err := kjson.UnmarshalCaseSensitivePreserveInts(r.Pod, pod); err != nil {
		// The decoder's own text may quote the Pod, and the Pod's values must not reach a log.
		what := "it does not fit the Kubernetes API that this endpoint knows"
		if e := (*json.UnmarshalTypeError)(nil); errors.As(err, &e) && e.Field != "" {
			what = fmt.Sprintf("%s is not a %s", e.Field, e.Type)
		}
		return nil, &badRequest{http.StatusBadRequest, "decoding the Pod: " + what}
	}
	return pod, nil
}

// badRequest is the error for a request that is not a review. The caller sees its message.
type badRequest struct {
	status  int
	message string
}

func (e *badRequest) Error() string { return e.message }

// readReview makes a Review of a request's headers and body.
func readReview(h http.Header, body []byte) (*Review, error) {
	bad := func(status int, format string, args ...any) (*Review, error) {
		return nil, &badRequest{status, fmt.Sprintf(format, args...)}
	}
	if strings.HasPrefix(h.Get("Content-Type"), "application/cloudevents") {
		return bad(http.StatusUnsupportedMediaType, "reading the review: want the Pod as the body and a CloudEvent's attributes as headers (binary mode), not a structured CloudEvent")
	}
	var pod struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Name         string `json:"name"`
			GenerateName string `json:"generateName"`
			Namespace    string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &pod); err != nil || !isObject(body) {
		return bad(http.StatusBadRequest, "reading the Pod: want a JSON object as the body (a manifest in YAML: kubectl create --dry-run=client -o json -f …)")
	}
	if pod.Kind != "" && pod.Kind != "Pod" {
		return bad(http.StatusBadRequest, "reading the Pod: want a Pod as the body, not a %.40q", pod.Kind)
	}

	r := &Review{
		Operation: Mutating,
		Namespace: pod.Metadata.Namespace,
		Name:      pod.Metadata.Name,
		Pod:       body,

		User:        Attribute(h, "authid"),
		AuthType:    Attribute(h, "authtype"),
		TraceParent: h.Get("traceparent"),
		TraceState:  strings.Join(h.Values("tracestate"), ","),
	}
	if r.Name == "" {
		r.Name = pod.Metadata.GenerateName
	}
	// The id is <uid>/<step>. An id of another form is taken as a whole.
	id := Attribute(h, "id")
	r.UID = id
	if uid, step, ok := cutLast(id, "/"); ok {
		if n, err := strconv.Atoi(step); err == nil && n > 0 {
			r.UID, r.Step = uid, n
		}
	}
	if _, name, ok := strings.Cut(Attribute(h, "subject"), "/"); ok && name != "" {
		r.Name = name
	}
	if ns := Attribute(h, "namespace"); ns != "" {
		r.Namespace = ns
	}
	switch phase := Operation(Attribute(h, "operation")); phase {
	case "":
	case Mutating, Validating:
		r.Operation = phase
	default:
		return bad(http.StatusBadRequest, "reading the header ce-operation: want mutate or validate")
	}
	// If an unknown value counted as false, the endpoint could have a side effect in a dry run.
	switch Attribute(h, "dryrun") {
	case "", "false":
	case "true":
		r.DryRun = true
	default:
		return bad(http.StatusBadRequest, "reading the header ce-dryrun: want true or false")
	}
	if s := Attribute(h, "time"); s != "" {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return bad(http.StatusBadRequest, "reading the header ce-time: want a time as in RFC 3339")
		}
		r.Time = t
	}
	return r, nil
}

// isObject reports whether body is an object: null, too, decodes into a struct without an error.
func isObject(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// Attribute returns a CloudEvents attribute of a request in binary mode, "" if the request does not have it.
// It reads the header as the HTTP binding (3.1.3.2) says: it removes double quotes, which older versions of
// the binding allowed, and percent-decodes once. A percent sign that does not start an escape stays: some
// SDKs (for example sdk-go) do not encode attributes.
func Attribute(h http.Header, name string) string {
	v := h.Get("ce-" + name)
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		var b strings.Builder
		for i := 1; i < len(v)-1; i++ {
			if v[i] == '\\' && i+1 < len(v)-1 {
				i++
			}
			b.WriteByte(v[i])
		}
		v = b.String()
	}
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) {
			if c, err := strconv.ParseUint(v[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(v[i])
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}
