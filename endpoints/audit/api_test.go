package audit

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/endpoints/events"
)

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

func TestFilters(t *testing.T) {
	s := newServer(t, Config{})
	cluster(t, s)
	at := func(seconds int) string { return start.Add(time.Duration(seconds) * time.Second).Format(time.RFC3339) }
	for name, tc := range map[string]struct{ query, want string }{
		"nothing wanted in particular":                {"", "v3 v2 v1 w2 w1 c b a"},
		"a namespace":                                 {"namespace=jhub", "v2 b a"},
		"a namespace that only begins so":             {"namespace=jhu", ""},
		"an outcome":                                  {"outcome=mutated", "w2 w1 a"},
		"outcomes with a comma":                       {"outcome=rejected,unchanged", "c b"},
		"outcomes one by one":                         {"outcome=rejected&outcome=unchanged", "c b"},
		"an endpoint, whole":                          {"endpoint=http://b.svc/x", "w1"},
		"an endpoint, a part":                         {"endpoint=SVC/x", "w1"},
		"a user, whole, though others contain it":     {"user=system:serviceaccount:jhub:hub", "a"},
		"a user, a part":                              {"user=Serviceaccount:jhub", "b a"},
		"a Pod, whole":                                {"pod=jupyter-alice", "c a"},
		"a Pod, its start":                            {"pod=jupyter-", "c b a"},
		"a Pod, a part's start":                       {"pod=ali", "c a"},
		"a Pod, the middle of a part":                 {"pod=lice", ""},
		"a Pod and a namespace":                       {"pod=jupyter-alice&namespace=web", "c"},
		"a Deployment's Pod by its final name":        {"pod=web-6d4cf56db6-x8k2p", "v1 w2 w1"},
		"a final name that nobody saw":                {"pod=web-6d4cf56db6-k9m3q", "w2 w1"},
		"a final name half typed":                     {"pod=web-6d4cf56db6-x8", "v1 w2 w1"},
		"a Deployment's Pod by the end of its name":   {"pod=x8k2p", "v1 w1"},
		"a forger's name leads to nothing but itself": {"pod=zzzzz", "v2"},
		"a name longer than generateName makes":       {"pod=web-6d4cf56db6-x8k2pqq", ""},
		"upper case":                                  {"pod=Jupyter-Alice", "c a"},
		"what SQL and the index might misread":        {"pod=" + url.QueryEscape(`" OR t1 --*%_`), ""},
		"a user that SQL might misread":               {"user=" + url.QueryEscape(`%' OR 1=1 --`), ""},
		"from a time on":                              {"from=" + at(181), "v3 v2 v1 w2"},
		"up to a time, which is not part of it":       {"to=" + at(60), "a"},
		"between times":                               {"from=" + at(60) + "&to=" + at(121), "c b"},
		"from long ago on":                            {"from=58m30s", "v3 v2 v1 w2 w1 c"},
		"with a plus that was not escaped":            {"from=2026-03-01T13:03:01+01:00", "v3 v2 v1 w2"},
		"filters that never meet":                     {"namespace=jhub&outcome=rejected", ""},
		"everything at once":                          {"namespace=web&pod=web&outcome=mutated&endpoint=svc&user=rs&from=1d&to=1m", "w2 w1"},
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
			if stats := get[Stats](t, s, "/api/stats?"+query); total(&stats) != int64(len(l.Items)) && !(f.isZero() && total(&stats) > int64(len(l.Items))) {
				t.Errorf("the charts count %d", total(&stats))
			}
			if tc.query == "pod=x8k2p" {
				return
			}
			var streamed []string
			for _, item := range streamOf(t, s, f) {
				streamed = append(streamed, item.ID)
			}
			slices.Reverse(streamed)
			if got := strings.Join(streamed, " "); got != tc.want {
				t.Errorf("the stream has %q", got)
			}
		})
	}
}

func total(s *Stats) (n int64) {
	for _, b := range s.Buckets {
		for _, c := range b.Counts {
			n += c
		}
	}
	return n
}

func TestWhatIsWrongWithARequestIsSaid(t *testing.T) {
	s := newServer(t, Config{})
	for name, tc := range map[string]struct {
		target string
		status int
		want   string
	}{
		"an outcome":               {"/api/events?outcome=mutatd", 400, `parameter outcome: "mutatd" is none: want one or several, separated by commas, of mutated, unchanged, shadowed, rejected, failedopen, validated`},
		"a time":                   {"/api/events?from=yesterday", 400, `parameter from: "yesterday" is no time: want one as in RFC 3339 (2026-01-31T15:04:05Z), or how long ago (15m, 1h30m, 7d)`},
		"a time before all":        {"/api/events?to=0001-01-01T00:00:00Z", 400, "parameter to: want a time between the years 1970 and 3000"},
		"times the wrong way":      {"/api/events?from=1h&to=2h", 400, "parameters from and to: from has to be before to"},
		"a limit":                  {"/api/events?limit=1000", 400, `parameter limit: "1000" is none: want a number from 1 to 200`},
		"a limit of nothing":       {"/api/events?limit=0", 400, "want a number from 1 to 200"},
		"a cursor":                 {"/api/events?cursor=xyz", 400, "parameter cursor: want the next of an earlier page"},
		"a format":                 {"/api/events?format=csv", 400, `parameter format: "csv" is none: want json or ndjson`},
		"a misspelt filter":        {"/api/events?namspace=jhub", 400, `unknown parameter "namspace": there are namespace, pod, outcome, endpoint, user, from, to`},
		"a filter twice":           {"/api/events?pod=a&pod=b", 400, "parameter pod: it is there 2 times, want it once"},
		"a filter of the charts":   {"/api/stats?limit=3", 400, `unknown parameter "limit"`},
		"a filter of the stream":   {"/api/events/stream?outcome=x", 400, "parameter outcome"},
		"an event that is not":     {"/api/events/nobody", 404, "there is no such event"},
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

func TestPagesAreStableUnderInserts(t *testing.T) {
	s := newServer(t, Config{})
	var all []ev
	for i := range 25 {
		all = append(all, ev{id: fmt.Sprintf("e%02d", i), at: float64(i)})
	}
	post(t, s, all...)
	var got []string
	next := ""
	for page := 0; ; page++ {
		l := get[listed](t, s, "/api/events?limit=10&outcome=mutated&cursor="+next)
		for _, item := range l.Items {
			got = append(got, item.ID)
		}
		// Newer ones come in meanwhile, and one that is late.
		post(t, s, ev{id: fmt.Sprintf("new%d", page), at: float64(100 + page)})
		if next = l.Next; next == "" {
			break
		}
	}
	var want []string
	for i := 24; i >= 0; i-- {
		want = append(want, fmt.Sprintf("e%02d", i))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestExportCanBePostedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		target string
		accept string
		lines  int
	}{
		"by format":        {"/api/events?format=ndjson", "", 8},
		"by Accept":        {"/api/events", "application/x-ndjson", 8},
		"filtered":         {"/api/events?format=ndjson&namespace=jhub", "", 3},
		"so many":          {"/api/events?format=ndjson&limit=2", "", 2},
		"more than a page": {"/api/events?format=ndjson&namespace=many", "", 450},
		"none":             {"/api/events?format=ndjson&namespace=nowhere", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, Config{})
			cluster(t, s)
			if tc.lines > 200 {
				var all []ev
				for i := range tc.lines {
					all = append(all, ev{id: fmt.Sprint("many", i), at: -float64(i), data: events.Data{Namespace: "many"}})
				}
				post(t, s, all...)
			}
			w := do(t, s, "GET", tc.target, map[string]string{"Accept": tc.accept}, nil)
			lines := strings.Split(strings.TrimSuffix(w.Body.String(), "\n"), "\n")
			if tc.lines == 0 && w.Body.Len() == 0 {
				return
			}
			if len(lines) != tc.lines || w.Header().Get("Content-Type") != "application/x-ndjson" {
				t.Fatalf("%d lines of %s", len(lines), w.Header().Get("Content-Type"))
			}
			other := newServer(t, Config{})
			for _, line := range lines {
				if w := do(t, other, "POST", "/", map[string]string{"Content-Type": structured}, []byte(line)); w.Code != http.StatusNoContent {
					t.Fatalf("posting %s: %d %s", line, w.Code, w.Body)
				}
			}
			if l := get[listed](t, other, "/api/events?limit=200"); len(l.Items) != min(tc.lines, 200) {
				t.Errorf("%d arrived", len(l.Items))
			}
		})
	}
}

func TestOneEvent(t *testing.T) {
	s := newServer(t, Config{})
	cluster(t, s)
	d := get[Detail](t, s, "/api/events/w1")
	if len(d.Seen) != 1 || d.Seen[0].Name != "web-6d4cf56db6-x8k2p" || d.Seen[0].UID != "u1" || len(d.Item.Seen) != 1 {
		t.Errorf("seen %+v: a stamp of another namespace or name must not count", d.Seen)
	}
	if l := get[listed](t, s, "/api/events?outcome=mutated"); cmp.Diff(l.Items[1].Seen, []string{"web-6d4cf56db6-x8k2p"}) != "" || l.Items[0].Seen != nil {
		t.Errorf("the list says %v and %v", l.Items[0].Seen, l.Items[1].Seen)
	}
	if d := get[Detail](t, s, "/api/events/v1"); d.Mutation == nil || d.Mutation.Item == nil || d.Mutation.Item.ID != "w1" {
		t.Errorf("the stamp leads to %+v", d.Mutation)
	}
	if d := get[Detail](t, s, "/api/events/v2"); d.Mutation == nil || d.Mutation.Item != nil || !strings.Contains(d.Mutation.Reason, "another Pod") {
		t.Errorf("the forged stamp leads to %+v", d.Mutation)
	}
	var event struct {
		SpecVersion, ID, Source, Type string
		Data                          events.Data
	}
	if err := json.Unmarshal(d.Event, &event); err != nil || event.SpecVersion != "1.0" || event.ID != "w1" || event.Data.Pod.GenerateName != "web-6d4cf56db6-" {
		t.Errorf("the raw event is %s, %v", d.Event, err)
	}

	// Another cluster may have the same ids.
	post(t, s, ev{id: "w1", source: "urn:other", at: 5})
	w := do(t, s, "GET", "/api/events/w1", nil, nil)
	if w.Code != http.StatusMultipleChoices || !strings.Contains(w.Body.String(), "urn:other") || !strings.Contains(w.Body.String(), source) {
		t.Errorf("an id of two sources: %d %s", w.Code, w.Body)
	}
	if d := get[Detail](t, s, "/api/events/w1?source=urn:other"); d.Item.Source != "urn:other" || len(d.Seen) != 0 {
		t.Errorf("got %+v", d.Item)
	}
}

func TestAFinalVerdictSupersedes(t *testing.T) {
	base := ev{id: "u1", at: 1}
	verdict := ev{id: "u1/final", at: 2, typ: events.Rejected, data: events.Data{Pod: events.Pod{Name: "pod-u1"}, Message: "the sink did not answer"}}
	for name, order := range map[string][]ev{"in order": {base, verdict}, "in the other order": {verdict, base}} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, Config{})
			post(t, s, ev{id: "u1", source: "urn:other", at: 1}) // of another cluster
			for _, e := range order {
				post(t, s, e)
				post(t, s, e) // again, as a Broker may
			}
			for _, q := range []string{"", "pod=pod-u1", "namespace=jhub", "from=2h"} {
				if l := get[listed](t, s, "/api/events?"+q); l.ids() != "u1/final u1" || l.Items[1].Source != "urn:other" {
					t.Errorf("%q lists %q", q, l.ids())
				}
			}
			if l := get[listed](t, s, "/api/events?outcome=mutated&user=alice"); l.ids() != "u1" {
				t.Errorf("by the earlier outcome there is %q", l.ids())
			}
			d := get[Detail](t, s, "/api/events/u1%2Ffinal")
			if d.Superseded || len(d.Verdicts) != 1 || d.Verdicts[0].ID != "u1" || d.Verdicts[0].Source != source {
				t.Errorf("the final one: %+v", d)
			}
			d = get[Detail](t, s, "/api/events/u1?source="+source)
			if !d.Superseded || len(d.Verdicts) != 1 || d.Verdicts[0].Outcome != "rejected" {
				t.Errorf("the earlier one: %+v", d)
			}
			for _, q := range []string{"", "&namespace=jhub"} {
				stats := get[Stats](t, s, "/api/stats?from=2h"+q)
				if len(stats.Buckets) != 1 || cmp.Diff(stats.Buckets[0].Counts, map[string]int64{"mutated": 1, "rejected": 1}) != "" || stats.Buckets[0].Calls != 2 {
					t.Errorf("the charts count %+v", stats.Buckets[0])
				}
			}
		})
	}
}

func TestStats(t *testing.T) {
	s := newServer(t, Config{})
	var all []ev
	for i := range 100 {
		ms, failed := 10.0, ""
		if i >= 98 {
			ms, failed = 400, "late"
		}
		all = append(all, ev{id: fmt.Sprint(i), at: float64(i * 30), data: events.Data{Endpoints: []events.Endpoint{{URL: "http://a.svc", DurationMS: ms, Error: failed}}}})
	}
	all = append(all, ev{id: "r", at: 0, typ: events.Rejected, data: events.Data{Namespace: "web", Endpoints: []events.Endpoint{{URL: "http://b.svc", DurationMS: 2}}}})
	post(t, s, all...)
	near := func(got, want float64) bool { return got > want*.97 && got < want*1.03 }
	for name, tc := range map[string]struct {
		query  string
		n      int64
		p50    float64
		p99    float64
		bucket int64
	}{
		"sums by minutes":     {"from=2h", 101, 10, 400, 300},
		"sums by hours":       {"from=7d", 101, 10, 400, 3 * 3600},
		"filtered":            {"from=2h&namespace=jhub", 100, 10, 400, 300},
		"without a beginning": {"", 101, 10, 400, 600},
	} {
		t.Run(name, func(t *testing.T) {
			st := get[Stats](t, s, "/api/stats?"+tc.query)
			if total(&st) != tc.n || st.BucketSeconds != tc.bucket || !st.Complete {
				t.Errorf("%d in buckets of %d s", total(&st), st.BucketSeconds)
			}
			if e := st.Endpoints[0]; e.URL != "http://a.svc" || e.Calls != 100 || e.Errors != 2 || !near(e.P50, tc.p50) || !near(e.P99, tc.p99) {
				t.Errorf("endpoint %+v", e)
			}
			if !slices.IsSortedFunc(st.Buckets, func(a, b *StatsBucket) int { return a.Start.Compare(b.Start) }) {
				t.Error("the buckets are out of order")
			}
		})
	}
}

func TestQuantilesAreCloseEnough(t *testing.T) {
	var h histogram
	for i := 1; i <= 10000; i++ {
		h[classOf(float64(i)/100)]++ // 0.01 to 100 ms
	}
	for q, want := range map[float64]float64{.5: 50, .9: 90, .99: 99, 1: 100} {
		if got := h.quantile(q); got < want*.97 || got > want*1.03 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	var again histogram
	again.add(h.encode())
	if again != h {
		t.Error("it is not read as it was written")
	}
	again.add([]byte{0xff})
	for _, ms := range []float64{-1, 0, 1e300} {
		if c := classOf(ms); c < 0 || c > classMost {
			t.Errorf("%v ms are of class %d", ms, c)
		}
	}
}

func TestThePageIsServedAnywhere(t *testing.T) {
	s := newServer(t, Config{})
	for name, tc := range map[string]struct {
		target, prefix string
		status         int
		want           string
	}{
		"at the root":                      {"/", "", 200, "<title>amp audit</title>"},
		"below a prefix":                   {"/a/b/", "", 200, "<title>amp audit</title>"},
		"below a prefix that is taken off": {"/a/b/", "/a/b", 200, "<title>amp audit</title>"},
		"its script":                       {"/a/b/app.js", "/a/b/", 200, "'use strict'"},
		"its style":                        {"/style.css", "", 200, ":root"},
		"without the slash at the end":     {"/a/b?pod=x", "", 302, "./b/?pod=x"},
		"the same, with the prefix taken":  {"/a/b?pod=x", "/a/b", 302, "./b/?pod=x"},
		"its API below a prefix":           {"/a/b/api/values", "/a/b", 200, `"outcomes"`},
		"its API, a slash taken too":       {"/a/b/api/values", "/a/b/", 200, `"outcomes"`},
		"another file":                     {"/favicon.ico", "", 404, "no such file"},
		"a file outside":                   {"/..%2Faudit.go", "", 404, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			w := do(t, http.StripPrefix(tc.prefix, s), "GET", tc.target, nil, nil)
			if got := w.Body.String() + w.Header().Get("Location"); w.Code != tc.status || !strings.Contains(got, tc.want) {
				t.Errorf("%d %.300s", w.Code, got)
			}
			if got := w.Header().Get("Content-Security-Policy"); got != "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'" {
				t.Errorf("the policy is %q", got)
			}
		})
	}
	page, err := os.ReadFile("page/index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, no := range []string{"<style", " style=", "onclick", "http://", "https://", "//cdn", "javascript:"} {
		if strings.Contains(strings.ReplaceAll(string(page), "xmlns='http://www.w3.org/2000/svg'", ""), no) {
			t.Errorf("the page has %q", no)
		}
	}
	for _, file := range []string{"page/app.js", "page/charts.js"} {
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, no := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"} {
			if strings.Contains(string(script), no) {
				t.Errorf("%s has %s: values reach the document as text only", file, no)
			}
		}
	}
}

func TestTokens(t *testing.T) {
	dir := t.TempDir()
	write := func(name, token string) string {
		if err := os.WriteFile(dir+"/"+name, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir + "/" + name
	}
	reading, writing := write("read", "r3ad\n"), write("write", "wr1te")
	s := newServer(t, Config{ReadTokenFile: reading, WriteTokenFile: writing})
	body := ev{id: "a"}.json(t)
	status := func(method, target, bearer string) int {
		h := map[string]string{"Content-Type": structured}
		if bearer != "" {
			h["Authorization"] = bearer
		}
		return do(t, s, method, target, h, body).Code
	}
	for name, tc := range map[string]struct {
		method, target, bearer string
		want                   int
	}{
		"reading without":                {"GET", "/api/events", "", 401},
		"reading with":                   {"GET", "/api/events", "Bearer r3ad", 200},
		"reading with it in lower case":  {"GET", "/api/events", "bearer r3ad", 200},
		"reading with the other one":     {"GET", "/api/events", "Bearer wr1te", 401},
		"reading by Basic":               {"GET", "/api/events", "Basic r3ad", 401},
		"reading with nothing behind it": {"GET", "/api/events", "Bearer ", 401},
		"one event without":              {"GET", "/api/events/a", "", 401},
		"the stream without":             {"GET", "/api/events/stream", "", 401},
		"the charts without":             {"GET", "/api/stats", "", 401},
		"values without":                 {"GET", "/api/values", "", 401},
		"the export without":             {"GET", "/api/events?format=ndjson", "", 401},
		"the page, which holds nothing":  {"GET", "/", "", 200},
		"posting without":                {"POST", "/", "", 401},
		"posting with":                   {"POST", "/", "Bearer wr1te", 204},
		"posting with the other one":     {"POST", "/", "Bearer r3ad", 401},
	} {
		t.Run(name, func(t *testing.T) {
			if got := status(tc.method, tc.target, tc.bearer); got != tc.want {
				t.Errorf("%d, want %d", got, tc.want)
			}
		})
	}

	login := func(token string, h map[string]string) *httptest.ResponseRecorder {
		header := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
		for k, v := range h {
			header[k] = v
		}
		return do(t, s, "POST", "/audit/login", header, []byte(url.Values{"token": {token}}.Encode()))
	}
	if w := login("r3a", nil); w.Code != http.StatusUnauthorized || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("with a wrong token: %d %v", w.Code, w.Header())
	}
	if w := login("r3ad", map[string]string{"Sec-Fetch-Site": "cross-site"}); w.Code != http.StatusForbidden {
		t.Errorf("from another site: %d", w.Code)
	}
	w := login("r3ad", map[string]string{"X-Forwarded-Proto": "https"})
	set := w.Header().Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Secure"} {
		if !strings.Contains(set, want) {
			t.Errorf("the cookie %q is not %s", set, want)
		}
	}
	if strings.Contains(set, "r3ad") {
		t.Error("the cookie holds the token")
	}
	cookie, _, _ := strings.Cut(set, ";")
	with := func(cookie string) int {
		return do(t, s, "GET", "/api/events", map[string]string{"Cookie": cookie}, nil).Code
	}
	if with(cookie) != 200 || with(cookie+"0") != 401 || with("amp_audit=99999999999."+strings.Repeat("0", 64)) != 401 {
		t.Error("the cookie is not taken, or a forged one is")
	}
	if got := do(t, s, "POST", "/", map[string]string{"Cookie": cookie, "Content-Type": structured}, body).Code; got != 401 {
		t.Errorf("the cookie lets one post: %d", got)
	}
	now := s.now()
	s.now = func() time.Time { return now.Add(session + time.Second) }
	if with(cookie) != 401 {
		t.Error("the cookie outlives its session")
	}
	s.now = func() time.Time { return now }

	// Rotated, the old ones end, cookie included.
	write("read", "another")
	if status("GET", "/api/events", "Bearer r3ad") != 401 || status("GET", "/api/events", "Bearer another") != 200 || with(cookie) != 401 {
		t.Error("a rotated token is not read again")
	}
	// A file that has gone or is empty opens nothing.
	write("read", " \n")
	if got := status("GET", "/api/events", "Bearer "); got != 503 {
		t.Errorf("an empty file: %d", got)
	}
	if err := os.Remove(writing); err != nil {
		t.Fatal(err)
	}
	if got := status("POST", "/", "Bearer wr1te"); got != 503 {
		t.Errorf("no file: %d", got)
	}
	if _, err := New(Config{ReadTokenFile: reading}); err == nil || !strings.Contains(err.Error(), "the file is empty") {
		t.Errorf("starting with it: %v", err)
	}
}

func TestConfigFromTheEnvironment(t *testing.T) {
	env := map[string]string{"AMP_AUDIT_RETENTION": "1w", "AMP_AUDIT_READ_TOKEN_FILE": "/nowhere/read", "AMP_AUDIT_WRITE_TOKEN_FILE": "/nowhere/write", "AMP_AUDIT_DB": "/data/x?mode=ro"}
	_, err := configFrom(func(k string) string { return env[k] })
	for variable := range env {
		if err == nil || !strings.Contains(err.Error(), variable) {
			t.Errorf("%s is not reported: %v", variable, err)
		}
	}
	config, err := configFrom(func(k string) string {
		return map[string]string{"AMP_AUDIT_DB": "/data/events.db", "AMP_AUDIT_RETENTION": "48h"}[k]
	})
	if err != nil || config.Path != "/data/events.db" || config.Retention != 48*time.Hour {
		t.Errorf("%+v, %v", config, err)
	}
}
