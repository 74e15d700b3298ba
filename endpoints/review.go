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

// Operation says what amp asks an endpoint for.
type Operation string

// The operations, as the CloudEvents attribute "operation" spells them.
const (
	// Mutating asks for a patch. A refusal is an answer too.
	Mutating Operation = "mutate"
	// Validating asks whether the Pod may be created, as it stands after every mutation. A patch would
	// come too late, and is left out of the answer.
	Validating Operation = "validate"
)

// Review is one Pod that amp asks about. Without amp's headers, as when a person sends a Pod with curl, it
// is a mutating review, no dry run, with namespace and name from the Pod and the rest empty.
type Review struct {
	// UID is the review's own, not the Pod's. Kubernetes may ask about one Pod more than once, each time
	// with another UID.
	UID string
	// Step is this endpoint's place in the namespace's chain, from 1; 0 where nobody said.
	Step      int
	Operation Operation
	// DryRun forbids the endpoint any side effect: no row written, no ticket opened. The answer is the
	// same as otherwise.
	DryRun bool

	// Namespace is the one the Pod will be created in; the Pod itself need not say.
	Namespace string
	// Name is the Pod's name or, where Kubernetes has yet to make it, its generateName.
	Name string
	// User is who creates the Pod, as Kubernetes spells it: for a Deployment's Pods that is a controller.
	User string
	// AuthType is the kind of User, by CloudEvents' Auth Context extension: user, service_account, system, …
	AuthType string
	// Time is when amp asked.
	Time time.Time
	// TraceParent and TraceState are the W3C trace context, to be passed on by endpoints that call others.
	TraceParent, TraceState string

	// Pod is byte for byte what Kubernetes sent, fields that this package's API does not know included.
	Pod json.RawMessage

	warnings []string
}

// Warn adds warnings to whatever the answer will be; whoever creates the Pod sees them. It is for use
// inside [Mutate], where there is no answer yet to call [Answer.Warn] on.
func (r *Review) Warn(warnings ...string) { r.warnings = append(r.warnings, warnings...) }

// Decode returns the Pod by the Kubernetes API that this package is built with. It is for reading: to
// change a Pod, use [Mutate] or answer with a [Patch], since a Pod that is decoded and encoded again has
// lost the fields this API does not know.
func (r *Review) Decode() (*corev1.Pod, error) {
	pod := new(corev1.Pod)
	if err := kjson.UnmarshalCaseSensitivePreserveInts(r.Pod, pod); err != nil {
		// The decoder's own words may quote the Pod, which must not reach a log.
		what := "it does not fit the Kubernetes API that this endpoint knows"
		if e := (*json.UnmarshalTypeError)(nil); errors.As(err, &e) && e.Field != "" {
			what = fmt.Sprintf("%s is not a %s", e.Field, e.Type)
		}
		return nil, &badRequest{http.StatusBadRequest, "decoding the Pod: " + what}
	}
	return pod, nil
}

// badRequest is a request that is not a review, for the caller's eyes.
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
	// The id is <uid>/<step>; one that somebody made up by hand is taken whole.
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
	switch op := Operation(Attribute(h, "operation")); op {
	case "":
	case Mutating, Validating:
		r.Operation = op
	default:
		return bad(http.StatusBadRequest, "reading the header ce-operation: want mutate or validate")
	}
	// To take an unknown value for false would risk the side effect that a dry run forbids.
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

// isObject tells an object from null, which decodes into a struct as well.
func isObject(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// Attribute returns a CloudEvents attribute of a request in binary mode, empty if it is not there. It reads the
// header as the HTTP binding (3.1.3.2) says: double quotes, which older versions of it allowed, are taken off,
// then one round of percent-decoding. A percent sign that starts no escape stands for itself: some SDKs (sdk-go
// among them) send attributes as they are.
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
