package emit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/txn2/amp/internal/review"
)

// buffer is a log that several goroutines write to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// world is a Recorder with all that it writes to.
type world struct {
	*Recorder
	log, out *buffer
}

// counts are the events delivered, retried and dropped, and how many the queue holds.
func (w *world) counts() [4]int {
	m := w.Metrics
	return [4]int{int(testutil.ToFloat64(m.events[eventDelivered])), int(testutil.ToFloat64(m.events[eventRetried])),
		int(testutil.ToFloat64(m.events[eventDropped])), int(testutil.ToFloat64(m.eventsQueue))}
}

func (w *world) want(t testing.TB, delivered, retried, dropped, queue int) {
	t.Helper()
	if got, want := w.counts(), [4]int{delivered, retried, dropped, queue}; got != want {
		t.Errorf("delivered, retried, dropped, queue: %v, want %v; log:\n%s", got, want, w.log)
	}
}

// open makes a Recorder and flushes it at the test's end.
func open(t testing.TB, config EventsConfig) *world {
	t.Helper()
	w := &world{log: &buffer{}, out: &buffer{}}
	metrics := NewMetrics(prometheus.NewPedanticRegistry(), "v1", func() int64 { return 0 })
	config.Source, config.Output, config.UserAgent, config.Metrics, config.Log = *types.ParseURIRef("https://amp.example/a"), w.out, "amp/v1", metrics, slog.New(slog.NewTextHandler(w.log, nil))
	es := NewEvents(config)
	w.Recorder = &Recorder{Metrics: metrics, Log: slog.New(slog.DiscardHandler), Events: es}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		es.Flush(ctx)
	})
	return w
}

func parseURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// answered does what the proxy does before and after an answer: it delivers the event if that must come first, and then
// records rec.
func answered(ctx context.Context, to *Recorder, rec *review.Record) error {
	if rec.EventFirst() {
		if _, err := to.Deliver(ctx, rec); err != nil {
			return err
		}
	}
	to.Record(ctx, rec)
	return nil
}

func (w *world) flush(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	w.Events.Flush(ctx)
}

// receiver is an HTTP event sink. It answers each request with the next entry of its script, and then with 202.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	script []func(http.ResponseWriter, *http.Request)
	events []event.Event // taken, in the order they came
	tries  atomic.Int64
}

func status(code int, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, strings.Repeat("x", 1000))
	}
}

// hangUp closes the connection instead of answering.
func hangUp(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }

func newReceiver(t testing.TB, script ...func(http.ResponseWriter, *http.Request)) *receiver {
	t.Helper()
	r := &receiver{script: script}
	r.Server = httptest.NewServer(r.handler(t))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) handler(t testing.TB) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		for key, values := range req.Header {
			if decoded, err := url.PathUnescape(values[0]); err == nil && strings.HasPrefix(key, "Ce-") {
				req.Header.Set(key, decoded)
			}
		}
		e, err := cehttp.NewEventFromHTTPRequest(req)
		if err != nil {
			t.Error(err)
		} else {
			checkEvent(t, *e)
		}
		if _, ok := req.Header["Idempotency-Key"]; ok || req.Header.Get("User-Agent") != "amp/v1" {
			t.Errorf("header %v", req.Header)
		}
		r.tries.Add(1)
		r.mu.Lock()
		var answer func(http.ResponseWriter, *http.Request)
		if len(r.script) > 0 {
			answer, r.script = r.script[0], r.script[1:]
		}
		r.mu.Unlock()
		if answer != nil {
			answer(w, req)
			return
		}
		r.mu.Lock()
		r.events = append(r.events, *e)
		r.mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
	}
}

// ids are those of the events taken, sorted.
func (r *receiver) ids() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for _, e := range r.events {
		ids = append(ids, e.ID())
	}
	slices.Sort(ids)
	return ids
}

func numbered(t testing.TB, i int) *review.Record {
	rec := aMutation(t)
	rec.Plan.Event = fmt.Sprintf("uid-%04d", i)
	return rec
}

// required is a record whose event must come first.
func required(t testing.TB, i int) *review.Record {
	rec := numbered(t, i)
	rec.Plan.Required = true
	return rec
}

// script is a sink in the test's bubble. It answers as its function says, and keeps the time of each try.
type script struct {
	sink
	mu     sync.Mutex
	start  time.Time
	tries  []string // time since start, id
	taken  []string
	answer func(ctx context.Context, id string, try int) attempt
}

func (s *script) send(ctx context.Context, messages ...*message) attempt {
	var ids []string
	for _, m := range messages {
		ids = append(ids, m.id)
	}
	s.mu.Lock()
	s.tries = append(s.tries, time.Since(s.start).Round(time.Millisecond).String()+" "+strings.Join(ids, "+"))
	n := len(s.tries)
	s.mu.Unlock()
	v := s.answer(ctx, strings.Join(ids, "+"), n)
	if v.taken {
		s.mu.Lock()
		s.taken = append(s.taken, ids...)
		s.mu.Unlock()
	}
	return v
}

// scripted is a world whose sink does as answer says.
func scripted(t testing.TB, workers int, answer func(ctx context.Context, id string, try int) attempt) (*world, *script) {
	w := &world{log: &buffer{}}
	metrics := NewMetrics(prometheus.NewPedanticRegistry(), "v1", func() int64 { return 0 })
	s := &script{start: time.Now(), answer: answer}
	es := &Events{to: s, name: "http://sink", source: aSource, metrics: metrics, log: slog.New(slog.NewTextHandler(w.log, nil)), queue: newQueue(metrics.setQueue)}
	w.Recorder = &Recorder{Metrics: metrics, Log: slog.New(slog.DiscardHandler), Events: es}
	es.start(workers)
	return w, s
}

var (
	taken  = attempt{taken: true}
	failed = attempt{again: true, cause: "answered 500"}
)

// hang accepts an event after d, unless the request is cancelled.
func hang(ctx context.Context, d time.Duration) attempt {
	select {
	case <-ctx.Done():
		return attempt{again: true, cause: "called off"}
	case <-time.After(d):
		return taken
	}
}
