package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/events"
)

// reader reads server-sent events over a real connection.
type reader struct {
	t      testing.TB
	lines  *bufio.Scanner
	header http.Header
	status int
}

func subscribe(t testing.TB, ctx context.Context, target string, header map[string]string) *reader {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return &reader{t, bufio.NewScanner(resp.Body), resp.Header, resp.StatusCode}
}

// next returns the next event's kind or id of an item, and its position; "" at the end.
func (r *reader) next() (what, position string) {
	kind := ""
	for r.lines.Scan() {
		line := r.lines.Text()
		if v, ok := strings.CutPrefix(line, "event: "); ok {
			kind = v
		} else if v, ok := strings.CutPrefix(line, "id: "); ok {
			position = v
		} else if v, ok := strings.CutPrefix(line, "data: "); ok {
			if kind != "" {
				return kind, position
			}
			var item store.Item
			if err := json.Unmarshal([]byte(v), &item); err != nil {
				r.t.Fatal(err)
			}
			return item.ID, position
		}
	}
	return "", ""
}

// hung is when the streams of a test end, whatever has happened. No test waits for it to pass.
const hung = 2 * time.Minute

// TestTheHostsLimitsEndNoStream also while its first read takes long: where a limit passes, net/http ends the request (that for
// reading) or an HTTP/2 stream (that for writing).
func TestTheHostsLimitsEndNoStream(t *testing.T) {
	t.Parallel()
	w := &limitedWriter{ResponseRecorder: httptest.NewRecorder(), read: start, write: start}
	reads := 0
	s := newWithStore(Config{Retention: Forever, Log: slog.New(slog.DiscardHandler)}, &watchedStore{newServer(t, Config{}).store, func() {
		if reads++; !w.read.IsZero() || !w.write.IsZero() {
			t.Errorf("read %d has the limits %s for reading and %s for writing", reads, w.read, w.write)
		}
	}}, time.Now)
	s.ServeHTTP(w, httptest.NewRequest("HEAD", "/api/events/stream", nil))
	if w.Code != http.StatusOK || reads == 0 {
		t.Errorf("%d after %d reads", w.Code, reads)
	}
	// An answer that is no stream has its end.
	*w = limitedWriter{ResponseRecorder: httptest.NewRecorder(), read: start, write: start}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.ServeHTTP(w, httptest.NewRequest("GET", "/api/events/stream", nil)); w.Code != http.StatusServiceUnavailable || w.write.IsZero() || w.Header().Get("X-Accel-Buffering") != "" {
		t.Errorf("with a store that does not answer: %d, %v, the limit %s", w.Code, w.Header(), w.write)
	}
}

// limitedWriter is of a host with limits.
type limitedWriter struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (l *limitedWriter) SetReadDeadline(at time.Time) error  { l.read = at; return nil }
func (l *limitedWriter) SetWriteDeadline(at time.Time) error { l.write = at; return nil }

// watchedStore tells of each read of what arrived.
type watchedStore struct {
	store.Store
	reads func()
}

func (w *watchedStore) Arrived(ctx context.Context, f store.Filter, after store.Position, limit int) (*store.Arrivals, error) {
	w.reads()
	return w.Store.Arrived(ctx, f, after, limit)
}

func TestStream(t *testing.T) { eachStore(t, checkStream) }

func checkStream(t *testing.T, newServer func(testing.TB, Config) *Server) {
	s := newServer(t, Config{})
	// As strict a host as there may be: a stream must outlive its limits.
	host := httptest.NewUnstartedServer(s)
	host.Config.ReadTimeout, host.Config.WriteTimeout = 2*time.Second, 2*time.Second // until the headers of a stream, too
	host.Start()
	defer host.Close()
	defer s.Close()
	post(t, s, ev{id: "before", at: 1})
	list := get[listed](t, s, "/api/events")
	ctx, cancel := context.WithTimeout(t.Context(), hung)
	defer cancel()

	all := subscribe(t, ctx, host.URL+"/x/api/events/stream?after="+string(list.After), nil)
	web := subscribe(t, ctx, host.URL+"/api/events/stream?namespace=web&after="+string(list.After), nil)
	if all.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("it is %s", all.header.Get("Content-Type"))
	}
	post(t, s, ev{id: "a", at: 2}, ev{id: "b", at: 3, data: events.Data{Namespace: "web"}})
	first, position := all.next()
	if second, _ := all.next(); first != "a" || second != "b" {
		t.Errorf("streamed %q, %q", first, second)
	}
	if got, _ := web.next(); got != "b" {
		t.Errorf("the filtered one streamed %q", got)
	}
	// An event may be late by its own time; it has just arrived all the same.
	post(t, s, ev{id: "late", at: 0})
	if got, _ := all.next(); got != "late" {
		t.Errorf("streamed %q", got)
	}
	// A reader that comes back goes on where it was.
	again := subscribe(t, ctx, host.URL+"/api/events/stream?after="+string(list.After), map[string]string{"Last-Event-ID": position})
	if got, _ := again.next(); got != "b" {
		t.Errorf("after coming back: %q", got)
	}
	// Unless that was another database.
	for _, position := range []string{"other-1", strings.Replace(string(list.After), "-1", "-999", 1), "x"} {
		if got, _ := subscribe(t, ctx, host.URL+"/api/events/stream", map[string]string{"Last-Event-ID": position}).next(); got != "reset" {
			t.Errorf("at %s: %q", position, got)
		}
	}
	// Without a place it begins now.
	now := subscribe(t, ctx, host.URL+"/api/events/stream", nil)
	post(t, s, ev{id: "fresh", at: 5})
	if got, _ := now.next(); got != "fresh" {
		t.Errorf("it begins with %q", got)
	}
	// The stream is quiet for longer than the host's limits.
	timer := time.NewTimer(2500 * time.Millisecond)
	<-timer.C
	post(t, s, ev{id: "patient", at: 6})
	if got, _ := now.next(); got != "patient" {
		t.Errorf("after the host's limits: %q", got)
	}
	// The end of the host is the end of the streams, or it would wait for them.
	if err := host.Config.Shutdown(ctx); err != nil {
		t.Errorf("shutting down: %v", err)
	}
	if got, _ := now.next(); got != "" {
		t.Errorf("after the end: %q", got)
	}
}

// TestTheOldestStreamMakesRoom: 64 silent readers do not keep a new one out. The oldest stream ends, and it ends cleanly.
func TestTheOldestStreamMakesRoom(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	host := httptest.NewServer(s)
	defer host.Close()
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), hung)
	defer cancel()
	var all []*reader
	for range maxStreams + 3 {
		r := subscribe(t, ctx, host.URL+"/api/events/stream", nil)
		if r.status != http.StatusOK {
			t.Fatalf("stream %d: %d", len(all)+1, r.status)
		}
		all = append(all, r)
	}
	for i, r := range all[:3] {
		text := ""
		for r.lines.Scan() {
			text += r.lines.Text() + "\n"
		}
		if r.lines.Err() != nil || !strings.HasSuffix(text, "retry: 60000\n: a newer stream took the place of this one\n\n") {
			t.Errorf("stream %d ended with %q, %v", i+1, text, r.lines.Err())
		}
	}
	post(t, s, ev{id: "fresh", at: 1})
	for i, r := range all[3:] {
		if got, _ := r.next(); got != "fresh" {
			t.Errorf("stream %d: %q", i+4, got)
		}
	}
	// Those that ended by themselves leave no place behind.
	cancel()
	for deadline := time.Now().Add(hung); ; time.Sleep(time.Millisecond) {
		s.streams.mu.Lock()
		n := len(s.streams.all)
		s.streams.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d streams are left", n)
		}
	}
}
