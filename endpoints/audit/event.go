package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/txn2/amp/endpoints/audit/internal/describe"
	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/events"
)

const (
	// maxText bounds each value that filters go by. Kubernetes' names end at 253 bytes, URLs in practice at 2 KiB.
	maxText = 4 << 10
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
	ended, ok := outcome.Of(e.Type())
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
	case d.Outcome != ended:
		return nil, fmt.Errorf("its data has the outcome %.40q, want %q as its type says", d.Outcome, ended)
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
	at := e.Time()
	// Events of a clock that is ahead must not stay above all later ones.
	if at.IsZero() || at.After(now.Add(maxAhead)) || at.Unix() < 0 {
		at = now
	}
	return &store.Event{Item: newItem(e, &d, at), Raw: raw}, nil
}

func newItem(e *event.Event, d *events.Data, at time.Time) *store.Item {
	item := &store.Item{
		ID: e.ID(), Source: e.Source(), Type: e.Type(), Time: at.UTC(), Outcome: d.Outcome,
		Namespace: d.Namespace, Name: d.Pod.Name, GenerateName: d.Pod.GenerateName, User: d.User,
		DurationMS: d.DurationMS, Mutation: d.Mutation, Endpoints: []store.Call{}, Gist: describe.Gist(d),
	}
	for i, c := range d.Endpoints {
		item.Ops += c.Ops
		// The endpoints are in the order of their calls, and a denial ends the calls.
		denied := d.Outcome == outcome.Denied && i == len(d.Endpoints)-1
		item.Endpoints = append(item.Endpoints, store.Call{URL: c.URL, DurationMS: c.DurationMS, Failed: c.Error != "", Denied: denied})
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
