package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/txn2/amp/endpoints"
	"github.com/txn2/amp/endpoints/events"
)

const (
	// maxBody bounds a request. amp queues at most 16 MiB of events, so no batch of its can be larger; one
	// event holds a Pod of 3 MiB at most, and its patch.
	maxBody = 16 << 20
	// maxBatch bounds the events of one batch.
	maxBatch = 10_000
	// maxText bounds each value that is indexed. Kubernetes' names end at 253, URLs in practice at 2 KiB.
	maxText = 4 << 10
	// final ends the id of a verdict that supersedes the one whose id is in front of it.
	final = "/final"
)

const (
	structured = "application/cloudevents+json"
	batched    = "application/cloudevents-batch+json"
)

// A record is an event on its way into the store.
type record struct {
	event []byte // in JSON, structured
	item  Item
	at    time.Time // what the store sorts by
	calls []call
	pod   string // for the search, as podKey spells it
}

// receive takes a POST. What will never be taken is a 4xx, which a Broker does not redeliver.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) {
	if err := s.take(w, r); err != nil {
		s.fail(w, r, err)
		return
	}
	// No body: Knative would take one for an event in reply.
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) take(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayWrite(r); err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return &badRequest{http.StatusRequestEntityTooLarge, fmt.Sprintf("reading the events: the body is larger than %d MiB, send smaller batches", maxBody>>20)}
	} else if err != nil {
		return bad("reading the events: the body ended early")
	}
	records, rejected := parse(r.Header, body, s.now())
	// Those of a batch that are right are kept even if others are not: they would not come again either.
	if len(records) > 0 {
		if err := s.store.add(r.Context(), records); err != nil {
			return err
		}
	}
	if rejected != nil && len(records) > 0 {
		return bad("%v; the other %d of the batch are stored", rejected, len(records))
	}
	return rejected
}

// parse reads the events of a request in whichever mode they come, and says what is wrong with the rest.
func parse(h http.Header, body []byte, now time.Time) ([]*record, error) {
	contentType, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case contentType == structured:
		rec, err := parseStructured(body, now)
		if err != nil {
			return nil, bad("reading the event: %v", err)
		}
		return []*record{rec}, nil
	case contentType == batched:
		return parseBatch(body, now)
	case strings.HasPrefix(contentType, "application/cloudevents"):
		return nil, &badRequest{http.StatusUnsupportedMediaType, fmt.Sprintf("reading the events: want %s, %s, or binary mode with Content-Type: application/json, not %.60q", structured, batched, contentType)}
	case h.Get("ce-specversion") == "" && h.Get("ce-type") == "":
		return nil, &badRequest{http.StatusUnsupportedMediaType, fmt.Sprintf("reading the events: want CloudEvents: with ce- headers (binary mode), or as %s or %s", structured, batched)}
	}
	e, err := readBinary(h, body)
	if err == nil {
		var rec *record
		if rec, err = newRecord(e, now); err == nil {
			return []*record{rec}, nil
		}
	}
	return nil, bad("reading the event: %v", err)
}

func parseStructured(b []byte, now time.Time) (*record, error) {
	var e event.Event
	if err := json.Unmarshal(b, &e); err != nil {
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			return nil, fmt.Errorf("it is no JSON: %s", firstLine(err.Error()))
		}
		// The SDK's words may quote the event, which must not reach a log.
		return nil, errors.New("it is no CloudEvent in JSON: its attributes are not as CloudEvents 1.0 says")
	}
	return newRecord(&e, now)
}

func parseBatch(body []byte, now time.Time) ([]*record, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, bad("reading the batch: want a JSON array of CloudEvents")
	}
	if len(raw) > maxBatch {
		return nil, bad("reading the batch: it has %d events, want %d at most", len(raw), maxBatch)
	}
	var records []*record
	var rejected []string
	for i, b := range raw {
		rec, err := parseStructured(b, now)
		if err == nil {
			records = append(records, rec)
		} else if rejected = append(rejected, fmt.Sprintf("event %d of %d: %v", i+1, len(raw), err)); len(rejected) == 3 {
			rejected = append(rejected, "and perhaps more")
		}
	}
	if len(rejected) > 0 {
		return records, bad("reading the batch: %s", strings.Join(rejected[:min(len(rejected), 4)], "; "))
	}
	return records, nil
}

// readBinary reads an event in binary mode. The SDK's own reading leaves the percent-encoding in, so that
// the same event would differ by the way it came.
func readBinary(h http.Header, body []byte) (*event.Event, error) {
	if v := endpoints.Attribute(h, "specversion"); v != "1.0" {
		return nil, fmt.Errorf("ce-specversion is %.20q, want 1.0", v)
	}
	e := event.New(event.CloudEventsVersionV1)
	for key := range h {
		name, ok := strings.CutPrefix(strings.ToLower(key), "ce-")
		if !ok {
			continue
		}
		switch v := endpoints.Attribute(h, name); name {
		case "specversion":
		case "id":
			e.SetID(v)
		case "source":
			e.SetSource(v)
		case "type":
			e.SetType(v)
		case "subject":
			e.SetSubject(v)
		case "dataschema":
			e.SetDataSchema(v)
		case "time":
			t, err := types.ParseTime(v)
			if err != nil {
				return nil, fmt.Errorf("ce-time is %.60q, want a time as in RFC 3339", v)
			}
			e.SetTime(t)
		case "datacontenttype":
			return nil, errors.New("ce-datacontenttype is there: in binary mode the header Content-Type says it")
		default:
			e.SetExtension(name, v)
		}
	}
	contentType := h.Get("Content-Type")
	if contentType == "" {
		contentType = "application/json"
	}
	e.SetDataContentType(contentType)
	e.DataEncoded = body
	return &e, nil
}

// newRecord checks an event and takes from it what lists show and filters ask for.
func newRecord(e *event.Event, now time.Time) (*record, error) {
	if err := e.Validate(); err != nil {
		return nil, fmt.Errorf("it is no valid CloudEvent 1.0: %s", firstLine(err.Error()))
	}
	if e.SpecVersion() != event.CloudEventsVersionV1 {
		return nil, fmt.Errorf("its specversion is %.20q, want 1.0", e.SpecVersion())
	}
	outcome, ok := outcomeOf[e.Type()]
	if !ok {
		return nil, fmt.Errorf("its type is %.100q, want one of %s", e.Type(), strings.Join(events.Types, ", "))
	}
	if t, _, err := mime.ParseMediaType(e.DataContentType()); err != nil && e.DataContentType() != "" || t != "" && t != "application/json" && !strings.HasSuffix(t, "+json") {
		return nil, fmt.Errorf("its datacontenttype is %.60q, want application/json", e.DataContentType())
	}
	var d events.Data
	if err := json.Unmarshal(e.Data(), &d); err != nil {
		what := "is not the JSON that the schema of amp's events describes"
		if t := (*json.UnmarshalTypeError)(nil); errors.As(err, &t) && t.Field != "" {
			what = fmt.Sprintf("has a %s for %s, want a %s", t.Value, t.Field, t.Type)
		}
		return nil, fmt.Errorf("its data %s", what)
	}
	switch {
	case d.Namespace == "":
		return nil, errors.New("its data has no namespace")
	case d.Pod.Name == "" && d.Pod.GenerateName == "":
		return nil, errors.New("its data names no Pod: want pod.name or pod.generateName")
	case d.Outcome != outcome:
		return nil, fmt.Errorf("its data has the outcome %.40q, want %q as its type says", d.Outcome, outcome)
	}
	indexed := []string{e.ID(), e.Source(), d.Namespace, d.Pod.Name, d.Pod.GenerateName, d.User, d.Mutation}
	for _, c := range d.Endpoints {
		indexed = append(indexed, c.URL)
	}
	if slices.ContainsFunc(indexed, func(s string) bool { return len(s) > maxText }) {
		return nil, fmt.Errorf("one of its id, source, namespace, pod, user, mutation and endpoints is longer than %d bytes", maxText)
	}

	raw, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("it cannot be written as JSON: %s", firstLine(err.Error()))
	}
	rec := &record{event: raw, at: e.Time(), pod: podKey(d.Pod)}
	// A clock that is ahead must not hold its events above all later ones.
	if rec.at.IsZero() || rec.at.After(now.Add(time.Minute)) || rec.at.Unix() < 0 {
		rec.at = now
	}
	rec.item = newItem(e, &d, rec.at)
	for _, c := range d.Endpoints {
		rec.calls = append(rec.calls, call{url: c.URL, ms: c.DurationMS, failed: c.Error != ""})
	}
	return rec, nil
}

// outcomeOf holds the outcome that each type stands for.
var outcomeOf = func() map[string]string {
	m := map[string]string{}
	for _, t := range events.Types {
		m[t] = strings.TrimSuffix(strings.TrimPrefix(t, "com.txn2.amp.pod."), ".v1")
	}
	return m
}()

// outcomes lists them in the order of the types, which is the order that numbers have in the store.
var outcomes = func() []string {
	var all []string
	for _, t := range events.Types {
		all = append(all, outcomeOf[t])
	}
	return all
}()

// firstLine bounds a library's words.
func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if r := []rune(s); len(r) > 200 {
		return string(r[:199]) + "…"
	}
	return s
}

// Item is an event as lists and the stream show it.
type Item struct {
	ID           string    `json:"id"`
	Source       string    `json:"source"`
	Type         string    `json:"type"`
	Time         time.Time `json:"time"`
	Outcome      string    `json:"outcome"`
	Namespace    string    `json:"namespace"`
	Name         string    `json:"name,omitempty"`
	GenerateName string    `json:"generateName,omitempty"`
	User         string    `json:"user"`
	// Gist is what amp answered, in a few words.
	Gist       string     `json:"gist"`
	Ops        int        `json:"ops"`
	Endpoints  []ItemCall `json:"endpoints"`
	DurationMS float64    `json:"durationMs"`
	Mutation   string     `json:"mutation,omitempty"` // of a validated event: the stamp
	// Seen holds the names under which /validate saw the Pod of a mutated event. The store joins them.
	Seen []string `json:"seen,omitempty"`
}

// ItemCall is a call of an endpoint in an [Item].
type ItemCall struct {
	URL        string  `json:"url"`
	DurationMS float64 `json:"durationMs"`
	Failed     bool    `json:"failed,omitempty"`
}

func newItem(e *event.Event, d *events.Data, at time.Time) Item {
	item := Item{
		ID: e.ID(), Source: e.Source(), Type: e.Type(), Time: at.UTC(), Outcome: d.Outcome,
		Namespace: d.Namespace, Name: d.Pod.Name, GenerateName: d.Pod.GenerateName, User: d.User,
		DurationMS: d.DurationMS, Mutation: d.Mutation, Endpoints: []ItemCall{},
	}
	for _, c := range d.Endpoints {
		item.Ops += c.Ops
		item.Endpoints = append(item.Endpoints, ItemCall{c.URL, c.DurationMS, c.Error != ""})
	}
	item.Gist = gist(d, item.Ops)
	return item
}
