package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

const (
	// heartbeat is how often a stream shows that it is alive: proxies cut a connection that is silent for a
	// minute, and a failed write is how the stream learns that its reader has gone.
	heartbeat = 15 * time.Second
	// gather is how long a stream waits after an event for the next ones.
	gather = 50 * time.Millisecond
	// streamPage bounds what is read at once.
	streamPage = 200
)

// stream answers GET api/events/stream: what arrives, as server-sent events whose data is a [store.Item], with
// the filters of the list. It goes on behind Last-Event-ID, which browsers send when they come back, or behind
// the parameter after, which a list has; else it begins now. The event "reset" says that there is no such place
// (for example because a database in memory has gone): the reader has to read the list anew.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r)
	if err != nil {
		return err
	}
	f, err := parseFilter(q, s.now(), "after")
	if err != nil {
		return err
	}
	ctx, done := s.streams.add(r.Context())
	defer done()
	s.endStreamsWith(r)

	out := newEventWriter(w)
	changed := s.store.Changed() // before reading, so that no event comes between
	position := store.Position(cmp.Or(r.Header.Get("Last-Event-ID"), q.Get("after")))
	arrivals, err := s.store.Arrived(ctx, f, position, streamPage)
	reset := errors.Is(err, store.ErrPosition)
	if reset {
		arrivals, err = s.store.Arrived(ctx, f, "", streamPage)
	}
	if err != nil {
		out.limit()
		return err
	}

	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would wait for more
	hello := "retry: 2000\n: amp\n\n"
	if reset {
		hello += "event: reset\nid: " + string(arrivals.Next) + "\ndata: {}\n\n"
	}
	if r.Method == http.MethodHead || out.send(hello) != nil {
		return nil
	}
	defer func() {
		if context.Cause(ctx) == errReplaced {
			// A browser comes back by itself, and goes on where it was. Two that take each other's place must not do so
			// all the time.
			_ = out.send("retry: 60000\n: " + errReplaced.Error() + "\n\n")
		}
	}()
	alive := time.NewTicker(heartbeat)
	defer alive.Stop()
	for {
		if out.arrivals(arrivals) != nil {
			return nil
		}
		if !arrivals.More && !s.awaitEvents(ctx, changed, alive.C, out) {
			return nil
		}
		changed = s.store.Changed()
		arrivals, err = s.store.Arrived(ctx, f, arrivals.Next, streamPage)
		if err != nil {
			if ctx.Err() == nil {
				s.log.Error("audit cannot stream", "err", err)
			}
			return nil // the browser comes back, and goes on where it was
		}
	}
}

// awaitEvents returns true soon after events were stored, and false when the stream is to end.
func (s *Server) awaitEvents(ctx context.Context, changed <-chan struct{}, alive <-chan time.Time, out *eventWriter) bool {
	for {
		select {
		case <-changed:
			select {
			case <-time.After(gather):
			case <-s.closing: // what has arrived is still sent
			}
			return true
		case <-alive:
			if out.send(":\n\n") != nil {
				return false
			}
		case <-s.closing:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// eventWriter writes server-sent events.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// newEventWriter lifts the host's limits, which are for requests that end. It has to come before the first read of the store:
// that may take longer, and net/http ends the request when the limit for reading has passed, and an HTTP/2 stream when that for
// writing has. Not every host knows limits; then there are none to lift.
func newEventWriter(w http.ResponseWriter) *eventWriter {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Time{})
	return &eventWriter{w, control}
}

// limit gives the reader a time for what is written next.
func (e *eventWriter) limit() { _ = e.control.SetWriteDeadline(time.Now().Add(heartbeat)) }

func (e *eventWriter) send(text string) error {
	e.limit()
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return e.control.Flush()
}

func (e *eventWriter) arrivals(arrivals *store.Arrivals) error {
	if len(arrivals.Events) == 0 {
		return nil
	}
	var b strings.Builder
	for _, a := range arrivals.Events {
		line, err := json.Marshal(a.Item) // on one line, whatever is in it
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "id: %s\ndata: %s\n\n", a.Position, line)
	}
	return e.send(b.String())
}

// endStreamsWith lets the shutdown of the request's host end the streams. The host would wait for them otherwise.
func (s *Server) endStreamsWith(r *http.Request) {
	host, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return
	}
	if _, known := s.hosts.LoadOrStore(host, struct{}{}); !known {
		host.RegisterOnShutdown(s.endStreams)
	}
}
