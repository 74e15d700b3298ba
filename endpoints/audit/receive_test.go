package audit

import (
	"bytes"
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

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/events"
)

func TestEventsAreTakenInEveryMode(t *testing.T) { eachStore(t, checkEventsAreTakenInEveryMode) }

func checkEventsAreTakenInEveryMode(t *testing.T, newServer func(testing.TB, Config) *Server) {
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
	if w := do(t, s, "POST", "/", map[string]string{"Content-Type": structured + "; charset=utf-8"}, e.json(t)); w.Code != http.StatusNoContent || !strings.Contains(w.Header().Get("Accept-Post"), batched) {
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

func TestInvalidEventsAreRefusedForGood(t *testing.T) {
	t.Parallel()
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
		"no JSON":                    {structured, "<x>", 400, "reading the event: it is not"},
		"an unknown type":            {structured, with(events.Mutated, "com.example.other"), 400, `its type is "com.example.other", want one of com.txn2.amp.pod.mutated.v1`},
		"a data_base64 of 7":         {structured, `{"specversion":"1.0","id":"a","source":"urn:x","type":"` + events.Mutated + `","data_base64":7}`, 400, "it is not a CloudEvent in JSON"},
		"no id":                      {structured, with(`"id":"a"`, `"id":""`), 400, "it is not a valid CloudEvent 1.0"},
		"an older specversion":       {structured, with(`"specversion":"1.0"`, `"specversion":"0.3"`), 400, "its specversion is"},
		"a bad time":                 {structured, with(`"time":"2026`, `"time":"last`), 400, "it is not a CloudEvent in JSON"},
		"a number for a list":        {structured, with(`"endpoints":[`, `"endpoints":7,"other":[`), 400, "its data has a number for endpoints"},
		"a number for a name":        {structured, with(`"name":"pod-a"`, `"name":7`), 400, "pod.name"},
		"no namespace":               {structured, with(`"namespace":"jhub","pod"`, `"pod"`), 400, "its data has no namespace"},
		"no Pod":                     {structured, with(`{"name":"pod-a"}`, `{}`), 400, "its data names no Pod"},
		"an outcome unlike its type": {structured, strings.ReplaceAll(good, `"outcome":"mutated"`, `"outcome":"rejected"`), 400, `its data has the outcome "rejected", want "mutated" as its type says`},
		"another content type":       {structured, with(`"datacontenttype":"application/json"`, `"datacontenttype":"text/xml"`), 400, ""},
		"an id without end":          {structured, with(`"id":"a"`, `"id":"`+strings.Repeat("x", 5000)+`"`), 400, "longer than 4096 bytes"},
		"endpoints without end":      {structured, with(`"endpoints":[`, `"endpoints":[`+strings.Repeat("{},", maxValues)), 400, "more than 200000 values in endpoints, warnings or patch"},
		"warnings without end":       {structured, with(`"endpoints":[`, `"warnings":[`+strings.Repeat(`"",`, maxValues)+`""],"endpoints":[`), 400, "more than 200000 values"},
		"warnings of an endpoint":    {structured, with(`"endpoints":[`, `"endpoints":[{"warnings":[`+strings.Repeat(`"",`, maxValues)+`""]},`), 400, "more than 200000 values"},
		"operations without end":     {structured, with(`"endpoints":[`, `"Patch":[`+strings.Repeat(`{},`, maxValues)+`{}],"endpoints":[`), 400, "more than 200000 values"},
		"data beside its data":       {structured, with(`"data":{`, `"Data":"x","data":{`), 400, "it has an extension named data"},
		"attributes without end":     {structured, "{" + strings.Repeat(`"a":1,`, maxMembers) + good[1:], 400, "more than 1000 attributes"},
		"a batch without end":        {batched, "[" + strings.Repeat("1,", maxBatch) + "1]", 400, "want 10000 at most"},
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
	var data struct{ Data json.RawMessage }
	if err := json.Unmarshal([]byte(good), &data); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]map[string]string{
		"a time in binary mode":        {"ce-specversion": "1.0", "ce-id": "a", "ce-source": source, "ce-type": events.Mutated, "ce-time": "now"},
		"a version in binary mode":     {"ce-specversion": "2.0", "ce-id": "a", "ce-source": source, "ce-type": events.Mutated},
		"a type in binary mode":        {"ce-specversion": "1.0", "ce-id": "a", "ce-source": source, "ce-type": "x"},
		"datacontenttype as a header":  {"ce-specversion": "1.0", "ce-id": "a", "ce-source": source, "ce-type": events.Mutated, "ce-datacontenttype": "application/json"},
		"data as a header, too":        {"ce-specversion": "1.0", "ce-id": "a", "ce-source": source, "ce-type": events.Mutated, "ce-data": "x"},
		"an attribute's name":          {"ce-specversion": "1.0", "ce-id": "a", "ce-source": source, "ce-type": events.Mutated, "ce-my_ext": "x"},
		"data that is not JSON at all": {"ce-specversion": "1.0", "ce-id": "a", "ce-source": source, "ce-type": events.Mutated, "Content-Type": "text/plain"},
	} {
		t.Run(name, func(t *testing.T) {
			if w := do(t, s, "POST", "/", h, data.Data); w.Code != http.StatusBadRequest {
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

// TestALineHasRoomForWhatAnExportAdds: whatever parameters its content type has. Other bodies have no such room.
func TestALineHasRoomForWhatAnExportAdds(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	body := append(bytes.Repeat([]byte(" "), maxBody+500-1), '\n')
	for contentType, want := range map[string]int{
		ndjson:                     http.StatusNoContent,
		ndjson + "; charset=utf-8": http.StatusNoContent,
		"Application/X-NDJSON":     http.StatusNoContent,
		structured:                 http.StatusRequestEntityTooLarge,
	} {
		if w := do(t, s, "POST", "/", map[string]string{"Content-Type": contentType}, body); w.Code != want {
			t.Errorf("%s: %d %s", contentType, w.Code, w.Body)
		}
	}
}

func TestAcceptedEventsSurviveACrash(t *testing.T) {
	t.Parallel()
	reopen := func(path string) *Server {
		s, err := open(Config{Path: path}, func() time.Time { return start.Add(time.Hour) })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	path, copied := filepath.Join(t.TempDir(), "events.db"), filepath.Join(t.TempDir(), "events.db")
	first := reopen(path)
	cluster(t, first)
	before := get[listed](t, first, "/api/events")
	// Without Close: the process may be killed at any time. What it leaves behind are its files.
	for _, file := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + file)
		if err == nil {
			err = os.WriteFile(copied+file, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	second := reopen(copied)
	after := get[listed](t, second, "/api/events")
	if before.ids() != after.ids() || len(after.Items) != 8 || before.After != after.After {
		t.Errorf("%q, at first %q", after.ids(), before.ids())
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

func TestManyAtOnceAreGroupedAndNoneIsLost(t *testing.T) {
	eachStore(t, checkManyAtOnceAreGroupedAndNoneIsLost)
}

func checkManyAtOnceAreGroupedAndNoneIsLost(t *testing.T, newServer func(testing.TB, Config) *Server) {
	s := newServer(t, Config{})
	const posters, each = 16, 8
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
	if st := get[store.Charts](t, s, "/api/stats?from=2h"); total(&st) != posters/2*each {
		t.Errorf("the charts count %d", total(&st))
	}
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

// TestTheTimeOfAnEvent: a store must know if the same event may come again with another time.
func TestTheTimeOfAnEvent(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		time    string
		want    time.Time
		undated bool
	}{
		"is the sender's": {`,"time":"2025-12-24T18:00:00Z"`, time.Date(2025, 12, 24, 18, 0, 0, 0, time.UTC), false},
		"is the sender's, whose clock is a bit ahead":    {`,"time":"2026-03-01T12:00:59Z"`, now.Add(59 * time.Second), false},
		"is the receiver's, if there is none":            {"", now, true},
		"is the receiver's, if the other is far ahead":   {`,"time":"2027-03-01T12:00:00Z"`, now, true},
		"is the receiver's, if the other is before 1970": {`,"time":"1969-03-01T12:00:00Z"`, now, true},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := parseStructured([]byte(`{"specversion":"1.0","id":"1","source":"urn:test","type":"com.txn2.amp.pod.mutated.v1"`+c.time+
				`,"data":{"namespace":"jhub","pod":{"name":"web"},"outcome":"mutated"}}`), now)
			if err != nil {
				t.Fatal(err)
			}
			if !e.Item.Time.Equal(c.want) || e.Undated != c.undated {
				t.Errorf("%v, undated %v", e.Item.Time, e.Undated)
			}
		})
	}
}
