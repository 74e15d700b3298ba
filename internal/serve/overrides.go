package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/txn2/amp/internal/review"
)

// errOverrides says what K_CE_OVERRIDES may be. It does not repeat the value, which may hold anything.
var errOverrides = errors.New(`K_CE_OVERRIDES: allowed: JSON like {"extensions":{"name":"value"}}`)

// extensions parses K_CE_OVERRIDES as Knative's SinkBinding writes it: {"extensions":{…}}, and {} if there are none
// (knative.dev/pkg/apis/duck/v1, CloudEventOverrides). It leaves out empty extensions, because a CloudEvents attribute
// must not be empty. Its error names every bad extension.
func extensions(v string) (map[string]string, error) {
	var overrides map[string]json.RawMessage
	if err := json.Unmarshal([]byte(v), &overrides); err != nil || overrides == nil {
		return nil, errOverrides
	}
	for member := range overrides {
		if member != "extensions" {
			return nil, errOverrides
		}
	}
	var all map[string]string
	if raw := overrides["extensions"]; raw != nil {
		if err := json.Unmarshal(raw, &all); err != nil {
			return nil, errOverrides
		}
	}
	var faults []string
	for name, value := range all {
		switch {
		case !isAttributeName(name):
			faults = append(faults, fmt.Sprintf("K_CE_OVERRIDES: extension%s: allowed: names of a to z and 0 to 9 that are not CloudEvents attributes", named(name)))
		case isOwnAttribute(name):
			faults = append(faults, fmt.Sprintf("K_CE_OVERRIDES: extension%s: amp sets this attribute itself; allowed: other names of a to z and 0 to 9", named(name)))
		case value == "":
			delete(all, name)
		}
	}
	if len(faults) > 0 {
		slices.Sort(faults)
		return nil, errors.New(strings.Join(faults, "\n"))
	}
	return all, nil
}

// named is a name as a message shows it, with a space before it; it is empty for a name that may be a URL.
func named(name string) string {
	if review.MayHoldURL(name) {
		return ""
	}
	return fmt.Sprintf(" %q", review.Clip(review.Line(name), 60))
}

// isAttributeName reports whether CloudEvents allows the name of an extension (version 1.0.2, section 3.1).
func isAttributeName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// isOwnAttribute reports whether the attribute is one of CloudEvents itself or one that amp's events have.
func isOwnAttribute(s string) bool {
	switch s {
	case "id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time", "data", "database64",
		"namespace", "outcome", "traceparent", "tracestate":
		return true
	}
	return false
}
