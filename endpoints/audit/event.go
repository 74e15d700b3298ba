package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/endpoints/events/describe"
)

const (
	// maxText bounds what identifies an event, and each value that a reader may ask for.
	maxText = 4 << 10
	// maxAttributes bounds the attributes of an event: some of their bytes take six when they are stored. In binary mode they are
	// headers, of which a server takes less.
	maxAttributes = 2 << 20
	// maxShown bounds each value of an event that lists show and filters go by; of longer ones they have the beginning.
	// Kubernetes' names end at 253 bytes, URLs in practice at 2 KiB.
	maxShown = 2 << 10
	// maxCalls bounds the calls of an event that lists show. amp makes 16 at most.
	maxCalls = 32
	// maxAhead is how far the clock of a sender may be ahead.
	maxAhead = time.Minute
)

// newEvent checks an event and takes from it what lists show and filters ask for.
func newEvent(e *event.Event, now time.Time) (*store.Event, error) {
	if err := e.Validate(); err != nil {
		return nil, fmt.Errorf("it is not a valid CloudEvent 1.0: %s", firstLine(err.Error()))
	}
	if e.SpecVersion() != event.CloudEventsVersionV1 {
		return nil, fmt.Errorf("its specversion is %.20q, want 1.0", e.SpecVersion())
	}
	if _, is := e.Extensions()["data"]; is {
		// The SDK takes "Data", or the header ce-data, for an extension, and writes it beside the data, under the same name.
		return nil, errors.New("it has an extension named data, which is the name of its data")
	}
	ended, ok := outcome.Of(e.Type())
	if !ok {
		return nil, fmt.Errorf("its type is %.100q, want one of %s", e.Type(), strings.Join(events.Types, ", "))
	}
	if t, _, err := mime.ParseMediaType(e.DataContentType()); err != nil && e.DataContentType() != "" || t != "" && t != "application/json" && !strings.HasSuffix(t, "+json") {
		return nil, fmt.Errorf("its datacontenttype is %.60q, want application/json", e.DataContentType())
	}
	d, err := readData(e.Data())
	if err != nil {
		what := "is not the JSON that the schema of amp's events describes"
		if t := (*json.UnmarshalTypeError)(nil); errors.As(err, &t) && t.Field != "" {
			what = fmt.Sprintf("has a %s for %s, want a %s", t.Value, t.Field, t.Type)
		} else if errors.Is(err, errTooMany) {
			what = fmt.Sprintf("has more than %d values in endpoints, warnings or patch", maxValues)
		}
		return nil, fmt.Errorf("its data %s", what)
	}
	switch {
	case d.Namespace == "":
		return nil, errors.New("its data has no namespace")
	case d.Pod.Name == "" && d.Pod.GenerateName == "":
		return nil, errors.New("its data names no Pod: want pod.name or pod.generateName")
	case d.Outcome != ended:
		return nil, fmt.Errorf("its data has the outcome %.40q, want %q as its type says", d.Outcome, ended)
	}
	listed, ok := outcome.Listed(d)
	if !ok {
		return nil, errors.New("its data has no comparison with a result: want same, different, failed or alone")
	}
	if len(e.ID()) > maxText || len(e.Source()) > maxText {
		return nil, fmt.Errorf("its id or its source is longer than %d bytes", maxText)
	}

	raw, err := write(e)
	if err != nil {
		return nil, err
	}
	at, undated := e.Time(), false
	if !mayBe(at, now) {
		at, undated = now, true
	}
	return &store.Event{Item: newItem(e, d, listed, at), Raw: raw, Undated: undated}, nil
}

// write returns an event as JSON, if that is an event that can be read, exported and imported again.
func write(e *event.Event) ([]byte, error) {
	c, ok := e.Context.(*event.EventContextV1)
	if !ok {
		return nil, errors.New("it is not a CloudEvent 1.0")
	}
	if attributesLength(c) > maxAttributes {
		return nil, fmt.Errorf("its attributes are longer than %d MiB", maxAttributes>>20)
	}
	if c.Time != nil && !readableTime(c.Time.UTC()) {
		return nil, fmt.Errorf("its time is %.60s, want a year from 0 to 9999", c.Time)
	}
	if t := e.DataMediaType(); t != "application/json" && t != "" && !utf8.Valid(e.Data()) {
		return nil, errors.New("its data is not UTF-8") // the SDK writes data of these types as a text
	}
	text, err := e.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("it cannot be written as JSON: %s", firstLine(err.Error()))
	}
	// json.Marshal would write six bytes for each of <, > and &. This makes no text longer.
	var raw bytes.Buffer
	if err := json.Compact(&raw, text); err != nil {
		return nil, fmt.Errorf("it cannot be written as JSON: %s", firstLine(err.Error()))
	}
	if raw.Len() > store.MaxEvent {
		return nil, fmt.Errorf("it takes more than the %d MiB that an event may take", store.MaxEvent>>20)
	}
	if _, members := valuesIn(raw.Bytes()); members > maxMembers {
		return nil, fmt.Errorf("it has more than %d attributes", maxMembers)
	}
	if depthOf(raw.Bytes()) > maxDepth {
		return nil, fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	return raw.Bytes(), nil
}

// attributesLength returns how long an event's attributes are together.
func attributesLength(c *event.EventContextV1) int {
	n := len(c.ID) + len(c.Source.String()) + len(c.Type) + len(c.GetSubject()) + len(c.GetDataContentType()) + len(c.GetDataSchema())
	for name, value := range c.Extensions {
		text, _ := value.(string) // the others are short
		n += len(name) + len(text)
	}
	return n
}

// readableTime reports whether RFC 3339 has a time. A zone can lead to a year that it does not have.
func readableTime(t time.Time) bool { return t.Year() >= 0 && t.Year() <= 9999 }

// mayBe reports whether an event can have happened at a time. Events of a clock that is ahead must not stay above all later
// ones.
func mayBe(at, now time.Time) bool {
	return !at.IsZero() && !at.After(now.Add(maxAhead)) && at.Unix() >= 0
}

// readData reads the data of an event, but not more of it than fits.
func readData(text []byte) (*events.Data, error) {
	var d struct {
		events.Data
		Endpoints shortList[events.Endpoint] `json:"endpoints"`
		Warnings  shortList[string]          `json:"warnings"`
		Patch     longList[events.Op]        `json:"patch"`

		Comparison *struct {
			events.Comparison
			Differences longList[events.Difference] `json:"differences"`
		} `json:"comparison"`
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	d.Data.Endpoints, d.Data.Warnings, d.Data.Patch = d.Endpoints, d.Warnings, d.Patch
	if c := d.Comparison; c != nil {
		c.Comparison.Differences = c.Differences
		d.Data.Comparison = &c.Comparison
	}
	return &d.Data, nil
}

func newItem(e *event.Event, d *events.Data, listed string, at time.Time) *store.Item {
	item := &store.Item{
		ID: e.ID(), Source: e.Source(), Type: e.Type(), Time: at.UTC(), Outcome: listed,
		Namespace: clip(d.Namespace), Name: clip(d.Pod.Name), GenerateName: clip(d.Pod.GenerateName), User: clip(d.User),
		DurationMS: d.DurationMS, Mutation: clip(d.Mutation), Endpoints: []store.Call{}, Gist: clip(describe.Gist(d)),
	}
	for i, c := range d.Endpoints {
		item.Ops += c.Ops
		if i >= maxCalls {
			continue
		}
		// The endpoints are in the order of their calls, and a denial ends the calls.
		denied := d.Outcome == outcome.Denied && i == len(d.Endpoints)-1
		item.Endpoints = append(item.Endpoints, store.Call{URL: clip(c.URL), DurationMS: c.DurationMS, Failed: c.Error != "", Denied: denied})
	}
	return item
}

// firstLine bounds a library's words.
func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if r := []rune(s); len(r) > 200 {
		return string(r[:199]) + "…"
	}
	return s
}
