package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Event is one CloudEvent as it was received, with its attributes decoded.
type Event struct {
	ID, Source, Type, Subject, DataSchema, DataContentType string

	Time       time.Time
	Extensions map[string]string
	Data       EventData
	Raw        string // the data's JSON, and for an event by HTTP its headers as they came; to search in
	Faults     error  // what is not valid by CloudEvents 1.0, docs/events.md or the schema
}

// EventData holds the fields of an event's data that the tests read. The harness knows amp only by its binary. All of
// the data is checked against the schema.
type EventData struct {
	UID       string `json:"uid"`
	Level     string `json:"level"`
	Namespace string `json:"namespace"`
	Pod       struct {
		Name         string `json:"name"`
		GenerateName string `json:"generateName"`
		UID          string `json:"uid"`
	} `json:"pod"`
	Controller *struct {
		APIVersion, Kind, Name, UID string
	} `json:"controller"`
	User          string `json:"user"`
	Operation     string `json:"operation"`
	Outcome       string `json:"outcome"`
	Message       string `json:"message"`
	FailurePolicy string `json:"failurePolicy"`
	Endpoints     []struct {
		URL        string  `json:"url"`
		Status     int     `json:"status"`
		DurationMS float64 `json:"durationMs"`
		Ops        int     `json:"ops"`
		Error      string  `json:"error"`
	} `json:"endpoints"`
	DurationMS float64 `json:"durationMs"`
	Mutation   string  `json:"mutation"`
	Patch      []struct {
		Step  int             `json:"step"`
		Op    string          `json:"op"`
		Path  string          `json:"path"`
		Value json.RawMessage `json:"value"`
	} `json:"patch"`
	Object json.RawMessage `json:"object"`
}

// The names and patterns that CloudEvents 1.0 allows.
var (
	attributeName = regexp.MustCompile(`^[a-z0-9]{1,20}$`)
	reverseDNS    = regexp.MustCompile(`^com\.txn2\.amp\.pod\.(mutated|unchanged|shadowed|denied|rejected|failedopen|validated|compared)\.v1$`)
	traceParent   = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)
)

// ParseBinary reads an event in binary mode (HTTP protocol binding 1.0.2, section 3.1).
func ParseBinary(header http.Header, body []byte) Event {
	var faults []error
	attributes := map[string]string{}
	for name, values := range header {
		attribute, ok := strings.CutPrefix(strings.ToLower(name), "ce-")
		if !ok {
			continue
		}
		if len(values) != 1 {
			faults = append(faults, fmt.Errorf("header %s is there %d times", name, len(values)))
		}
		value, err := decodeAttribute(values[0])
		if err != nil {
			faults = append(faults, fmt.Errorf("header %s: %w", name, err))
		}
		attributes[attribute] = value
	}
	if _, ok := attributes["datacontenttype"]; ok {
		faults = append(faults, errors.New("there is a ce-datacontenttype, which is Content-Type's part"))
	}
	attributes["datacontenttype"] = header.Get("Content-Type")
	e := newEvent(attributes, body, faults)
	e.Raw = fmt.Sprint(header) + string(body)
	return e
}

// decodeAttribute undoes the encoding of section 3.1.3.2: characters other than printable ASCII, and space, quotation
// mark and percent sign, came as %XX of their UTF-8.
func decodeAttribute(value string) (string, error) {
	for i := range len(value) {
		if c := value[i]; c <= ' ' || c > '~' || c == '"' {
			return value, fmt.Errorf("%q is not encoded", c)
		}
	}
	decoded, err := url.PathUnescape(value)
	if err == nil && !utf8.ValidString(decoded) {
		err = errors.New("what is encoded is not UTF-8")
	}
	return decoded, err
}

// ParseStructured reads an event as JSON (JSON event format 1.0.2).
func ParseStructured(text []byte) Event {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return Event{Raw: string(text), Faults: err}
	}
	data, attributes, faults := all["data"], map[string]string{}, []error(nil)
	delete(all, "data")
	for name, raw := range all {
		var value string
		if err := json.Unmarshal(raw, &value); err != nil {
			faults = append(faults, fmt.Errorf("attribute %s is not a string: %s", name, raw))
		}
		attributes[name] = value
	}
	e := newEvent(attributes, data, faults)
	e.Raw = string(text)
	return e
}

func newEvent(attributes map[string]string, data []byte, faults []error) Event {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	take := func(name string) string {
		value, ok := attributes[name]
		if !ok || value == "" {
			fault("there is no %s", name)
		}
		delete(attributes, name)
		return value
	}
	if version := take("specversion"); version != "1.0" {
		fault("specversion is %q", version)
	}
	e := Event{
		ID: take("id"), Source: take("source"), Type: take("type"), Subject: take("subject"),
		DataSchema: take("dataschema"), DataContentType: take("datacontenttype"),
	}
	var err error
	if e.Time, err = time.Parse(time.RFC3339Nano, take("time")); err != nil {
		fault("time: %w", err)
	}
	e.Extensions = attributes
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if !attributeName.MatchString(name) {
			fault("no extension may be named %q", name)
		}
	}

	if !reverseDNS.MatchString(e.Type) {
		fault("type is %q", e.Type)
	}
	if _, err := url.Parse(e.Source); err != nil {
		fault("source: %w", err)
	}
	if u, err := url.Parse(e.DataSchema); err != nil || !u.IsAbs() {
		fault("dataschema %q is not an absolute URI", e.DataSchema)
	}
	if media, _, err := mime.ParseMediaType(e.DataContentType); err != nil || media != "application/json" {
		fault("datacontenttype is %q", e.DataContentType)
	}
	if trace, ok := e.Extensions["traceparent"]; ok && !traceParent.MatchString(trace) {
		fault("traceparent is %q", trace)
	}
	if err := validData(e.DataSchema, data); err != nil {
		fault("data: %w", err)
	}
	if err := json.Unmarshal(data, &e.Data); err != nil {
		fault("data: %w", err)
	}

	// What the attributes and the data say about the same thing.
	d := e.Data
	for what, pair := range map[string][2]string{
		"type":      {e.Type, "com.txn2.amp.pod." + d.Outcome + ".v1"},
		"id":        {strings.TrimSuffix(strings.TrimSuffix(e.ID, "/final"), "/candidate"), d.UID},
		"outcome":   {e.Extensions["outcome"], d.Outcome},
		"namespace": {e.Extensions["namespace"], d.Namespace},
		"subject":   {e.Subject, subject(d)},
	} {
		if pair[0] != pair[1] {
			fault("%s is %q, by the data it would be %q", what, pair[0], pair[1])
		}
	}
	e.Faults = errors.Join(faults...)
	return e
}

func subject(d EventData) string {
	if d.Pod.Name == "" && d.Pod.GenerateName != "" {
		return d.Namespace + "/" + d.Pod.GenerateName + "*"
	}
	return d.Namespace + "/" + d.Pod.Name
}

// eventSchema is endpoints/events/schema.json, compiled. Its $id is the dataschema of events.
var eventSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	text, err := Document("endpoints/events/schema.json")
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	id, _ := doc.(map[string]any)["$id"].(string)
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{}) // loads nothing
	if err := c.AddResource(id, doc); err != nil {
		return nil, err
	}
	return c.Compile(id)
})

// Document returns the text of a file of the repository.
func Document(path string) (string, error) {
	root, _, err := folders()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(root, path))
	return string(text), err
}

// validData checks an event's data against the schema that the event names.
func validData(name string, data []byte) error {
	s, err := eventSchema()
	if err != nil {
		return fmt.Errorf("reading the schema of events: %w", err)
	}
	if id := strings.TrimSuffix(s.Location, "#"); name != id {
		return fmt.Errorf("the event names the schema %q, endpoints/events has %q", name, id)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(value)
}
