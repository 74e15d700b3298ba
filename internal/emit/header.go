package emit

import (
	"net/http"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// binaryHeader is e in the header of an HTTP request whose body is e's data (HTTP protocol binding 1.0.2,
// 3.1). There is no ce-datacontenttype: Content-Type is that attribute.
func binaryHeader(e *event.Event) http.Header {
	h := make(http.Header, 16)
	set := func(attribute, value string) {
		if value != "" {
			h["Ce-"+strings.ToUpper(attribute[:1])+attribute[1:]] = []string{encodeAttribute(value)}
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
		set(attribute, value.(string)) // newEvent and the overrides make nothing else
	}
	return h
}

// encodeAttribute writes an attribute as a header value (HTTP protocol binding 1.0.2, 3.1.3.2): space,
// quotation mark, per cent and whatever is outside U+0021 to U+007E as their UTF-8 bytes, each %XX. sdk-go
// leaves that out.
func encodeAttribute(s string) string {
	const hex = "0123456789ABCDEF"
	var b []byte
	for i := range len(s) {
		switch c := s[i]; {
		case mustEncode(c):
			if b == nil {
				b = append(make([]byte, 0, len(s)+16), s[:i]...)
			}
			b = append(b, '%', hex[c>>4], hex[c&15])
		case b != nil:
			b = append(b, c)
		}
	}
	if b == nil {
		return s
	}
	return string(b)
}

func mustEncode(c byte) bool { return c <= ' ' || c > '~' || c == '"' || c == '%' }
