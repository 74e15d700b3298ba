package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/txn2/amp/endpoints/events"
)

const (
	// maxStreams bounds the pages that are open at one time. Each reads anew when something was stored.
	maxStreams = 64
	// heartbeat is how often a stream shows that it is alive: proxies cut what is silent for a minute, and it
	// is how a reader that has gone is noticed.
	heartbeat = 15 * time.Second
	// gather is how long a stream waits after an event for the next ones.
	gather = 50 * time.Millisecond
	// streamPage bounds what is read at once.
	streamPage = 200
)

// position names a place in the order of arrival. The epoch tells that order from another database's.
func (s *store) position(seq int64) string { return s.epoch + "-" + strconv.FormatInt(seq, 10) }

// stream answers GET api/events/stream: what arrives, as server-sent events whose data is an [Item], with
// the filters of the list. It goes on behind Last-Event-ID, which browsers send when they come back, or
// behind the parameter after, which a list has; else it begins now. The event "reset" says that there is no
// such place (a database in memory has gone): what is shown has to be read anew.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f, err := parseFilter(q, s.now(), "after")
	if err != nil {
		return err
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		return &badRequest{http.StatusServiceUnavailable, fmt.Sprintf("%d streams are open, which is the limit: close some, or read api/events instead", maxStreams)}
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s.untilShutdown(r)

	var want *wanted
	var newest int64
	err = s.store.read(ctx, func(tx *sql.Tx) (err error) {
		if want, err = f.resolve(ctx, tx); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, "SELECT v FROM meta WHERE k = 'seq'").Scan(&newest)
	})
	if err != nil {
		return err
	}
	last, reset := newest, false
	position := r.Header.Get("Last-Event-ID")
	if position == "" {
		position = q.Get("after")
	}
	if position != "" {
		epoch, seq, _ := strings.Cut(position, "-")
		n, err := strconv.ParseInt(seq, 10, 64)
		if reset = err != nil || epoch != s.store.epoch || n < 0 || n > newest; !reset {
			last = n
		}
	}

	control := http.NewResponseController(w)
	// A host's limits are for requests that end. Not every host knows them; then there are none to lift.
	_ = control.SetReadDeadline(time.Time{})
	send := func(text string) error {
		_ = control.SetWriteDeadline(time.Now().Add(heartbeat))
		if _, err := w.Write([]byte(text)); err != nil {
			return err
		}
		return control.Flush()
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would wait for more
	hello := "retry: 2000\n: amp\n\n"
	if reset {
		hello += "event: reset\nid: " + s.store.position(newest) + "\ndata: {}\n\n"
	}
	if r.Method == http.MethodHead || send(hello) != nil {
		return nil
	}

	alive := time.NewTicker(heartbeat)
	defer alive.Stop()
	for {
		changed := s.store.change() // before reading, lest what comes in between be missed
		text, read, err := s.arrived(ctx, want, &last)
		if err != nil {
			if ctx.Err() == nil {
				s.log.Error("audit cannot stream", "err", err)
			}
			return nil // the browser comes back, and goes on where it was
		}
		if text != "" && send(text) != nil {
			return nil
		}
		if read == streamPage {
			continue
		}
		for waiting := true; waiting; {
			select {
			case <-changed:
				select {
				case <-time.After(gather):
				case <-s.closing:
				}
				waiting = false
			case <-alive.C:
				if send(":\n\n") != nil {
					return nil
				}
			case <-s.closing:
				return nil
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// wantedNow resolves a filter on its own.
func (s *Server) wantedNow(ctx context.Context, f filter) (want *wanted, err error) {
	err = s.store.read(ctx, func(tx *sql.Tx) error {
		want, err = f.resolve(ctx, tx)
		return err
	})
	return want, err
}

// arrived returns what came behind last and is wanted, as it is sent, and moves last on.
func (s *Server) arrived(ctx context.Context, want *wanted, last *int64) (text string, read int, err error) {
	var b strings.Builder
	err = s.store.read(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT e.seq, e.id, e.pod, e.superseded, b.item FROM events e JOIN bodies b ON b.id = e.id WHERE e.seq > ? ORDER BY e.seq LIMIT ?", *last, streamPage)
		if err != nil {
			return err
		}
		type row struct {
			seq, key   int64
			pod        string
			superseded bool
			text       []byte
		}
		all, err := collect(rows, func(scan func(...any) error) (r row, err error) {
			return r, scan(&r.seq, &r.key, &r.pod, &r.superseded, &r.text)
		})
		if err != nil {
			return err
		}
		read = len(all)
		for _, r := range all {
			*last = r.seq
			item := new(Item)
			if err := json.Unmarshal(r.text, item); err != nil {
				return err
			}
			if r.superseded || !want.fits(r.key, r.pod, item) {
				continue
			}
			if item.Outcome == outcomeOf[events.Mutated] {
				if err := addSeen(ctx, tx, []*Item{item}); err != nil {
					return err
				}
			}
			line, err := json.Marshal(item) // on one line, whatever is in it
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "id: %s\ndata: %s\n\n", s.store.position(r.seq), line)
		}
		return nil
	})
	return b.String(), read, err
}

// untilShutdown lets the host's shutdown end the streams, which it would wait for in vain.
func (s *Server) untilShutdown(r *http.Request) {
	host, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return
	}
	if _, known := s.hosts.LoadOrStore(host, struct{}{}); !known {
		host.RegisterOnShutdown(func() { s.closeOnce.Do(func() { close(s.closing) }) })
	}
}
