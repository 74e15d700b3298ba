package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres/postgrestest"
	"github.com/txn2/amp/endpoints/events"
)

// start is when the tests' events happen, counted in seconds from there.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const source = "https://amp.txn2.com/proxy"

// ev is an event to post. Unset fields are filled in.
type ev struct {
	id, source, typ string
	at              float64 // seconds after start
	data            events.Data
}

func (e ev) json(t testing.TB) []byte {
	t.Helper()
	d := e.data
	if e.typ == "" {
		e.typ = events.Mutated
	}
	if e.source == "" {
		e.source = source
	}
	if d.Outcome == "" {
		d.Outcome, _ = outcome.Of(e.typ)
	}
	if d.Namespace == "" {
		d.Namespace = "jhub"
	}
	if d.Pod == (events.Pod{}) {
		d.Pod.Name = "pod-" + e.id
	}
	if d.User == "" {
		d.User = "alice"
	}
	if d.Level == "" {
		d.Level = events.LevelPatch
	}
	d.UID, d.FailurePolicy = e.id, "Fail"
	if d.Operation == "" {
		d.Operation = "mutate"
	}
	if d.Endpoints == nil {
		d.Endpoints = []events.Endpoint{{URL: "http://hook.jhub.svc/mutate", Status: 200, DurationMS: 3, Ops: 1}}
	}
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": e.id, "source": e.source, "type": e.typ,
		"time": start.Add(time.Duration(e.at * float64(time.Second))).Format(time.RFC3339Nano), "datacontenttype": "application/json",
		"subject": d.Namespace + "/" + d.Pod.Name, "namespace": d.Namespace, "outcome": d.Outcome, "data": json.RawMessage(data),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// newServer is a Server whose clock stands an hour behind the start.
func newServer(t testing.TB, config Config) *Server {
	t.Helper()
	return newServerAt(t, config, func() time.Time { return start.Add(time.Hour) })
}

func newServerAt(t testing.TB, config Config, now func() time.Time) *Server {
	t.Helper()
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	s, err := open(config, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// stores make servers with an empty store.
var stores = map[string]func(testing.TB, Config) *Server{
	"SQLite": func(t testing.TB, config Config) *Server {
		config.Path = filepath.Join(t.TempDir(), "events.db")
		return newServer(t, config)
	},
	"PostgreSQL": func(t testing.TB, config Config) *Server {
		config.Postgres.URL = postgrestest.URL(t)
		return newServer(t, config)
	},
}

// eachStore runs a test of the API on each store: what one answers, the other answers.
func eachStore(t *testing.T, test func(t *testing.T, newServer func(testing.TB, Config) *Server)) {
	t.Parallel()
	for name, newServer := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newServer)
		})
	}
}

func do(t testing.TB, h http.Handler, method, target string, header map[string]string, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// post posts events as one batch, and expects them to be taken.
func post(t testing.TB, s http.Handler, all ...ev) {
	t.Helper()
	var batch [][]byte
	for _, e := range all {
		batch = append(batch, e.json(t))
	}
	body := fmt.Appendf(nil, "[%s]", bytes.Join(batch, []byte(",")))
	if w := do(t, s, "POST", "/", map[string]string{"Content-Type": batched}, body); w.Code != http.StatusNoContent {
		t.Fatalf("posting: %d %s", w.Code, w.Body)
	}
}

// listed is a page of the list.
type listed struct {
	Items []*store.Item
	Next  string
	After store.Position
}

func (l listed) ids() string {
	var ids []string
	for _, i := range l.Items {
		ids = append(ids, i.ID)
	}
	return strings.Join(ids, " ")
}

// get reads JSON from the API.
func get[T any](t testing.TB, s http.Handler, target string) T {
	t.Helper()
	var v T
	w := do(t, s, "GET", target, nil, nil)
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d %s", target, w.Code, w.Body)
	}
	if err := json.NewDecoder(io.TeeReader(w.Body, io.Discard)).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// cluster is what most of these tests read: newest last.
func cluster(t testing.TB, s *Server) {
	post(t, s,
		ev{id: "a", at: 0, data: events.Data{Pod: events.Pod{Name: "jupyter-alice"}, User: "system:serviceaccount:jhub:hub"}},
		ev{id: "b", at: 60, typ: events.Unchanged, data: events.Data{Pod: events.Pod{Name: "jupyter-bob"}, User: "system:serviceaccount:jhub:hub2"}},
		ev{id: "c", at: 120, typ: events.Rejected, data: events.Data{Namespace: "web", Pod: events.Pod{Name: "jupyter-alice"}, User: "carol", Message: "no"}},
		ev{id: "w1", at: 180, data: events.Data{Namespace: "web", Pod: events.Pod{GenerateName: "web-6d4cf56db6-"}, User: "rs",
			Endpoints: []events.Endpoint{{URL: "http://a.svc/x", DurationMS: 1}, {URL: "http://b.svc/x", DurationMS: 2, Error: "late"}}}},
		ev{id: "w2", at: 181, data: events.Data{Namespace: "web", Pod: events.Pod{GenerateName: "web-6d4cf56db6-"}, User: "rs"}},
		ev{id: "v1", at: 182, typ: events.Validated, data: events.Data{Namespace: "web", Pod: events.Pod{Name: "web-6d4cf56db6-x8k2p", UID: "u1"}, User: "rs", Mutation: "w1", Endpoints: []events.Endpoint{}}},
		// A forger's: the stamp of a Pod that it cannot be.
		ev{id: "v2", at: 183, typ: events.Validated, data: events.Data{Namespace: "jhub", Pod: events.Pod{Name: "web-6d4cf56db6-zzzzz"}, Mutation: "w1", Endpoints: []events.Endpoint{}}},
		ev{id: "v3", at: 184, typ: events.Validated, data: events.Data{Namespace: "web", Pod: events.Pod{Name: "other"}, Mutation: "w1", Endpoints: []events.Endpoint{}}},
	)
}
