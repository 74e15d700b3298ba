package audit

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/events"
)

func TestFilters(t *testing.T) { eachStore(t, checkFilters) }

func checkFilters(t *testing.T, newServer func(testing.TB, Config) *Server) {
	s := newServer(t, Config{})
	empty := get[listed](t, s, "/api/events").After
	cluster(t, s)
	at := func(seconds int) string { return start.Add(time.Duration(seconds) * time.Second).Format(time.RFC3339) }
	for name, tc := range map[string]struct{ query, want string }{
		"nothing wanted in particular":               {"", "v3 v2 v1 w2 w1 c b a"},
		"a namespace":                                {"namespace=jhub", "v2 b a"},
		"a part of a namespace":                      {"namespace=JH", "v2 b a"},
		"a namespace that is nowhere":                {"namespace=nowhere", ""},
		"an outcome":                                 {"outcome=mutated", "w2 w1 a"},
		"outcomes with a comma":                      {"outcome=rejected,unchanged", "c b"},
		"outcomes one by one":                        {"outcome=rejected&outcome=unchanged", "c b"},
		"an endpoint, whole":                         {"endpoint=http://b.svc/x", "w1"},
		"an endpoint, a part":                        {"endpoint=SVC/x", "w1"},
		"a user, whole, though others contain it":    {"user=system:serviceaccount:jhub:hub", "a"},
		"a user, a part":                             {"user=Serviceaccount:jhub", "b a"},
		"a Pod, whole":                               {"pod=jupyter-alice", "c a"},
		"a Pod, its start":                           {"pod=jupyter-", "c b a"},
		"a Pod, a part's start":                      {"pod=ali", "c a"},
		"a Pod, the middle of a part":                {"pod=lice", "c a"},
		"a Pod, across its parts":                    {"pod=ter-al", "c a"},
		"a Pod, two letters from a middle":           {"pod=li", ""},
		"a Pod and a namespace":                      {"pod=jupyter-alice&namespace=web", "c"},
		"a Deployment's Pod by its final name":       {"pod=web-6d4cf56db6-x8k2p", "v1 w2 w1"},
		"a final name that was not seen":             {"pod=web-6d4cf56db6-k9m3q", "w2 w1"},
		"a final name half typed":                    {"pod=web-6d4cf56db6-x8", "v1 w2 w1"},
		"a Deployment's Pod by the end of its name":  {"pod=x8k2p", "v1 w1"},
		"a forged stamp leads to its own event only": {"pod=zzzzz", "v2"},
		"a name longer than generateName makes":      {"pod=web-6d4cf56db6-x8k2pqq", ""},
		"upper case":                                 {"pod=Jupyter-Alice", "c a"},
		"what SQL and the index might misread":       {"pod=" + url.QueryEscape(`" OR t1 --*%_`), ""},
		"a user that SQL might misread":              {"user=" + url.QueryEscape(`%' OR 1=1 --`), ""},
		"from a time on":                             {"from=" + at(181), "v3 v2 v1 w2"},
		"up to a time, which is not part of it":      {"to=" + at(60), "a"},
		"between times":                              {"from=" + at(60) + "&to=" + at(121), "c b"},
		"from long ago on":                           {"from=58m30s", "v3 v2 v1 w2 w1 c"},
		"with a plus that was not escaped":           {"from=2026-03-01T13:03:01+01:00", "v3 v2 v1 w2"},
		"filters that never meet":                    {"namespace=jhub&outcome=rejected", ""},
		"everything at once":                         {"namespace=web&pod=web&outcome=mutated&endpoint=svc&user=rs&from=1d&to=1m", "w2 w1"},
	} {
		t.Run(name, func(t *testing.T) {
			l := get[listed](t, s, "/api/events?"+tc.query)
			if l.ids() != tc.want || l.Next != "" {
				t.Errorf("got %q, next %q, want %q", l.ids(), l.Next, tc.want)
			}
			query := tc.query
			if !strings.Contains(query, "from=") {
				query += "&from=2h" // the charts have a shorter memory of their own
			}
			// What streams is what is listed, but for the finds by final name, which take two events.
			f, err := parseFilter(must(url.ParseQuery(tc.query)), s.now())
			if err != nil {
				t.Fatal(err)
			}
			// Unfiltered, the charts go by whole minutes.
			if stats := get[store.Charts](t, s, "/api/stats?"+query); total(&stats) != int64(len(l.Items)) && !(f.All() && total(&stats) > int64(len(l.Items))) {
				t.Errorf("the charts count %d", total(&stats))
			}
			if tc.query == "pod=x8k2p" {
				return
			}
			var streamed []string
			for _, item := range streamOf(t, s, f, empty) {
				streamed = append(streamed, item.ID)
			}
			slices.Reverse(streamed)
			if got := strings.Join(streamed, " "); got != tc.want {
				t.Errorf("the stream has %q", got)
			}
		})
	}
}

func total(s *store.Charts) (n int64) {
	for _, b := range s.Buckets {
		for _, c := range b.Counts {
			n += c
		}
	}
	return n
}

// streamOf returns what a stream sends to a reader that was there since a position.
func streamOf(t testing.TB, s *Server, f store.Filter, after store.Position) []*store.Item {
	t.Helper()
	arrivals, err := s.store.Arrived(t.Context(), f, after, streamPage)
	if err != nil {
		t.Fatal(err)
	}
	var items []*store.Item
	for _, a := range arrivals.Events {
		items = append(items, a.Item)
	}
	return items
}

func TestBadRequestsAreExplained(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	for name, tc := range map[string]struct {
		target string
		status int
		want   string
	}{
		"an outcome":               {"/api/events?outcome=mutatd", 400, `parameter outcome: "mutatd" is not an outcome: want one or several, separated by commas, of mutated, unchanged, shadowed, denied, rejected, failedopen, validated`},
		"a time":                   {"/api/events?from=yesterday", 400, `parameter from: "yesterday" is not a time: want one as in RFC 3339 (2026-01-31T15:04:05Z), or how long ago (15m, 1h30m, 7d)`},
		"a time before all":        {"/api/events?to=0001-01-01T00:00:00Z", 400, "parameter to: want a time between the years 1970 and 3000"},
		"times the wrong way":      {"/api/events?from=1h&to=2h", 400, "parameters from and to: from has to be before to"},
		"a limit":                  {"/api/events?limit=1000", 400, `parameter limit: "1000" is not a limit: want a number from 1 to 200`},
		"a limit of nothing":       {"/api/events?limit=0", 400, "want a number from 1 to 200"},
		"a cursor":                 {"/api/events?cursor=xyz", 400, "parameter cursor: want the next of an earlier page"},
		"a format":                 {"/api/events?format=csv", 400, `parameter format: "csv" is not a format: want json or ndjson`},
		"a misspelt filter":        {"/api/events?namspace=jhub", 400, `unknown parameter "namspace": there are namespace, pod, outcome, endpoint, user, from, to`},
		"a filter twice":           {"/api/events?pod=a&pod=b", 400, "parameter pod: it is there 2 times, want it once"},
		"a filter of the charts":   {"/api/stats?limit=3", 400, `unknown parameter "limit"`},
		"a filter of the stream":   {"/api/events/stream?outcome=x", 400, "parameter outcome"},
		"an unknown event":         {"/api/events/nothing", 404, "there is no such event"},
		"another parameter of one": {"/api/events/a?x=1", 400, `unknown parameter "x": there is source`},
		"another address":          {"/api/event", 404, "there are api/events, api/events/{id}"},
	} {
		t.Run(name, func(t *testing.T) {
			w := do(t, s, "GET", tc.target, nil, nil)
			var body struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != tc.status || !strings.Contains(body.Error, tc.want) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	w := do(t, s, "DELETE", "/api/events", nil, nil)
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("DELETE: %d %v", w.Code, w.Header())
	}
}

func TestNamesThatFitTooManyAreFoundAllTheSame(t *testing.T) {
	eachStore(t, checkNamesThatFitTooManyAreFoundAllTheSame)
}

func checkNamesThatFitTooManyAreFoundAllTheSame(t *testing.T, newServer func(testing.TB, Config) *Server) {
	const many = 300 // the store searches otherwise for more names than 256
	s := newServer(t, Config{})
	var all []ev
	for i := range many {
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
	if n != many {
		t.Errorf("found %d", n)
	}
	if st := get[store.Charts](t, s, "/api/stats?from=2h&pod=job-"); total(&st) != many {
		t.Errorf("the charts count %d", total(&st))
	}
}
