package emit

import (
	"net/http"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/txn2/amp/internal/outbound"
)

// binaryHeader is the header of an HTTP request that carries e in binary mode, with e's data as the body (HTTP protocol
// binding 1.0.2, section 3.1). It has no ce-datacontenttype, because Content-Type is that attribute.
func binaryHeader(e *event.Event) http.Header {
	h := make(http.Header, 16)
	set := func(attribute, value string) {
		if value != "" {
			h["Ce-"+strings.ToUpper(attribute[:1])+attribute[1:]] = []string{outbound.EncodeAttribute(value)}
		}
	}
	h["Content-Type"] = []string{e.DataContentType()}
	set("specversion", e.SpecVersion())
	set("id", e.ID())
	set("source", e.Source())
	set("type", e.Type())
	set("subject", e.Subject())
	set("dataschema", e.DataSchema())
	set("time", e.Time().Format(time.RFC3339Nano))
	for attribute, value := range e.Extensions() {
		set(attribute, value.(string)) // newEvent and the overrides set strings only
	}
	return h
}
