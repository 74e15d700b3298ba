package callout

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/txn2/amp/endpoints"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/review"
)

// Header values that all requests share; they are never changed.
var (
	contentType = []string{"application/json"}
	// Without Accept-Encoding any coding is acceptable (RFC 9110, 12.5.3), and some servers then compress.
	acceptEncoding = []string{"identity"}
	specVersion    = []string{"1.0"}
	eventType      = []string{endpoints.EventType}
)

// header returns the header of one request. The request is also a CloudEvent in binary mode, with the Pod as its data.
// There is no ce-datacontenttype: Content-Type is that attribute (HTTP binding, 3.1.1).
//
// The keys are in the form of http.CanonicalHeaderKey, so that they can be assigned without calling it.
func (c *Client) header(r *review.Review, step int, at time.Time) http.Header {
	h := make(http.Header, 16)
	h["Content-Type"] = contentType
	h["Accept-Encoding"] = acceptEncoding
	h["User-Agent"] = c.userAgent
	h["Ce-Specversion"] = specVersion
	h["Ce-Type"] = eventType
	h["Ce-Source"] = c.source

	values := make([]string, 0, 11) // one array for all
	set := func(key, value string) {
		if value != "" {
			values = append(values, value)
			h[key] = values[len(values)-1 : len(values) : len(values)]
		}
	}
	set("Ce-Id", outbound.EncodeAttribute(r.UID+"/"+strconv.Itoa(step)))
	set("Ce-Subject", outbound.EncodeAttribute(r.Namespace+"/"+r.PodName()))
	set("Ce-Time", at.UTC().Format(time.RFC3339Nano))
	set("Ce-Namespace", outbound.EncodeAttribute(r.Namespace))
	set("Ce-Operation", outbound.EncodeAttribute(string(r.Phase)))
	set("Ce-Dryrun", strconv.FormatBool(r.DryRun))
	if r.Candidate {
		set("Ce-Candidate", "true")
	}
	set("Ce-Authtype", authType(r.User))
	set("Ce-Authid", outbound.EncodeAttribute(r.User))
	if outbound.Printable(r.TraceParent) && r.TraceParent != "" {
		set("Traceparent", r.TraceParent)
		// A tracestate means nothing without its traceparent (W3C Trace Context, 3.3).
		if outbound.Printable(r.TraceState) {
			set("Tracestate", r.TraceState)
		}
	}
	return h
}

// authType returns the kind of a user in the words of CloudEvents' Auth Context extension
// (cloudevents/extensions/authcontext.md). All authenticators of Kubernetes keep to the same names, and the prefix
// system: is reserved.
func authType(user string) string {
	switch {
	case user == "":
		return "unknown"
	case user == "system:anonymous":
		return "unauthenticated"
	case strings.HasPrefix(user, "system:serviceaccount:"):
		return "service_account"
	case strings.HasPrefix(user, "system:"):
		return "system"
	}
	return "user"
}
