package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/txn2/amp/endpoints"
	"github.com/txn2/amp/endpoints/audit/internal/store"
)

const (
	// maxBody bounds a request. amp queues at most 16 MiB of events, so none of its batches can be larger. One
	// event holds a Pod of 3 MiB at most, and its patch.
	maxBody = store.MaxEvent
	// maxAdded bounds what an export adds to an event.
	maxAdded = 1 << 10
	// maxBatch bounds the events of one batch.
	maxBatch = 10_000
)

// The content types of CloudEvents in JSON, and of an export.
const (
	structured = "application/cloudevents+json"
	batched    = "application/cloudevents-batch+json"
	ndjson     = "application/x-ndjson"
)

// receive takes a POST. An event that will never be taken is answered with 4xx, after which a Broker does not
// deliver it again.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) {
	if err := s.take(w, r); err != nil {
		s.fail(w, r, err)
		return
	}
	// So that amp sends several events in one request (docs/events.md).
	w.Header().Set("Accept-Post", structured+", "+batched)
	// No body: Knative would take it for an event in reply.
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) take(w http.ResponseWriter, r *http.Request) error {
	writer, err := s.writerOf(r)
	if err != nil {
		return err
	}
	mediaType := mediaTypeOf(r.Header)
	most := int64(maxBody)
	if mediaType == ndjson {
		most += maxAdded
	}
	if r.ContentLength > most {
		return tooLarge()
	}
	posts, what := s.smallPosts, "posts"
	if r.ContentLength < 0 || r.ContentLength > small {
		posts, what = s.posts, "large posts"
	}
	if err := posts.enter(r.Context(), what); err != nil {
		return err
	}
	defer posts.leave()
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience)) // not every host knows deadlines
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if limit := (*http.MaxBytesError)(nil); errors.As(err, &limit) {
		return tooLarge()
	} else if err != nil {
		return bad("reading the events: the body ended early")
	}
	if err := s.parsing.enter(r.Context(), "posts"); err != nil {
		return err
	}
	received, rejected := func() ([]*store.Event, error) {
		defer s.parsing.leave() // also after a panic
		return parse(mediaType, r.Header, body, s.now())
	}()
	received, foreign := writer.ownOf(received)
	// The good events of a batch are kept even if others are not: no sender would send them again.
	if len(received) > 0 {
		if err := s.store.Add(r.Context(), received); err != nil {
			return err
		}
	}
	if refused := s.refuse(writer, foreign); refused != nil {
		rejected = refused
	}
	if problem := (*badRequest)(nil); len(received) > 0 && errors.As(rejected, &problem) {
		return &badRequest{problem.status, fmt.Sprintf("%s; the other %d of the batch are stored", problem.message, len(received))}
	}
	return rejected
}

// mediaTypeOf is the Content-Type without its parameters, empty if it cannot be read.
func mediaTypeOf(h http.Header) string {
	mediaType, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return mediaType
}

func tooLarge() error {
	return &badRequest{http.StatusRequestEntityTooLarge, fmt.Sprintf("reading the events: the body is larger than %d MiB, send smaller batches", maxBody>>20)}
}

// parse reads the events of a request, in each of the modes of CloudEvents. mediaType is that of its header. It
// returns the valid ones, and an error that says what is wrong with the others.
func parse(mediaType string, h http.Header, body []byte, now time.Time) ([]*store.Event, error) {
	switch {
	case mediaType == structured:
		e, err := parseStructured(body, now)
		if err != nil {
			return nil, bad("reading the event: %v", err)
		}
		return []*store.Event{e}, nil
	case mediaType == batched:
		return parseBatch(body, now)
	case mediaType == ndjson:
		return parseLines(body, now)
	case strings.HasPrefix(mediaType, "application/cloudevents"):
		return nil, &badRequest{http.StatusUnsupportedMediaType, fmt.Sprintf("reading the events: want %s, %s, or binary mode with Content-Type: application/json, not %.60q", structured, batched, mediaType)}
	case h.Get("ce-specversion") == "" && h.Get("ce-type") == "":
		return nil, &badRequest{http.StatusUnsupportedMediaType, fmt.Sprintf("reading the events: want CloudEvents: with ce- headers (binary mode), or as %s or %s", structured, batched)}
	}
	e, err := parseBinary(h, body, now)
	if err != nil {
		return nil, bad("reading the event: %v", err)
	}
	return []*store.Event{e}, nil
}

func parseStructured(b []byte, now time.Time) (*store.Event, error) {
	if _, members := valuesIn(b); members > maxMembers {
		return nil, fmt.Errorf("it has more than %d attributes", maxMembers)
	}
	var e event.Event
	if err := decode(b, &e); err != nil {
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			return nil, fmt.Errorf("it is not JSON: %s", firstLine(err.Error()))
		}
		// The SDK's words may quote the event, and what it holds must not reach a log.
		return nil, errors.New("it is not a CloudEvent in JSON: its attributes are not as CloudEvents 1.0 says")
	}
	return newEvent(&e, now)
}

// decode reads an event. The SDK panics at some that are none, such as one whose data_base64 is a number.
func decode(b []byte, e *event.Event) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the SDK cannot read it")
		}
	}()
	return json.Unmarshal(b, e)
}

func parseBatch(body []byte, now time.Time) ([]*store.Event, error) {
	if _, n := valuesIn(body); n > maxBatch {
		return nil, bad("reading the batch: it has %d events, want %d at most", n, maxBatch)
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, bad("reading the batch: want a JSON array of CloudEvents")
	}
	return parseEach(raw, func(b json.RawMessage) (*store.Event, error) { return parseStructured(b, now) })
}

// parseEach parses the events of a batch one by one.
func parseEach[T any](all []T, parse func(T) (*store.Event, error)) ([]*store.Event, error) {
	var received []*store.Event
	var rejected []string
	for i, one := range all {
		e, err := parse(one)
		if err == nil {
			received = append(received, e)
		} else if rejected = append(rejected, fmt.Sprintf("event %d of %d: %v", i+1, len(all), err)); len(rejected) == 3 {
			rejected = append(rejected, "and perhaps more")
		}
	}
	if len(rejected) > 0 {
		return received, bad("reading the batch: %s", strings.Join(rejected[:min(len(rejected), 4)], "; "))
	}
	return received, nil
}

func parseBinary(h http.Header, body []byte, now time.Time) (*store.Event, error) {
	e, err := readBinary(h, body)
	if err != nil {
		return nil, err
	}
	return newEvent(e, now)
}

// readBinary reads an event in binary mode. The SDK's own reader leaves the percent-encoding in, so the same event
// would differ by the mode in which it came.
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
