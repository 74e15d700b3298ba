package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/move"
	"github.com/txn2/amp/endpoints/events"
)

// function serves a Server as a Function to move from or to.
func function(t testing.TB, h http.Handler) *move.Function {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &move.Function{URL: server.URL + "/audit", Patience: 30 * time.Second}
}

// TestEventsMoveWhileOthersArrive moves from each store to the other while events arrive, as the help of `endpoints audit` has
// it. At the end both answer every request alike.
func TestEventsMoveWhileOthersArrive(t *testing.T) {
	t.Parallel()
	for from, newFrom := range stores {
		for to, newTo := range stores {
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel()
				checkEventsMove(t, newFrom(t, Config{}), newTo(t, Config{}))
			})
		}
	}
}

func checkEventsMove(t *testing.T, old, fresh *Server) {
	cluster(t, old)
	odd := ev{id: "timeless", at: 5, data: events.Data{Message: "<&>\u2028é"}}.json(t)
	odd = bytes.Replace(odd, []byte(`"time"`), []byte(`"nothing"`), 1) // it gets the time of its arrival
	if w := do(t, old, "POST", "/", map[string]string{"Content-Type": structured}, odd); w.Code != http.StatusNoContent {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var mu sync.Mutex
	sink, sent := old, 0 // of the amp that goes on sending
	send := func() {
		mu.Lock()
		defer mu.Unlock()
		id := fmt.Sprintf("n%d", sent)
		post(t, sink, ev{id: id, at: float64(200 + sent), data: events.Data{Namespace: fmt.Sprintf("team-%d", sent%7), User: fmt.Sprintf("user-%d", sent%3)}})
		if sent%10 == 0 {
			post(t, sink, ev{id: id + store.Final, at: float64(200 + sent), typ: events.Rejected, data: events.Data{Namespace: fmt.Sprintf("team-%d", sent%7)}})
		}
		sent++
	}
	for range 600 {
		send()
	}
	// While a request is answered, some events arrive. There are never so many that the charts by a filter leave out the oldest
	// ones: both stores look at the newest 2000 events for as long as it takes.
	const each, most = 20, 1000
	ctx, cancel := context.WithCancel(t.Context())
	next := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		defer cancel()
		for range most {
			select {
			case <-next:
				send()
			case <-ctx.Done():
				return
			}
		}
	})
	defer sender.Wait()
	defer cancel()
	meanwhile := func(s *Server) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var arriving sync.WaitGroup
			defer arriving.Wait()
			arriving.Go(func() {
				for range each {
					select {
					case next <- struct{}{}:
					case <-ctx.Done():
						return
					}
				}
			})
			s.ServeHTTP(w, r)
		})
	}

	from, to := function(t, meanwhile(old)), function(t, meanwhile(fresh))
	moveFrom := func(position string) move.Progress {
		t.Helper()
		var lines bytes.Buffer
		exported, err := from.Export(t.Context(), position, &lines)
		if err != nil {
			t.Fatal(err)
		}
		imported, err := to.Import(t.Context(), &lines, nil)
		if err != nil || imported.Events != exported.Events || imported.Events > 0 && imported.Position != exported.Position {
			t.Fatalf("exported %+v, imported %+v, %v", exported, imported, err)
		}
		return exported
	}
	first := moveFrom("")
	if first.Events < 600 {
		t.Errorf("%d events exported", first.Events)
	}
	mu.Lock()
	sink = fresh
	mu.Unlock()
	for range each {
		send()
	}
	cancel()
	sender.Wait()
	if sent < 600+3*each {
		t.Errorf("only %d events were sent", sent)
	}
	if moveFrom(first.Position); !t.Failed() {
		moveFrom("") // again, from the beginning: nothing is there twice
	}
	// What arrived at the new one only is to be at the old one, too, for the comparison.
	from, to = to, from
	moveFrom("")
	sameAnswers(t, old, fresh, sent)
}

// sameAnswers compares all that two functions answer.
func sameAnswers(t *testing.T, a, b *Server, sent int) {
	t.Helper()
	list := func(s *Server, query string) (all []*store.Item) {
		t.Helper()
		for cursor := ""; ; {
			page := get[listed](t, s, "/api/events?limit=200&"+query+cursor)
			if all = append(all, page.Items...); page.Next == "" {
				return all
			}
			cursor = "&cursor=" + page.Next
		}
	}
	alike := func(what string, x, y any) {
		t.Helper()
		p, q := must(json.Marshal(x)), must(json.Marshal(y))
		if !bytes.Equal(p, q) {
			t.Errorf("%s differs:\n%.2000s\n%.2000s", what, p, q)
		}
	}
	queries := []string{"", "namespace=team-3", "namespace=web", "namespace=eam", "user=user-1", "user=SER-2", "outcome=rejected", "outcome=mutated,validated", "endpoint=" + url.QueryEscape("http://a.svc/x"),
		"endpoint=b.svc", "pod=jupyter", "pod=web-6d4cf56db6-x8k2p", "pod=n1", "pod=unknown", "from=" + url.QueryEscape(start.Add(300*time.Second).Format(time.RFC3339)), "to=" + url.QueryEscape(start.Add(100*time.Second).Format(time.RFC3339)),
		"namespace=team-0&user=user-0&outcome=rejected"}
	for _, q := range queries {
		alike("the list by "+q, list(a, q), list(b, q))
		alike("the charts by "+q, get[any](t, a, "/api/stats?"+q), get[any](t, b, "/api/stats?"+q))
	}
	all := list(a, "")
	finals := (sent + 9) / 10
	if n := len(all); n != 9+sent+finals {
		t.Errorf("%d events, want %d", n, 9+sent+finals)
	}
	for _, item := range all[max(0, len(all)-40):] {
		at := "/api/events/" + url.PathEscape(item.ID)
		alike(item.ID, get[any](t, a, at), get[any](t, b, at))
		if x, y := get[Detail](t, a, at), get[Detail](t, b, at); !bytes.Equal(x.Event, y.Event) {
			t.Errorf("the event %s was\n%s and is\n%s", item.ID, x.Event, y.Event)
		}
	}
	x, y := get[store.Values](t, a, "/api/values"), get[store.Values](t, b, "/api/values")
	for _, l := range [][]string{x.Namespaces, x.Users, x.Endpoints, y.Namespaces, y.Users, y.Endpoints} {
		slices.Sort(l) // the order is an hour off at most
	}
	alike("the values", x, y)
}

// TestAMoveSurvivesTrouble: the functions break off and refuse now and then, and the move goes on.
func TestAMoveSurvivesTrouble(t *testing.T) {
	t.Parallel()
	old, fresh := newServer(t, Config{}), newServer(t, Config{})
	var all []ev
	for i := range 3 * exportPage {
		all = append(all, ev{id: fmt.Sprint(i), at: float64(i)})
	}
	post(t, old, all...)
	exports, imports := 0, 0
	from := function(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch exports++; exports {
		case 1:
			http.Error(w, "later", http.StatusServiceUnavailable)
		case 2, 3:
			old.ServeHTTP(&cutOff{ResponseWriter: w, left: 200_000}, r)
		default:
			old.ServeHTTP(w, r)
		}
	}))
	to := function(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch imports++; imports % 3 {
		case 0:
			http.Error(w, "later", http.StatusServiceUnavailable)
		case 1:
			fresh.ServeHTTP(httptest.NewRecorder(), r) // stored, but the answer is lost
			panic(http.ErrAbortHandler)
		default:
			fresh.ServeHTTP(w, r)
		}
	}))
	var lines bytes.Buffer
	exported, err := from.Export(t.Context(), "", &lines)
	if err != nil || exported.Events != int64(len(all)) || exports < 4 {
		t.Fatalf("%+v in %d requests, %v", exported, exports, err)
	}
	if imported, err := to.Import(t.Context(), &lines, nil); err != nil || imported != exported {
		t.Fatalf("%+v, %v", imported, err)
	}
	if got := list(t, fresh); got != len(all) {
		t.Errorf("%d events, want %d", got, len(all))
	}
}

func list(t testing.TB, s http.Handler) int {
	t.Helper()
	return strings.Count(do(t, s, "GET", "/api/events?format=ndjson", nil, nil).Body.String(), "\n")
}

// cutOff ends an answer in its middle.
type cutOff struct {
	http.ResponseWriter
	left int
}

func (c *cutOff) Write(b []byte) (int, error) {
	if c.left -= len(b); c.left < 0 {
		_, _ = c.ResponseWriter.Write(b[:len(b)/2])
		panic(http.ErrAbortHandler)
	}
	return c.ResponseWriter.Write(b)
}

// TestAMoveSaysWhatIsWrong: the error names the thing and what to do, and what was stored before stays.
func TestAMoveSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	f := function(t, s)
	f.Patience = 0
	good := string(ev{id: "plain"}.json(t)) // a CloudEvent without a position, as ?format=ndjson has it
	for name, tc := range map[string]struct {
		lines  string
		stored int
		want   string
	}{
		"nothing":                 {"", 0, ""},
		"an event, an empty line": {good + "\r\n\n", 1, ""},
		"a line that was cut off": {good + "\n" + good[:50], 1, "reading line 2: it is not whole JSON"},
		"another kind of event":   {`{"position":"x-1","event":{"specversion":"1.0","id":"x","source":"y","type":"z"}}` + "\n", 1, `storing the events 1 to 1: ` + f.URL + ` answers 400: reading the batch: event 1 of 1: its type is "z"`},
		"no event at all":         {"{}\n", 1, "it is not a CloudEvent in JSON"},
		"an endless line":         {strings.Repeat("x", 17<<20), 1, "reading line 1: it is longer than 16 MiB"},
	} {
		_, err := f.Import(t.Context(), strings.NewReader(tc.lines), nil)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	if got := list(t, s); got != 1 {
		t.Errorf("%d events", got)
	}
	if _, err := f.Export(t.Context(), "other-1", new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), `"other-1" is not a position in this database: leave it out to begin anew`) {
		t.Errorf("another's position: %v", err)
	}
	gone := httptest.NewServer(s)
	gone.Close()
	if _, err := (&move.Function{URL: gone.URL}).Export(t.Context(), "", new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), gone.URL) {
		t.Errorf("a function that is not there: %v", err)
	}
	other := function(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "<html>") }))
	if _, err := other.Export(t.Context(), "", new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "is it an audit function?") {
		t.Errorf("another program: %v", err)
	}
}
