package audit

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres/postgrestest"
	"github.com/txn2/amp/endpoints/events"
)

// countVariable says how many events TestFilterTimes stores. It is no flag: with a flag of its own, go test would not take the
// result of a test from its cache.
const countVariable = "AMP_AUDIT_EVENTS"

func count(t *testing.T) int {
	t.Helper()
	v := os.Getenv(countVariable)
	if v == "" {
		return 100
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s: want a number of events", countVariable, v)
	}
	return n
}

// judged is from how many events on TestFilterTimes judges times. Fewer say nothing about a search without an index.
const judged = 100_000

// slow is the longest that a median may be then. A search without an index takes seconds over a million events,
// one with an index a few ms, and a loaded machine makes that ten times as long.
const slow = 500 * time.Millisecond

// span is the range of time over which TestFilterTimes spreads events.
const span = 30 * 24 * time.Hour

// TestFilterTimes asks for the list and the charts by every filter, and prints how long each takes over as many
// events as AMP_AUDIT_EVENTS says. Few are enough to see that each filter works, and the packages of the stores test that each
// query goes by an index. Times are worth reading with a million events, or fifty thousand, as .ci/run has them:
//
//	AMP_AUDIT_EVENTS=1000000 go test ./endpoints/audit -run TestFilterTimes/PostgreSQL -timeout 2h -v
//
// AMP_AUDIT_MILLION names a file to keep SQLite's database in, which is used again.
func TestFilterTimes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){"SQLite": filterTimesOnSQLite, "PostgreSQL": filterTimesOnPostgres} {
		t.Run(name, test) // one after the other, so that neither disturbs the other's times
	}
}

func filterTimesOnSQLite(t *testing.T) {
	path := os.Getenv("AMP_AUDIT_MILLION")
	if path == "" {
		path = filepath.Join(t.TempDir(), "events.db")
	}
	_, err := os.Stat(path)
	s := newServerAt(t, Config{Path: path, Retention: 2 * span}, func() time.Time { return start.Add(span) })
	if err != nil {
		fillAndTell(t, s)
	}
	if info, err := os.Stat(path); err == nil {
		t.Logf("the database takes %d MiB, %d bytes an event", info.Size()>>20, info.Size()/int64(count(t)))
	}
	measureFilters(t, s)
}

func filterTimesOnPostgres(t *testing.T) {
	at := postgrestest.URL(t)
	s := newServerAt(t, Config{Postgres: Postgres{URL: at}, Retention: 2 * span}, func() time.Time { return start.Add(span) })
	fillAndTell(t, s)
	conn, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	// What autovacuum does by and by.
	if _, err := conn.Exec(t.Context(), "VACUUM ANALYZE"); err != nil {
		t.Fatal(err)
	}
	var table, texts, indexes int64
	err = conn.QueryRow(t.Context(), `SELECT coalesce(sum(pg_relation_size(oid)), 0)::bigint, coalesce(sum(pg_table_size(oid) - pg_relation_size(oid)), 0)::bigint, coalesce(sum(pg_indexes_size(oid)), 0)::bigint
		FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace`).Scan(&table, &texts, &indexes)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(count(t))
	t.Logf("the database takes %d MiB, %d bytes an event: %d in rows, %d in texts apart from them (TOAST), %d in indexes", (table+texts+indexes)>>20, (table+texts+indexes)/n, table/n, texts/n, indexes/n)
	measureFilters(t, s)
}

func fillAndTell(t *testing.T, s *Server) {
	began := time.Now()
	n := count(t)
	fill(t, s, n, span)
	took := time.Since(began)
	t.Logf("stored %d events in %s, %.0f a second", n, took.Round(time.Second), float64(n)/took.Seconds())
}

func measureFilters(t *testing.T, s *Server) {
	day := func(n int) string { return start.Add(time.Duration(n) * 24 * time.Hour).Format(time.RFC3339) }
	worst, times := time.Duration(0), 1
	judges := count(t) >= judged
	if judges {
		times = 5
	}
	measure := func(name, target string) {
		t.Helper()
		var all []time.Duration
		var page listed
		for range times {
			began := time.Now()
			w := do(t, s, "GET", target, nil, nil)
			all = append(all, time.Since(began))
			if w.Code != http.StatusOK {
				t.Fatalf("%s: %d %s", name, w.Code, w.Body)
			}
			page = listed{}
			if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
				t.Fatal(err)
			}
		}
		items := len(page.Items)
		first := all[0]
		slices.Sort(all)
		worst = max(worst, all[len(all)-1])
		note := ""
		if all[len(all)-1] > 100*time.Millisecond {
			note = "   OVER 100 ms"
		}
		if items == 0 && page.Next != "" {
			pages, began := 1, time.Now()
			for ; len(page.Items) == 0 && page.Next != ""; pages++ {
				page = get[listed](t, s, target+"&cursor="+page.Next)
			}
			note += fmt.Sprintf("   the first %d items on page %d, %.0f ms later", len(page.Items), pages, ms(time.Since(began)))
		}
		median := all[len(all)/2]
		t.Logf("%-62s %3d items  first %8.2f ms  median %8.2f ms%s", name, items, ms(first), ms(median), note)
		if judges && median > slow {
			t.Errorf("%s takes %s", name, median)
		}
	}
	for _, c := range []struct {
		name  string
		pairs []string
	}{
		{"nothing", nil},
		{"namespace, a big one", []string{"namespace", "team-0"}},
		{"namespace, a small one", []string{"namespace", "team-40"}},
		{"namespace, unknown", []string{"namespace", "nowhere"}},
		{"outcome, frequent", []string{"outcome", "mutated"}},
		{"outcome, rare", []string{"outcome", "rejected"}},
		{"outcome, two", []string{"outcome", "rejected,failedopen"}},
		{"endpoint, whole", []string{"endpoint", "http://hook-3.svc/mutate"}},
		{"endpoint, a part", []string{"endpoint", "hook-1"}},
		{"user, whole", []string{"user", "system:serviceaccount:kube-system:replicaset-controller"}},
		{"user, a part that many have", []string{"user", "serviceaccount"}},
		{"pod, a whole name", []string{"pod", "jupyter-user-1234"}},
		{"pod, a Deployment's, by its final name", []string{"pod", "web-0000000007-bcdfg"}},
		{"pod, the start of a few names", []string{"pod", "jupyter-user-123"}},
		{"pod, a part of a name", []string{"pod", "user-77"}},
		{"pod, the start of thousands of names", []string{"pod", "jupyter-"}},
		{"pod, the start of names that ended weeks ago", []string{"pod", "early-"}},
		{"pod, unknown", []string{"pod", "unknown"}},
		{"a day", []string{"from", day(10), "to", day(11)}},
		{"from a day on", []string{"from", day(3)}},
		{"up to a day", []string{"to", day(3)}},
		{"namespace and outcome", []string{"namespace", "team-0", "outcome", "rejected"}},
		{"namespace and endpoint that never meet", []string{"namespace", "team-0", "endpoint", "http://hook-7.svc/mutate"}},
		{"namespace and thousands of names, in a day", []string{"namespace", "team-1", "pod", "jupyter-", "from", day(10), "to", day(11)}},
		{"user and thousands of names that never meet", []string{"user", "system:serviceaccount:kube-system:replicaset-controller", "pod", "jupyter-"}},
		{"all of them", []string{"namespace", "team-0", "outcome", "mutated", "endpoint", "hook", "user", "serviceaccount", "pod", "web", "from", day(1), "to", day(29)}},
	} {
		q := url.Values{}
		for i := 0; i+1 < len(c.pairs); i += 2 {
			q.Set(c.pairs[i], c.pairs[i+1])
		}
		measure("list by "+c.name, "/api/events?"+q.Encode())
	}
	// A page far down.
	page := get[listed](t, s, "/api/events?outcome=mutated&limit=200&to="+url.QueryEscape(day(1)))
	measure("list, a page at the far end", "/api/events?outcome=mutated&cursor="+page.Next)
	for _, q := range []string{"", "from=1h", "from=24h", "from=30d", "namespace=team-0&from=30d", "outcome=rejected&from=30d", "pod=jupyter-&from=30d"} {
		measure("charts by "+q, "/api/stats?"+q)
	}
	measure("values", "/api/values")
	one := get[listed](t, s, "/api/events?outcome=mutated&limit=1").Items[0]
	measure("one event", "/api/events/"+one.ID)
	t.Logf("worst: %.1f ms", ms(worst))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// fillID returns the id of the i-th event of fill: as random as the API server's uids, which are half of what a packed event
// takes.
func fillID(i int) string {
	rng := rand.New(rand.NewPCG(uint64(i), 3))
	a, b := rng.Uint64(), rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}

// fill stores n events over a span: of each ten, four are JupyterHub users' Pods, four are Deployments' Pods
// with as many validated ones, one is a Job's with a name of its own. Namespaces are of different sizes.
func fill(t testing.TB, s *Server, n int, span time.Duration) {
	rng := rand.New(rand.NewPCG(1, 2))
	step := span / time.Duration(n)
	var batch []*store.Event
	flush := func() {
		if err := s.store.Add(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		batch = batch[:0]
	}
	add := func(i int, typ, id string, d events.Data) {
		at := start.Add(time.Duration(i) * step)
		ended, _ := outcome.Of(typ)
		d.UID, d.Level, d.Outcome, d.FailurePolicy, d.DurationMS = id, events.LevelPatch, ended, "Fail", 1+rng.ExpFloat64()*8
		data, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(map[string]any{"specversion": "1.0", "id": id, "source": source, "type": typ, "time": at.Format(time.RFC3339Nano), "datacontenttype": "application/json", "data": json.RawMessage(data)})
		if err != nil {
			t.Fatal(err)
		}
		e, err := parseStructured(body, s.now())
		if err != nil {
			t.Fatal(err)
		}
		if batch = append(batch, e); len(batch) == 1000 {
			flush()
		}
	}
	for i := range n {
		team := 0 // a third of all
		if rng.IntN(3) > 0 {
			team = rng.IntN(50)
		}
		ns := fmt.Sprintf("team-%d", team)
		// Namespace and endpoint never meet by halves.
		endpoint := fmt.Sprintf("http://hook-%d.svc/mutate", 2*rng.IntN(10)+team%2)
		typ := events.Mutated
		switch r := rng.IntN(1000); {
		case r < 3:
			typ = events.Rejected
		case r < 8:
			typ = events.FailedOpen
		case r < 150:
			typ = events.Unchanged
		}
		d := events.Data{Namespace: ns, Endpoints: []events.Endpoint{{URL: endpoint, Status: 200, DurationMS: 1 + rng.ExpFloat64()*5, Ops: 3}},
			Patch: []events.Op{{Step: 1, Op: "add", Path: "/spec/containers/0/env/-", Value: json.RawMessage(`{"name":"TEAM","value":"[redacted]"}`)},
				{Step: 1, Op: "add", Path: "/spec/volumes/-", Value: json.RawMessage(`{"name":"home","persistentVolumeClaim":{"claimName":"home"}}`)},
				{Op: "add", Path: "/metadata/annotations/amp.txn2.com~1event", Value: json.RawMessage(`"` + fillID(i) + `"`)}}}
		id := fillID(i)
		switch kind := i % 10; {
		case kind < 4:
			d.Pod.Name, d.User = fmt.Sprintf("jupyter-user-%d", rng.IntN(5000)), "system:serviceaccount:"+ns+":hub"
		case kind < 8 && kind%2 == 0:
			d.Pod.GenerateName, d.User = fmt.Sprintf("web-%010d-", rng.IntN(2000)), "system:serviceaccount:kube-system:replicaset-controller"
		case kind < 8:
			d.Pod.Name, d.User = fmt.Sprintf("web-%010d-%05d", rng.IntN(2000), i%100000), "system:serviceaccount:kube-system:replicaset-controller"
			d.Mutation, typ, d.Patch = fillID(i-1), events.Validated, nil
		case i < n/10:
			d.Pod.Name, d.User = fmt.Sprintf("early-%d", i), "system:serviceaccount:kube-system:job-controller"
		default:
			d.Pod.Name, d.User = fmt.Sprintf("batch-%d", i), "system:serviceaccount:kube-system:job-controller"
		}
		add(i, typ, id, d)
	}
	flush()
}
