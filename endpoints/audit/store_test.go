package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/events"
)

func TestEventsAreTakenInEveryMode(t *testing.T) {
	s := newServer(t, Config{})
	e := ev{id: "é %1", at: 1, data: events.Data{Namespace: "jhub", Pod: events.Pod{Name: "jupyter-alice"}}}
	var whole struct{ Data json.RawMessage }
	if err := json.Unmarshal(e.json(t), &whole); err != nil {
		t.Fatal(err)
	}
	binary := map[string]string{
		"Content-Type": "application/json", "ce-specversion": "1.0", "ce-id": "%C3%A9%20%251", "ce-source": source, "ce-type": events.Mutated,
		"ce-time": start.Add(time.Second).Format(time.RFC3339Nano), "ce-subject": "jhub/jupyter-alice", "ce-namespace": "jhub", "ce-outcome": "mutated",
		"ce-traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
	// One event, however it comes and however often.
	for _, target := range []string{"/", "/audit", "/audit/events/in"} {
		if w := do(t, s, "POST", target, binary, whole.Data); w.Code != http.StatusNoContent || w.Body.Len() > 0 {
			t.Fatalf("binary: %d %s", w.Code, w.Body)
		}
	}
	if w := do(t, s, "POST", "/", map[string]string{"Content-Type": structured + "; charset=utf-8"}, e.json(t)); w.Code != http.StatusNoContent {
		t.Fatalf("structured: %d %s", w.Code, w.Body)
	}
	post(t, s, e, e, ev{id: "other"})
	if l := get[listed](t, s, "/api/events"); l.ids() != "é %1 other" {
		t.Errorf("there is %q", l.ids())
	}
	d := get[Detail](t, s, "/api/events/%C3%A9%20%251")
	if !strings.Contains(string(d.Event), `"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"`) || !strings.Contains(string(d.Event), `"subject":"jhub/jupyter-alice"`) {
		t.Errorf("the raw event is %s", d.Event)
	}
}

func TestWhatIsNoEventIsRefusedForGood(t *testing.T) {
	s := newServer(t, Config{})
	good := string(ev{id: "a"}.json(t))
	with := func(old, fresh string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in %s", old, good)
		}
		return strings.Replace(good, old, fresh, 1)
	}
	for name, tc := range map[string]struct {
		contentType, body string
		status            int
		want              string
	}{
		"no event at all":            {"application/json", "{}", 415, "want CloudEvents: with ce- headers (binary mode), or as application/cloudevents+json"},
		"another encoding":           {"application/cloudevents+protobuf", "x", 415, "want application/cloudevents+json"},
		"no JSON":                    {structured, "<x>", 400, "reading the event: it is no"},
		"an unknown type":            {structured, with(events.Mutated, "com.example.other"), 400, `its type is "com.example.other", want one of com.txn2.amp.pod.mutated.v1`},
		"no id":                      {structured, with(`"id":"a"`, `"id":""`), 400, "it is no valid CloudEvent 1.0"},
		"an older specversion":       {structured, with(`"specversion":"1.0"`, `"specversion":"0.3"`), 400, "its specversion is"},
		"a bad time":                 {structured, with(`"time":"2026`, `"time":"last`), 400, "it is no CloudEvent in JSON"},
		"a number for a list":        {structured, with(`"endpoints":[`, `"endpoints":7,"other":[`), 400, "its data has a number for endpoints"},
		"a number for a name":        {structured, with(`"name":"pod-a"`, `"name":7`), 400, "pod.name"},
		"no namespace":               {structured, with(`"namespace":"jhub","pod"`, `"pod"`), 400, "its data has no namespace"},
		"no Pod":                     {structured, with(`{"name":"pod-a"}`, `{}`), 400, "its data names no Pod"},
		"an outcome unlike its type": {structured, strings.ReplaceAll(good, `"outcome":"mutated"`, `"outcome":"rejected"`), 400, `its data has the outcome "rejected", want "mutated" as its type says`},
		"another content type":       {structured, with(`"datacontenttype":"application/json"`, `"datacontenttype":"text/xml"`), 400, ""},
		"a name without end":         {structured, with(`"name":"pod-a"`, `"name":"`+strings.Repeat("x", 5000)+`"`), 400, "longer than 4096 bytes"},
		"a batch that is none":       {batched, good, 400, "want a JSON array of CloudEvents"},
		"too much":                   {structured, strings.Repeat(" ", maxBody+1), 413, "larger than 16 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			w := do(t, s, "POST", "/", map[string]string{"Content-Type": tc.contentType}, []byte(tc.body))
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.want) || strings.Count(w.Body.String(), "\n") > 1 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	for name, h := range map[string]map[string]string{
		"a time in binary mode":        {"ce-specversion": "1.0", "ce-id": "a", "ce-source": source, "ce-type": events.Mutated, "ce-time": "now"},
		"a version in binary mode":     {"ce-specversion": "2.0", "ce-id": "a", "ce-source": source, "ce-type": events.Mutated},
		"a type in binary mode":        {"ce-specversion": "1.0", "ce-id": "a", "ce-source": source, "ce-type": "x"},
		"datacontenttype as a header":  {"ce-specversion": "1.0", "ce-id": "a", "ce-source": source, "ce-type": events.Mutated, "ce-datacontenttype": "application/json"},
		"an attribute's name":          {"ce-specversion": "1.0", "ce-id": "a", "ce-source": source, "ce-type": events.Mutated, "ce-my_ext": "x"},
		"data that is not JSON at all": {"ce-specversion": "1.0", "ce-id": "a", "ce-source": source, "ce-type": events.Mutated, "Content-Type": "text/plain"},
	} {
		t.Run(name, func(t *testing.T) {
			if w := do(t, s, "POST", "/", h, []byte(`{}`)); w.Code != http.StatusBadRequest {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	t.Run("in a batch, the others are kept", func(t *testing.T) {
		body := fmt.Sprintf("[%s, 7, %s, %s]", good, with(events.Mutated, "x"), ev{id: "b"}.json(t))
		w := do(t, s, "POST", "/", map[string]string{"Content-Type": batched}, []byte(body))
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "event 2 of 4: ") || !strings.Contains(w.Body.String(), "event 3 of 4: ") || !strings.Contains(w.Body.String(), "the other 2 of the batch are stored") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if l := get[listed](t, s, "/api/events"); len(l.Items) != 2 {
			t.Errorf("stored: %q", l.ids())
		}
	})
}

func TestWhatWasAnsweredWith2xxIsStillThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	open := func() *Server {
		s, err := New(Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		s.now = func() time.Time { return start.Add(time.Hour) }
		return s
	}
	first := open()
	cluster(t, first)
	before := get[listed](t, first, "/api/events")
	// Without Close: the process may be killed at any time.
	second := open()
	after := get[listed](t, second, "/api/events")
	if before.ids() != after.ids() || len(after.Items) != 8 || before.After != after.After {
		t.Errorf("%q, at first %q", after.ids(), before.ids())
	}
	var mode, synchronous string
	if err := second.writerPragma("journal_mode", &mode); err != nil || mode != "wal" {
		t.Errorf("journal %q, %v", mode, err)
	}
	if err := second.writerPragma("synchronous", &synchronous); err != nil || synchronous != "2" {
		t.Errorf("synchronous %q, %v: an event that was answered with 2xx must survive a loss of power", synchronous, err)
	}
	for _, s := range []*Server{first, second} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if w := do(t, first, "POST", "/", map[string]string{"Content-Type": structured}, ev{id: "z"}.json(t)); w.Code != http.StatusServiceUnavailable {
		t.Errorf("closed: %d %s", w.Code, w.Body)
	}
}

func (s *Server) writerPragma(name string, into any) error {
	return s.store.txn.conn.QueryRowContext(context.Background(), "PRAGMA "+name).Scan(into)
}

func TestStorageTroubleIs503(t *testing.T) {
	s := newServer(t, Config{})
	cluster(t, s)
	// No more pages: a full disk.
	var n int
	if err := s.writerPragma("page_count", &n); err != nil {
		t.Fatal(err)
	}
	if err := s.writerPragma(fmt.Sprintf("max_page_count = %d", n), &n); err != nil {
		t.Fatal(err)
	}
	big := ev{id: "big", data: events.Data{Message: strings.Repeat("x", 1<<20)}}.json(t)
	w := do(t, s, "POST", "/", map[string]string{"Content-Type": structured}, big)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if err := s.writerPragma("max_page_count = 100000", &n); err != nil {
		t.Fatal(err)
	}
	// Delivered again, it is taken, and nothing is half there.
	if w := do(t, s, "POST", "/", map[string]string{"Content-Type": structured}, big); w.Code != http.StatusNoContent {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if l := get[listed](t, s, "/api/events?pod=pod-big"); l.ids() != "big" {
		t.Errorf("there is %q", l.ids())
	}
	if _, err := New(Config{Path: "/nowhere/events.db"}); err == nil || !strings.Contains(err.Error(), `opening the database "/nowhere/events.db"`) {
		t.Errorf("a path that cannot be: %v", err)
	}
	later := filepath.Join(t.TempDir(), "later.db")
	future, err := New(Config{Path: later})
	if err != nil {
		t.Fatal(err)
	}
	_ = future.writerPragma("user_version = 99", &n)
	_ = future.Close()
	if _, err := New(Config{Path: later}); err == nil || !strings.Contains(err.Error(), "its schema is version 99") {
		t.Errorf("a later schema: %v", err)
	}
}

func TestManyAtOnceAreGroupedAndNoneIsLost(t *testing.T) {
	s := newServer(t, Config{Path: filepath.Join(t.TempDir(), "events.db")})
	const posters, each = 16, 25
	var wg sync.WaitGroup
	for p := range posters {
		wg.Go(func() {
			for i := range each {
				// Each event is posted by two of them.
				e := ev{id: fmt.Sprintf("%d-%d", p/2, i), at: float64(i)}
				r := httptest.NewRequest("POST", "/", bytes.NewReader(e.json(t)))
				r.Header.Set("Content-Type", structured)
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				if w.Code != http.StatusNoContent {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			}
		})
		wg.Go(func() {
			for range each {
				w := httptest.NewRecorder()
				s.ServeHTTP(w, httptest.NewRequest("GET", "/api/events?outcome=mutated&pod=pod-1", nil))
				if w.Code != http.StatusOK {
					t.Errorf("reading meanwhile: %d %s", w.Code, w.Body)
				}
			}
		})
	}
	wg.Wait()
	w := do(t, s, "GET", "/api/events?format=ndjson", nil, nil)
	if n := strings.Count(w.Body.String(), "\n"); n != posters/2*each {
		t.Errorf("%d events, want %d", n, posters/2*each)
	}
	if st := get[Stats](t, s, "/api/stats?from=2h"); total(&st) != posters/2*each {
		t.Errorf("the charts count %d", total(&st))
	}
}

func TestManyEventsOfOneMomentKeepApart(t *testing.T) {
	s := newServer(t, Config{})
	var all []ev
	for i := range 700 { // more than a microsecond has room for
		all = append(all, ev{id: fmt.Sprint(i), at: 1})
	}
	post(t, s, all...)
	seen := map[string]bool{}
	for next := ""; ; {
		l := get[listed](t, s, "/api/events?limit=200&cursor="+next)
		for _, i := range l.Items {
			seen[i.ID] = true
		}
		if next = l.Next; next == "" {
			break
		}
	}
	if len(seen) != 700 {
		t.Errorf("%d of 700", len(seen))
	}
}

func TestAClockThatIsAheadDoesNotHoldTheTop(t *testing.T) {
	s := newServer(t, Config{})
	post(t, s, ev{id: "ahead", at: 365 * 86400}, ev{id: "now", at: 3600})
	post(t, s, ev{id: "later", at: 3630})
	if l := get[listed](t, s, "/api/events"); l.Items[0].ID != "later" {
		t.Errorf("the list is %q", l.ids())
	}
}

func TestRetention(t *testing.T) {
	s := newServer(t, Config{Retention: time.Hour})
	cluster(t, s)
	post(t, s, ev{id: "young", at: 3000, data: events.Data{Namespace: "young"}})
	purge := func(at time.Time) {
		t.Helper()
		if err := s.store.submit(t.Context(), &write{purge: at, done: make(chan error, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	purge(start.Add(time.Hour + 2*time.Minute + time.Second))
	if l := get[listed](t, s, "/api/events"); l.ids() != "young v3 v2 v1 w2 w1" {
		t.Errorf("after two minutes more: %q", l.ids())
	}
	purge(start.Add(3 * time.Hour))
	if l := get[listed](t, s, "/api/events"); l.ids() != "" {
		t.Errorf("after all: %q", l.ids())
	}
	for _, table := range []string{"events", "bodies", "idx", "terms", "words", "counts", "latencies"} {
		var n int
		if err := s.store.txn.conn.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s still has %d rows, %v", table, n, err)
		}
	}
	// The same values come again, and are found.
	cluster(t, s)
	if l := get[listed](t, s, "/api/events?pod=jupyter-alice&namespace=web"); l.ids() != "c" {
		t.Errorf("again: %q", l.ids())
	}
}

func TestNamesThatFitTooManyAreFoundAllTheSame(t *testing.T) {
	s := newServer(t, Config{})
	var all []ev
	for i := range maxAlternatives + 50 {
		all = append(all, ev{id: fmt.Sprint(i), at: float64(i), data: events.Data{Pod: events.Pod{Name: fmt.Sprintf("job-%d", i)}}})
	}
	all = append(all, ev{id: "else", at: 1000, data: events.Data{Pod: events.Pod{Name: "else"}}})
	post(t, s, all...)
	n := 0
	for next := ""; ; {
		l := get[listed](t, s, "/api/events?pod=job-&namespace=jhub&limit=100&cursor="+next)
		for _, i := range l.Items {
			if !strings.HasPrefix(i.Name, "job-") {
				t.Errorf("there is %s", i.Name)
			}
			n++
		}
		if next = l.Next; next == "" {
			break
		}
	}
	if n != maxAlternatives+50 {
		t.Errorf("found %d", n)
	}
	if st := get[Stats](t, s, "/api/stats?from=2h&pod=job-"); total(&st) != maxAlternatives+50 {
		t.Errorf("the charts count %d", total(&st))
	}
}

// streamOf returns what a stream would have sent a reader who was there from the start.
func streamOf(t testing.TB, s *Server, f filter) []*Item {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	last := int64(0)
	var items []*Item
	want, err := s.wantedNow(ctx, f)
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := s.arrived(ctx, want, &last)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			item := new(Item)
			if err := json.Unmarshal([]byte(data), item); err != nil {
				t.Fatal(err)
			}
			items = append(items, item)
		}
	}
	return items
}

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
			var item Item
			if err := json.Unmarshal([]byte(v), &item); err != nil {
				r.t.Fatal(err)
			}
			return item.ID, position
		}
	}
	return "", ""
}

func TestStream(t *testing.T) {
	s := newServer(t, Config{})
	// As strict a host as there may be: a stream must outlive its limits.
	host := httptest.NewUnstartedServer(s)
	host.Config.ReadTimeout, host.Config.WriteTimeout = 200*time.Millisecond, 200*time.Millisecond
	host.Start()
	defer host.Close()
	defer s.Close()
	post(t, s, ev{id: "before", at: 1})
	list := get[listed](t, s, "/api/events")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	all := subscribe(t, ctx, host.URL+"/x/api/events/stream?after="+list.After, nil)
	web := subscribe(t, ctx, host.URL+"/api/events/stream?namespace=web&after="+list.After, nil)
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
	// Who comes back goes on where it was.
	again := subscribe(t, ctx, host.URL+"/api/events/stream?after="+list.After, map[string]string{"Last-Event-ID": position})
	if got, _ := again.next(); got != "b" {
		t.Errorf("after coming back: %q", got)
	}
	// Unless that was another database.
	for _, position := range []string{"other-1", s.store.position(999), "x"} {
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
	timer := time.NewTimer(500 * time.Millisecond)
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

func TestStreamsAreBounded(t *testing.T) {
	s := newServer(t, Config{})
	for range maxStreams {
		s.streams <- struct{}{}
	}
	w := do(t, s, "GET", "/api/events/stream", nil, nil)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "64 streams are open") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestTheDatabaseInMemoryIsBounded(t *testing.T) {
	s := newServer(t, Config{})
	s.store.memoryLimit = 4 << 20
	message := strings.Repeat("x", 100<<10)
	for i := range 80 {
		post(t, s, ev{id: fmt.Sprint(i), at: float64(i), data: events.Data{Message: message}})
	}
	l := get[listed](t, s, "/api/events?limit=200")
	if len(l.Items) < 10 || len(l.Items) > 45 || l.Items[0].ID != "79" {
		t.Errorf("%d are left, the newest %q", len(l.Items), l.ids())
	}
}

func TestTheHandlerTriesAgain(t *testing.T) {
	t.Setenv("AMP_AUDIT_READ_TOKEN_FILE", filepath.Join(t.TempDir(), "token"))
	call := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		Handler(w, httptest.NewRequest("GET", "/api/values", nil))
		return w
	}
	if w := call(); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "AMP_AUDIT_READ_TOKEN_FILE") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	// The volume was late.
	if err := os.WriteFile(os.Getenv("AMP_AUDIT_READ_TOKEN_FILE"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := call(); w.Code != http.StatusUnauthorized {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if err := environment.server.Close(); err != nil {
		t.Error(err)
	}
	environment.server = nil // for the next run of this test
}

// BenchmarkReceive posts events one by one, from many at once, into a database on disk.
func BenchmarkReceive(b *testing.B) {
	s := newServer(b, Config{Path: filepath.Join(b.TempDir(), "events.db")})
	e := worker("id", 1)
	text := string(e.json(b))
	var mu sync.Mutex
	n := 0
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			id := fmt.Sprintf("%016x", uint64(n)*0x9e3779b97f4a7c15)
			mu.Unlock()
			r := httptest.NewRequest("POST", "/", strings.NewReader(strings.Replace(text, `"id":"id"`, `"id":"`+id+`"`, 1)))
			r.Header.Set("Content-Type", structured)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != http.StatusNoContent {
				b.Error(w.Code, w.Body)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
