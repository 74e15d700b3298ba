package emit

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/google/go-cmp/cmp"
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

// receiver is an event sink on HTTP that answers as its script says, one line a request, and 202 after that.
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

// hangUp closes the connection in place of an answer.
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

func TestEventsAreDelivered(t *testing.T) {
	r := newReceiver(t)
	w := open(t, EventsConfig{Sink: parseURL(t, r.URL), Extensions: map[string]string{"cluster": "größe a"}})
	var want []string
	for i := range 300 {
		rec := numbered(t, i)
		rec.Plan.Level = []review.Level{review.LevelMetadata, review.LevelPatch, review.LevelFull}[i%3]
		w.Record(t.Context(), rec)
		want = append(want, rec.Plan.Event)
	}
	left := aMutation(t)
	left.Plan.Event = ""
	w.Record(t.Context(), left)
	w.flush(t)
	w.want(t, 300, 0, 0, 0)
	if diff := cmp.Diff(want, r.ids()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if extensions := r.events[0].Extensions(); extensions["cluster"] != "größe a" || extensions["empty"] != nil || extensions["namespace"] != "jhub" {
		t.Error(extensions)
	}

	w.Record(t.Context(), numbered(t, 301))
	w.want(t, 300, 0, 1, 0)
	if !strings.Contains(w.log.String(), `msg="event dropped" event=uid-0301`) {
		t.Error(w.log)
	}
}

func TestWithoutASinkEachEventIsALine(t *testing.T) {
	w := open(t, EventsConfig{Extensions: map[string]string{"cluster": "a"}})
	for i := range 100 {
		rec := numbered(t, i)
		rec.Plan.Level = review.LevelFull
		w.Record(t.Context(), rec)
	}
	w.flush(t)
	w.want(t, 100, 0, 0, 0)
	lines := strings.Split(strings.TrimSuffix(w.out.String(), "\n"), "\n")
	for i, line := range lines {
		var e event.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		checkEvent(t, e)
		if e.ID() != fmt.Sprintf("uid-%04d", i) || e.Extensions()["cluster"] != "a" {
			t.Errorf("line %d: %s", i, e)
		}
	}
	if len(lines) != 100 {
		t.Errorf("%d lines", len(lines))
	}
}

func TestAnswersOfTheSink(t *testing.T) {
	for name, test := range map[string]struct {
		script                      []func(http.ResponseWriter, *http.Request)
		delivered, retried, dropped int
		log                         string
	}{
		"200":                        {script: nil, delivered: 1},
		"204":                        {script: []func(http.ResponseWriter, *http.Request){status(204)}, delivered: 1},
		"503, then well":             {script: []func(http.ResponseWriter, *http.Request){status(503), status(503)}, delivered: 1, retried: 2, log: "answered 503"},
		"too much to do":             {script: []func(http.ResponseWriter, *http.Request){status(429, "Retry-After", "0")}, delivered: 1, retried: 1},
		"request timeout":            {script: []func(http.ResponseWriter, *http.Request){status(408)}, delivered: 1, retried: 1},
		"too early":                  {script: []func(http.ResponseWriter, *http.Request){status(425)}, delivered: 1, retried: 1},
		"500":                        {script: []func(http.ResponseWriter, *http.Request){status(500)}, delivered: 1, retried: 1},
		"the connection breaks":      {script: []func(http.ResponseWriter, *http.Request){hangUp}, delivered: 1, retried: 1, log: "closed the connection without an answer"},
		"400 will never succeed":     {script: []func(http.ResponseWriter, *http.Request){status(400)}, dropped: 1, log: `msg="event dropped" event=uid-0000 sink=URL cause="answered 400"`},
		"401":                        {script: []func(http.ResponseWriter, *http.Request){status(401)}, dropped: 1, log: "answered 401"},
		"404":                        {script: []func(http.ResponseWriter, *http.Request){status(404)}, dropped: 1, log: "answered 404"},
		"413":                        {script: []func(http.ResponseWriter, *http.Request){status(413)}, dropped: 1, log: "answered 413"},
		"a redirect is not followed": {script: []func(http.ResponseWriter, *http.Request){status(307, "Location", "/")}, dropped: 1, log: "answered 307"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, test.script...)
			w := open(t, EventsConfig{Sink: parseURL(t, strings.Replace(r.URL, "//", "//user:s3cret@", 1)+"?s3cret")})
			w.Record(t.Context(), numbered(t, 0))
			w.flush(t)
			w.want(t, test.delivered, test.retried, test.dropped, 0)
			if log := strings.ReplaceAll(w.log.String(), r.URL, "URL"); !strings.Contains(log, test.log) || strings.Contains(log, "s3cret") {
				t.Errorf("log, want %s:\n%s", test.log, log)
			}
			if tries, want := r.tries.Load(), int64(test.retried+1); tries != want {
				t.Errorf("%d tries, want %d", tries, want)
			}
		})
	}
}

func TestUserinfoAndQueryOfTheSink(t *testing.T) {
	var user, password, query, path string
	r := newReceiver(t, func(w http.ResponseWriter, req *http.Request) {
		user, password, _ = req.BasicAuth()
		query, path = req.URL.RawQuery, req.URL.Path
	})
	w := open(t, EventsConfig{Sink: parseURL(t, strings.Replace(r.URL, "//", "//user:s3cret@", 1)+"/a?b=c")})
	w.Record(t.Context(), numbered(t, 0))
	w.flush(t)
	if got := []string{user, password, query, path}; !slices.Equal(got, []string{"user", "s3cret", "b=c", "/a"}) {
		t.Error(got)
	}
}

func TestCACerts(t *testing.T) {
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(r.handler(t))
	r.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	r.EnableHTTP2 = true
	r.StartTLS()
	defer r.Close()
	ca := x509.NewCertPool()
	ca.AddCert(r.Certificate())
	w := open(t, EventsConfig{Sink: parseURL(t, r.URL), Roots: ca})
	if _, err := w.Deliver(t.Context(), required(t, 0)); err != nil {
		t.Error(err)
	}

	w = open(t, EventsConfig{Sink: parseURL(t, r.URL)})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	sent, err := w.Deliver(ctx, required(t, 0))
	if err == nil || !strings.Contains(err.Error(), "cannot be reached: tls: failed to verify certificate") {
		t.Error(err)
	}
	if sent {
		t.Error("sent")
	}
}

func TestRequired(t *testing.T) {
	script := func(s ...func(http.ResponseWriter, *http.Request)) []func(http.ResponseWriter, *http.Request) {
		return s
	}
	always := func(one func(http.ResponseWriter, *http.Request)) []func(http.ResponseWriter, *http.Request) {
		return slices.Repeat(script(one), 100)
	}
	for name, test := range map[string]struct {
		script []func(http.ResponseWriter, *http.Request)
		want   string // the error; empty: none
		tries  int    // 0: several
	}{
		"the sink takes it":                   {nil, "", 1},
		"the sink takes it at the second try": {script(status(503)), "", 2},
		"the connection breaks once":          {script(hangUp), "", 2},
		"503 all the time":                    {always(status(503)), "event sink URL/x answered 503", 0},
		"the connection breaks all the time":  {always(hangUp), "event sink URL/x closed the connection without an answer", 0},
		"the sink wants too long a rest":      {script(status(503, "Retry-After", "30")), "event sink URL/x answered 503", 1},
		"it will never be taken":              {script(status(400)), "event sink URL/x answered 400", 1},
		"a redirect":                          {script(status(308, "Location", "/y")), "event sink URL/x answered 308", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, test.script...)
			w := open(t, EventsConfig{Sink: parseURL(t, strings.Replace(r.URL, "//", "//user:s3cret@", 1)+"/x?s3cret")})
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			rec := required(t, 0)
			start := time.Now()
			sent, err := w.Deliver(ctx, rec)
			if time.Since(start) > 2*time.Second {
				t.Errorf("took %s", time.Since(start))
			}
			if (err == nil) != (test.want == "") || err != nil && strings.ReplaceAll(err.Error(), r.URL, "URL") != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
			tries := int(r.tries.Load())
			if test.tries != 0 && tries != test.tries || test.tries == 0 && tries < 3 {
				t.Errorf("%d tries, want %d", tries, test.tries)
			}
			if err != nil {
				if !sent {
					t.Error("not sent")
				}
				w.want(t, 0, tries-1, 0, 0) // none is dropped: what it tells of is not to be
				return
			}
			w.Record(t.Context(), rec) // has been delivered
			w.flush(t)
			w.want(t, 1, test.tries-1, 0, 0)
			if diff := cmp.Diff([]string{"uid-0000"}, r.ids()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequiredWithoutAnAnswer(t *testing.T) {
	closed := make(chan struct{})
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-closed })
	defer close(closed)
	w := open(t, EventsConfig{Sink: parseURL(t, r.URL)})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	rec := required(t, 1)
	sent, err := w.Deliver(ctx, rec)
	if err == nil || !strings.HasPrefix(err.Error(), "event sink "+r.URL+" gave no answer within ") {
		t.Fatal(err)
	}
	if !sent {
		t.Error("not sent: it may have arrived")
	}

	// The verdict that supersedes it has an id of its own, and goes as any other.
	rec.Plan.Event += "/final"
	rec.Verdict = review.Verdict{Outcome: review.OutcomeRejected, Message: "amp: " + err.Error()}
	rec.Run.Err, rec.Run.Patch, rec.Run.Stamp = err, nil, nil
	if err := answered(t.Context(), w.Recorder, rec); err != nil {
		t.Error(err)
	}
	w.flush(t)
	w.want(t, 1, 0, 0, 0)
	if diff := cmp.Diff([]string{"uid-0001/final"}, r.ids()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestRequiredWithoutAConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	w := open(t, EventsConfig{Sink: parseURL(t, "http://"+listener.Addr().String())})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	sent, err := w.Deliver(ctx, required(t, 1))
	if err == nil || !strings.Contains(err.Error(), "cannot be reached: dial tcp 127.0.0.1:") {
		t.Error(err)
	}
	if sent {
		t.Error("sent")
	}

	over, cancel := context.WithCancel(t.Context())
	cancel()
	r := newReceiver(t)
	w = open(t, EventsConfig{Sink: parseURL(t, r.URL)})
	sent, err = w.Deliver(over, required(t, 1))
	if err == nil || sent || r.tries.Load() != 0 {
		t.Errorf("sent %t, error %v, although there was no time", sent, err)
	}
}

// TestADeadConnectionIsNoFailure: a sink that ended while its connections were kept costs no mutation, for the
// request is repeated on a fresh one.
func TestADeadConnectionIsNoFailure(t *testing.T) {
	r := newReceiver(t, status(202), hangUp)
	w := open(t, EventsConfig{Sink: parseURL(t, r.URL)})
	for i := range 2 {
		if _, err := w.Deliver(t.Context(), required(t, i)); err != nil {
			t.Error(err)
		}
	}
	w.want(t, 2, 0, 0, 0)
	if tries := r.tries.Load(); tries != 3 {
		t.Errorf("%d requests", tries)
	}
}

// TestRequiredIsOfMutationsOnly: the events of other records go through the queue, and a dry run has none.
func TestRequiredIsOfMutationsOnly(t *testing.T) {
	r := newReceiver(t)
	w := open(t, EventsConfig{Sink: parseURL(t, r.URL)})
	unchanged := required(t, 1)
	unchanged.Verdict = review.Verdict{Outcome: review.OutcomeUnchanged}
	dryRun := required(t, 2)
	dryRun.Plan.Event = ""
	for _, rec := range []*review.Record{unchanged, dryRun} {
		if rec.EventFirst() {
			t.Errorf("the event %q of a review that ended %s must come first", rec.Plan.Event, rec.Verdict.Outcome)
		}
		w.Record(t.Context(), rec)
	}
	w.flush(t)
	w.want(t, 1, 0, 0, 0)

	if rec := required(t, 3); !rec.EventFirst() {
		t.Error("the event of a mutation need not come first")
	}
	if rec := numbered(t, 4); rec.EventFirst() {
		t.Error("the event of a mutation must come first although that is not required")
	}
}

// TestEventsOff: without events there is nothing to wait for, and nothing that could be delivered.
func TestEventsOff(t *testing.T) {
	w := &Recorder{Metrics: NewMetrics(prometheus.NewRegistry(), "", func() int64 { return 0 }), Log: slog.New(slog.DiscardHandler)}
	rec := numbered(t, 1)
	w.Record(t.Context(), rec)
	w.Events.Flush(t.Context())
	if allocs := testing.AllocsPerRun(100, func() { w.Record(t.Context(), rec) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if sent, err := w.Deliver(t.Context(), required(t, 1)); err == nil || sent {
		t.Errorf("sent %t, error %v", sent, err)
	}
}

// script is a sink in the same bubble: it answers as it is told and keeps the time of each try.
type script struct {
	sink
	mu     sync.Mutex
	start  time.Time
	tries  []string // time since start, id
	taken  []string
	answer func(ctx context.Context, id string, try int) verdict
}

func (s *script) send(ctx context.Context, m *message) verdict {
	s.mu.Lock()
	s.tries = append(s.tries, time.Since(s.start).Round(time.Millisecond).String()+" "+m.id)
	n := len(s.tries)
	s.mu.Unlock()
	v := s.answer(ctx, m.id, n)
	if v.taken {
		s.mu.Lock()
		s.taken = append(s.taken, m.id)
		s.mu.Unlock()
	}
	return v
}

// scripted is a world whose sink does as answer says.
func scripted(t testing.TB, workers int, answer func(ctx context.Context, id string, try int) verdict) (*world, *script) {
	w := &world{log: &buffer{}}
	metrics := NewMetrics(prometheus.NewPedanticRegistry(), "v1", func() int64 { return 0 })
	s := &script{start: time.Now(), answer: answer}
	es := &Events{to: s, name: "http://sink", source: aSource, metrics: metrics, log: slog.New(slog.NewTextHandler(w.log, nil)), queue: newQueue(metrics.setQueue)}
	w.Recorder = &Recorder{Metrics: metrics, Log: slog.New(slog.DiscardHandler), Events: es}
	es.start(workers)
	return w, s
}

var (
	taken  = verdict{taken: true}
	failed = verdict{again: true, cause: "answered 500"}
)

// hang takes an event after d, unless it is called off.
func hang(ctx context.Context, d time.Duration) verdict {
	select {
	case <-ctx.Done():
		return verdict{again: true, cause: "called off"}
	case <-time.After(d):
		return taken
	}
}

// TestBackoff: twice as long each time, up to a bound, one try at a time however many workers there are; the
// sink's own wish goes before; one success frees all.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := scripted(t, 8, func(ctx context.Context, _ string, try int) verdict {
			switch {
			case try <= 8:
				hang(ctx, time.Millisecond) // all eight are under way by now
				return failed
			case try == 12:
				return verdict{again: true, busy: true, after: 42 * time.Second, cause: "answered 503"}
			case try <= 20:
				return failed
			}
			return taken
		})
		for i := range 10 {
			w.Record(t.Context(), numbered(t, i))
		}
		synctest.Wait()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		w.want(t, 10, 20, 0, 0)

		var at []time.Duration
		for _, try := range s.tries {
			text, _, _ := strings.Cut(try, " ")
			d, err := time.ParseDuration(text)
			if err != nil {
				t.Fatal(err)
			}
			at = append(at, d)
		}
		for i, want := range map[int][2]time.Duration{ // the wait before a try, at least and at most
			0: {0, 0}, 7: {0, 0},
			8:  {51 * time.Millisecond, 101 * time.Millisecond}, // the eight are one failure
			9:  {100 * time.Millisecond, 200 * time.Millisecond},
			10: {200 * time.Millisecond, 400 * time.Millisecond},
			11: {400 * time.Millisecond, 800 * time.Millisecond},
			12: {42 * time.Second, 42 * time.Second},
			15: {5 * time.Second, 10 * time.Second},
			19: {5 * time.Second, 10 * time.Second},
			20: {5 * time.Second, 10 * time.Second},
			21: {0, 0}, 29: {0, 0},
		} {
			got := at[i] - at[max(i-1, 0)]
			if got < want[0] || got > want[1] {
				t.Errorf("wait before try %d: %s, want %s; all: %v", i, got, want, s.tries)
			}
		}
		log := w.log.String()
		if strings.Count(log, "event sink fails") != 1 || strings.Count(log, "takes events again") != 1 {
			t.Error(log)
		}
		w.flush(t)
	})
}

// TestAnEventThatTheSinkChokesOn neither stops the others nor is tried for ever.
func TestAnEventThatTheSinkChokesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := scripted(t, 8, func(_ context.Context, id string, _ int) verdict {
			if id == "uid-0000" {
				return failed
			}
			return taken
		})
		for i := range 200 {
			w.Record(t.Context(), numbered(t, i))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		w.want(t, 199, int(w.counts()[1]), 1, 0)
		if len(s.taken) != 199 || !strings.Contains(w.log.String(), `event=uid-0000 sink=http://sink cause="answered 500 every time, while other events were taken"`) {
			t.Error(len(s.taken), w.log)
		}
		w.flush(t)
	})
}

// TestABusySinkLosesNothing: a sink that takes one event a second and turns the others away has them all in
// the end.
func TestABusySinkLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last time.Time
		var mu sync.Mutex
		w, s := scripted(t, 8, func(context.Context, string, int) verdict {
			mu.Lock()
			defer mu.Unlock()
			if time.Since(last) < time.Second {
				return verdict{again: true, busy: true, cause: "answered 429"}
			}
			last = time.Now()
			return taken
		})
		for i := range 300 {
			w.Record(t.Context(), numbered(t, i))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if c := w.counts(); c[0] != 300 || c[2] != 0 || len(s.taken) != 300 {
			t.Error(c)
		}
		w.flush(t)
	})
}

// TestOutage: the sink is down for a while, then back. All is delivered up to the bound, the rest counted.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w, s := scripted(t, 8, func(context.Context, string, int) verdict {
			if time.Since(start) < time.Hour {
				return verdict{again: true, cause: "cannot be reached"}
			}
			return taken
		})
		for i := range 1100 {
			w.Record(t.Context(), numbered(t, i))
			synctest.Wait()
		}
		if c := w.counts(); c[0] != 0 || c[2] != 1100-1024 || c[3] != 1024 {
			t.Error(c)
		}
		if n := strings.Count(w.log.String(), `cause="the queue is full"`); n != 76 {
			t.Errorf("%d events are logged as dropped", n)
		}
		time.Sleep(time.Hour + maxBackoff)
		synctest.Wait()
		if c := w.counts(); c[0] != 1024 || c[2] != 76 || c[3] != 0 || len(s.taken) != 1024 {
			t.Error(c)
		}
		w.flush(t)
	})
}

func TestTheQueueIsBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := scripted(t, 8, func(ctx context.Context, _ string, _ int) verdict { return hang(ctx, time.Minute) })
		big := json.RawMessage(`{"spec":"` + strings.Repeat("x", 1<<20) + `"}`)
		for i := range 20 {
			rec := numbered(t, i)
			rec.Plan.Level, rec.Review.Pod = review.LevelFull, big
			w.Record(t.Context(), rec)
			synctest.Wait() // becomes a message
		}
		// A record of n bytes of Pod counts 2n, its message n: there must be room for another record.
		if c := w.counts(); c[3] != 14 || c[2] != 6 {
			t.Error(c)
		}
		if q := w.Events.queue; q.bytes > maxQueuedBytes || q.bytes < 14<<20 {
			t.Errorf("%d bytes", q.bytes)
		}
		w.flush(t)
		if q := w.Events.queue; q.bytes != 0 {
			t.Errorf("%d bytes are left", q.bytes)
		}
	})
}

func TestFlush(t *testing.T) {
	t.Run("what is queued is delivered, whatever the sink asked for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, s := scripted(t, 8, func(ctx context.Context, _ string, try int) verdict {
				if try <= 3 {
					return verdict{again: true, busy: true, after: time.Minute, cause: "answered 503"}
				}
				return hang(ctx, 10*time.Millisecond)
			})
			for i := range 100 {
				w.Record(t.Context(), numbered(t, i))
			}
			time.Sleep(time.Second)
			start := time.Now()
			w.flush(t)
			if took := time.Since(start); took > 2*time.Second || len(s.taken) != 100 {
				t.Errorf("%d after %s", len(s.taken), took)
			}
		})
	})
	t.Run("what cannot be delivered in time is dropped", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, _ := scripted(t, 8, func(context.Context, string, int) verdict { return failed })
			for i := range 100 {
				w.Record(t.Context(), numbered(t, i))
			}
			start := time.Now()
			w.flush(t)
			if took := time.Since(start); took != 10*time.Second {
				t.Error(took)
			}
			if c := w.counts(); c[0] != 0 || c[2] != 100 || c[3] != 0 {
				t.Error(c)
			}
			for i := range 100 {
				if !strings.Contains(w.log.String(), fmt.Sprintf(`event=uid-%04d sink=http://sink cause="amp ended`, i)) {
					t.Errorf("%d is not in the log", i)
				}
			}
		})
	})
	t.Run("a request under way is called off in the end", func(t *testing.T) {
		closed := make(chan struct{})
		r := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-closed })
		defer close(closed)
		w := open(t, EventsConfig{Sink: parseURL(t, r.URL)})
		w.Record(t.Context(), numbered(t, 0))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		w.Events.Flush(ctx)
		w.want(t, 0, 0, 1, 0)
	})
}

// TestABlockedOutput: nothing can call off a write to a pipe that nobody reads, and amp ends nevertheless.
func TestABlockedOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, output := io.Pipe()
		w, _ := scripted(t, 1, nil)
		w.Events.to = writer{output}
		for i := range 10 {
			w.Record(t.Context(), numbered(t, i))
		}
		start := time.Now()
		w.flush(t)
		if took := time.Since(start); took != 10*time.Second+flushGrace {
			t.Error(took)
		}
		w.want(t, 0, 0, 10, 0)
		reader.Close() // lets the worker go
		synctest.Wait()
		if c := w.counts(); c[3] != 0 {
			t.Error(c)
		}
	})
}

// TestRecordNeverWaits: not for a sink that hangs, nor for a full queue.
func TestRecordNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := scripted(t, 8, func(ctx context.Context, _ string, _ int) verdict { return hang(ctx, time.Hour) })
		start := time.Now()
		for i := range 5000 {
			w.Record(t.Context(), numbered(t, i))
		}
		if time.Since(start) != 0 { // in a bubble time passes only while everybody waits
			t.Error(time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w.Events.Flush(ctx)
	})
}

type panicking struct{ *script }

func (panicking) encode(*event.Event) (*message, error) { panic("s3cret") }

func TestAPanicCostsOneEvent(t *testing.T) {
	w, s := scripted(t, 1, nil)
	w.Events.to = panicking{s}
	w.Events.log = slog.New(slog.NewTextHandler(w.log, nil))
	if sent, err := w.Deliver(t.Context(), required(t, 0)); err == nil || err.Error() != "an error in amp itself: making the event: string" || sent {
		t.Error(sent, err)
	}
	w.flush(t)
	if n := testutil.ToFloat64(w.Metrics.panics); n != 1 || strings.Contains(w.log.String(), "s3cret") {
		t.Error(n, w.log)
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	r := newReceiver(t, slices.Repeat([]func(http.ResponseWriter, *http.Request){status(503)}, 5)...)
	w := open(t, EventsConfig{Sink: parseURL(t, r.URL)})
	var delivered atomic.Int64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				rec := required(t, 100*g+i)
				if i%2 == 0 {
					rec.Verdict = review.Verdict{Outcome: review.OutcomeUnchanged}
				}
				if err := answered(t.Context(), w.Recorder, rec); err != nil {
					t.Error(err)
				}
				delivered.Add(1)
			}
		})
	}
	wg.Wait()
	w.flush(t)
	if ids := r.ids(); len(ids) != 160 || len(slices.Compact(ids)) != 160 || delivered.Load() != 160 {
		t.Errorf("%d events", len(ids))
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, " 7 ": 7 * time.Second, "-1": 0, "x": 0, "3600": time.Minute, "99999999999999999999": 0, "18446744073709551615": time.Minute,
		"Mon, 23 Nov 2026 10:00:05 GMT": 5 * time.Second, "Mon, 23 Nov 2026 09:00:05 GMT": 0, "Tue, 24 Nov 2026 09:00:05 GMT": time.Minute,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestTheAccountIsOfRealMemory measures what records and messages keep.
func TestTheAccountIsOfRealMemory(t *testing.T) {
	body, err := os.ReadFile("../review/testdata/jupyterhub-user.review.json")
	if err != nil {
		t.Fatal(err)
	}
	const n = 500
	var records [n]*review.Record
	var messages [n]*message
	heap := func() int64 {
		for range 3 { // a sync.Pool keeps its objects for one more collection: other tests filled some
			runtime.GC()
		}
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	check := func(what string, kept, accounted int64) {
		t.Logf("%s: %d bytes kept, %d accounted for", what, kept/n, accounted/n)
		if accounted < kept*8/10 || accounted > kept*3/2 {
			t.Errorf("%s: %d bytes kept, %d accounted for", what, kept/n, accounted/n)
		}
	}

	before, accounted := heap(), int64(0)
	for i := range records {
		r, err := review.Read(bytes.Clone(body), review.Mutate)
		if err != nil {
			t.Fatal(err)
		}
		ops := []review.Op{{Op: "add", Path: "/spec/volumes/-", Value: json.RawMessage(`{"name":"` + strings.Repeat("x", 300) + `"}`)}}
		records[i] = &review.Record{Review: r, Run: review.Run{Steps: []review.Step{{Ops: ops}}, Patch: ops}}
		accounted += recordSize(records[i])
	}
	check("records", heap()-before, accounted)

	before, accounted = heap(), 0
	for i := range messages {
		rec := aMutation(t)
		rec.Review = records[i].Review
		e, err := newEvent(rec, aSource, nil)
		if err != nil {
			t.Fatal(err)
		}
		if messages[i], err = (&sink{}).encode(&e); err != nil {
			t.Fatal(err)
		}
		accounted += messages[i].size()
	}
	check("messages", heap()-before, accounted)
	runtime.KeepAlive(records)
	runtime.KeepAlive(messages)
}

func BenchmarkRecord(b *testing.B) {
	for _, mode := range []string{"off", "async", "required"} {
		b.Run(mode, func(b *testing.B) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				_, _ = io.Copy(io.Discard, req.Body)
				w.WriteHeader(http.StatusAccepted)
			}))
			defer server.Close()
			w := &Recorder{Metrics: NewMetrics(prometheus.NewRegistry(), "", func() int64 { return 0 }), Log: slog.New(slog.DiscardHandler)}
			if mode != "off" {
				w.Events = NewEvents(EventsConfig{Sink: parseURL(b, server.URL), Source: aSource, Metrics: w.Metrics, Log: w.Log})
			}
			rec := aReview(b)
			rec.Plan.Event, rec.Plan.Required = strconv.Itoa(1), mode == "required"
			b.ReportAllocs()
			for b.Loop() {
				if err := answered(b.Context(), w, rec); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			w.Events.Flush(b.Context())
			b.ReportMetric(testutil.ToFloat64(w.Metrics.events[eventDropped])/float64(b.N), "dropped/op")
		})
	}
}
