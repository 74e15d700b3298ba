package audit

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/fuzztest"
)

// FuzzAudit posts anything, and asks for a list by any query. A POST is taken or refused as a mistake of its sender, and
// what is taken is found again. A query is refused, or it finds what the same filter, applied in Go, finds among all events.
func FuzzAudit(f *testing.F) {
	event := string(ev{id: "x"}.json(f))
	binary := `{"ce-specversion":"1.0","ce-id":"x","ce-source":"s","ce-type":"` + events.Mutated + `","content-type":"application/json"}`
	for _, query := range []string{"", "namespace=web", "pod=web-6d4cf56db6-x8k2p", "pod=x8k2p", "outcome=rejected,unchanged&outcome=mutated", "endpoint=SVC/x", "user=system:serviceaccount:jhub:hub", "user=Serviceaccount",
		"from=58m30s&to=1m", "from=2026-03-01T13:03:01+01:00", "limit=2", "format=ndjson", "user=%zz", "user=;", "user=%C3%89t%C3%A9", "user=%C3%A9T", "pod=%22+OR+t1+--*%25_", "usr=a", "cursor=x", "limit=-1", "user=ali\x00ce", "pod=*", "to=7d"} {
		f.Add(`{"content-type":"`+structured+`"}`, event, query)
	}
	f.Add(`{"content-type":"`+batched+`"}`, "["+event+",{},"+event+"]", "")
	f.Add(binary, `{"namespace":"n","pod":{"generateName":"p-"},"outcome":"mutated"}`, "")
	f.Add(binary, `{"namespace":"n\u0000","pod":{"name":"É"},"outcome":"mutated","user":"\ud800","endpoints":[{"url":"x"},null],"patch":[null,{"op":"move","from":"","path":"/a"}]}`, "")
	f.Add(`{"content-type":"text/plain"}`, "", "")

	taker := newServer(f, Config{})
	reader := newServer(f, Config{})
	cluster(f, reader)
	post(f, reader, ev{id: "e", at: 10, data: events.Data{User: "Été"}}, ev{id: "n", at: 11, data: events.Data{User: "ali\x00ce", Namespace: "a b"}})
	page, err := reader.store.List(f.Context(), store.Query{Limit: maxLimit})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header, body, query string) {
		fuzztest.Within(t, 2*time.Second, 64<<20, func() {
			holdPost(t, taker, header, body)
			holdFilter(t, reader, page.Items, query)
		})
	})
}

// request asks a Server, whatever the query is.
func request(s *Server, method, path, query, body string) (*http.Request, *httptest.ResponseRecorder) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.URL.RawQuery = query
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return r, w
}

func holdPost(t *testing.T, s *Server, header, body string) {
	t.Helper()
	var fields map[string]string
	if json.Unmarshal([]byte(header), &fields) != nil {
		return
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	for key, value := range fields {
		r.Header.Set(key, value)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	switch {
	case w.Code == http.StatusNoContent:
	case w.Code >= 400 && w.Code < 500 && strings.Count(strings.TrimSpace(w.Body.String()), "\n") == 0:
		return
	default:
		t.Fatalf("status %d: %q", w.Code, w.Body)
	}
	received, err := parse(mediaTypeOf(r.Header), r.Header, []byte(body), s.now())
	if err != nil {
		t.Fatalf("it was taken, and now: %v", err)
	}
	for _, e := range received {
		var line bytes.Buffer
		if err := linesTo(&line).Encode(store.Record{Position: "x-1", Time: e.Item.Time, Event: e.Raw}); err != nil {
			t.Fatal(err)
		}
		if again, err := parseLines(line.Bytes(), s.now()); err != nil || len(again) != 1 || !bytes.Equal(again[0].Raw, e.Raw) || len(e.Raw) > store.MaxEvent {
			t.Fatalf("the event\n%s\nwas taken, and an import makes another of it, or %v", e.Raw, err)
		}
		_, w := request(s, "GET", "/api/events/"+url.PathEscape(e.Item.ID), url.Values{"source": {e.Item.Source}}.Encode(), "")
		if w.Code != http.StatusOK || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("the event %q of %q was taken, and is answered with %d: %s", e.Item.ID, e.Item.Source, w.Code, w.Body)
		}
	}
	if len(received) > 0 {
		if _, w := request(s, "GET", "/api/events", "", ""); w.Code != http.StatusOK || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("the list is answered with %d: %s", w.Code, w.Body)
		}
	}
}

func holdFilter(t *testing.T, s *Server, all []*store.Item, query string) {
	t.Helper()
	r, w := request(s, "GET", "/api/events", query, "")
	if w.Code != http.StatusOK {
		if w.Code != http.StatusBadRequest || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%q: status %d: %s", query, w.Code, w.Body)
		}
		return
	}
	q, err := parseQuery(r)
	if err != nil {
		t.Fatalf("%q was answered, and now: %v", query, err)
	}
	// The standard library must not see another query: what it reads of it, it reads as amp does.
	for name, values := range r.URL.Query() {
		if !slices.Equal(q[name], values) {
			t.Fatalf("%q: %s is %q, and %q for the standard library", query, name, q[name], values)
		}
	}
	f, err := parseFilter(q, s.now(), "limit", "cursor", "format")
	if err != nil {
		t.Fatalf("%q was answered, and now: %v", query, err)
	}
	if q.Has("limit") || q.Has("cursor") || q.Get("format") == "ndjson" {
		return // a part of the list, or in another form
	}
	var got listed
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if want := matching(all, &f); got.ids() != want {
		t.Errorf("%q finds %q, want %q", query, got.ids(), want)
	}
}

// matching returns the ids of the events that a filter wants. A mutated event is also found by the names under which
// /validate saw its Pod.
func matching(all []*store.Item, f *store.Filter) string {
	some := func(is func(*store.Item) bool) bool { return slices.ContainsFunc(all, is) }
	whole := store.Whole{
		Namespace: some(func(i *store.Item) bool { return i.Namespace == f.Namespace }),
		User:      some(func(i *store.Item) bool { return i.User == f.User }),
		Endpoint: some(func(i *store.Item) bool {
			return slices.ContainsFunc(i.Endpoints, func(c store.Call) bool { return c.URL == f.Endpoint })
		}),
	}
	var found listed
	for _, item := range all {
		withoutPod := *f
		withoutPod.Pod = ""
		seen := func(v *store.Item) bool {
			return f.Pod != "" && store.Joins(v, item) && store.MatchPod(store.PodKey(v), f.Pod)
		}
		if f.Match(item, whole) || withoutPod.Match(item, whole) && slices.ContainsFunc(all, seen) {
			found.Items = append(found.Items, item)
		}
	}
	return found.ids()
}
