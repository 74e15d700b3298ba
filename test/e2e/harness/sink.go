package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Sink is an event sink of the test. It can go down and come back at the same address.
type Sink struct {
	URL string

	address string
	t       *testing.T
	server  *http.Server

	mu     sync.Mutex
	notes  func(*http.Request) bool
	answer func(Event, http.ResponseWriter, *http.Request)
	events []Event
}

// NewSink serves a sink until the test ends. Then the test fails if an event was not valid by CloudEvents,
// docs/events.md or the schema.
func NewSink(t *testing.T) *Sink {
	t.Helper()
	s := &Sink{t: t, address: "127.0.0.1:" + strconv.Itoa(FreePort())}
	s.URL = "http://" + s.address + "/events"
	s.Up()
	t.Cleanup(func() {
		s.Down()
		for i, e := range s.Events() {
			if e.Faults != nil {
				t.Errorf("event %d is not as it should be: %v\n%s", i, e.Faults, e.Raw)
			}
		}
	})
	return s
}

// Up makes the sink listen again.
func (s *Sink) Up() {
	s.t.Helper()
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.server = &http.Server{Handler: http.HandlerFunc(s.serve)}
	go s.server.Serve(l)
}

// Down ends the sink and every request to it.
func (s *Sink) Down() { s.server.Close() }

// Answers sets what the sink answers to events from now on, after it has noted them. nil means that it accepts them.
func (s *Sink) Answers(answer func(Event, http.ResponseWriter, *http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Notes sets a function that is called before an event is noted, for example to wait. If it returns false, the event
// is lost: the sink does not note it and does not answer.
func (s *Sink) Notes(notes func(*http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = notes
}

func (s *Sink) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender has closed the connection
	}
	e := ParseBinary(r.Header, body)
	s.mu.Lock()
	notes := s.notes
	s.mu.Unlock()
	if notes != nil && !notes(r) {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	s.events = append(s.events, e)
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		answer(e, w, r)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// Events are all events so far, duplicates included.
func (s *Sink) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event(nil), s.events...)
}

// Of are the events of a namespace so far.
func (s *Sink) Of(namespace string) []Event {
	var some []Event
	for _, e := range s.Events() {
		if e.Data.Namespace == namespace {
			some = append(some, e)
		}
	}
	return some
}

// Await waits for an event, and fails the test if none comes.
func (s *Sink) Await(what string, is func(Event) bool) Event {
	s.t.Helper()
	var found Event
	Eventually(s.t, what, func(context.Context) error {
		events := s.Events()
		for _, e := range events {
			if is(e) {
				found = e
				return nil
			}
		}
		return fmt.Errorf("none of %d events is it", len(events))
	})
	return found
}

// AwaitID waits for the event with an id.
func (s *Sink) AwaitID(id string) Event {
	s.t.Helper()
	if id == "" {
		s.t.Fatal("there is no id to look for an event by")
	}
	return s.Await("event "+id, func(e Event) bool { return e.ID == id })
}

// Printed are the events that the replica wrote to stdout. Each must be one line. The error says what is wrong with
// them.
func (r *Replica) Printed() ([]Event, error) { return printed(r.process.out) }

// Printed are the events that all replicas so far wrote to stdout.
func (w *World) Printed() ([]Event, error) {
	outputs, err := filepath.Glob(w.path("amp-*.out"))
	var all []Event
	for _, path := range outputs {
		events, e := printed(path)
		all, err = append(all, events...), errors.Join(err, e)
	}
	return all, err
}

func printed(path string) ([]Event, error) {
	var events []Event
	var faults []error
	for line := range strings.Lines(content(path)) {
		if !strings.HasSuffix(line, "\n") {
			break // the line is still being written, or amp was killed while it wrote it
		}
		e := ParseStructured([]byte(line))
		if e.Faults != nil {
			faults = append(faults, fmt.Errorf("%w\n%s", e.Faults, line))
		}
		events = append(events, e)
	}
	return events, errors.Join(faults...)
}
