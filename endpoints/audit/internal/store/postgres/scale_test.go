package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres/postgrestest"
	"github.com/txn2/amp/endpoints/events"
)

const (
	// scaleDay is how many events the database of TestScale has of each day: with 30 days it has 10 million.
	scaleDay = 333_333
	// scaleBodies is how many different items and events fill its rows: to make each anew takes longer than to load it.
	scaleBodies = 20_000
	scaleTeams  = 500
)

// A figure is what TestScale measures with one size of the database.
type figure struct {
	Events, Bytes, Rows, Indexes int64 // bytes: of all, of rows, of indexes
	Load                         string
	Single, Batch                float64            // events a second that Add takes, from 32 callers, one each and 100 each
	P50, P99                     map[string]float64 // ms
}

// TestScale loads as many events as AMP_AUDIT_SCALE says, in millions (1,10), with COPY, and measures at each size how many
// events the store takes, and how long each filter takes. Without AMP_AUDIT_SCALE it loads some thousand, to see that it works.
// AMP_AUDIT_SCALE_OUT names a file for the figures: test/bench draws them.
func TestScale(t *testing.T) {
	sizes, perDay, rounds := []int{3}, 1000, 2 // days
	if at := os.Getenv("AMP_AUDIT_SCALE"); at != "" {
		sizes, perDay, rounds = nil, scaleDay, 50
		for text := range strings.SplitSeq(at, ",") {
			millions, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatalf("AMP_AUDIT_SCALE: %v: want millions of events, as in 1,10", err)
			}
			sizes = append(sizes, int(millions*1e6/scaleDay+0.5))
		}
	}
	// As a database of that size has it: memory, and a disk that is waited for. What is loaded needs no log.
	server := postgrestest.Start(t, "shared_buffers=1GB", "maintenance_work_mem=256MB", "fsync=on", "wal_level=minimal", "max_wal_senders=0", "max_wal_size=1GB")
	s, err := Open(Config{URL: server.URL(t), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &loader{t: t, s: s, now: dayOf(time.Now()), rng: rand.New(rand.NewPCG(1, 2)), perDay: perDay}
	l.prepare()
	var figures []figure
	for _, days := range sizes {
		began := time.Now()
		before := l.days
		for l.days < days {
			l.day()
		}
		took := time.Since(began)
		l.analyse()
		t.Logf("%d events; loaded %d days in %s", l.seq, l.days-before, took.Round(time.Second))
		f := l.measure(rounds)
		figures = append(figures, f)
		text, err := json.MarshalIndent(figures, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", text)
		if out := os.Getenv("AMP_AUDIT_SCALE_OUT"); out != "" {
			if err := os.WriteFile(out, text, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A loader fills a database day by day, from yesterday back.
type loader struct {
	t      testing.TB
	s      *Store
	now    time.Time // the beginning of today
	rng    *rand.Rand
	perDay int

	days int
	seq  int64
	ids  []string // of some events
	body []*row   // items and events, packed
}

// prepare makes the bodies: of each ten events four are of JupyterHub users' Pods, two of Deployments' Pods with as many
// validated ones, two of Jobs' Pods.
func (l *loader) prepare() {
	if err := l.s.ready(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	for n := range min(scaleBodies, 10*l.perDay) {
		item := l.item(n, l.now)
		id := uuid(l.rng)
		item.ID = id
		item.Type, item.Gist, item.Ops = "com.txn2.amp.pod."+item.Outcome+".v1", "3 changes: env TEAM, volume home, label team", 3
		d := events.Data{UID: id, Level: events.LevelPatch, Namespace: item.Namespace, Pod: events.Pod{Name: item.Name, GenerateName: item.GenerateName}, User: item.User,
			Operation: "mutate", Outcome: item.Outcome, FailurePolicy: "Fail", DurationMS: item.DurationMS, Mutation: item.Mutation,
			Endpoints: []events.Endpoint{{URL: item.Endpoints[0].URL, Status: 200, DurationMS: item.Endpoints[0].DurationMS, Ops: 3}},
			Patch: []events.Op{{Step: 1, Op: "add", Path: "/spec/containers/0/env/-", Value: json.RawMessage(`{"name":"TEAM","value":"[redacted]"}`)},
				{Step: 1, Op: "add", Path: "/spec/volumes/-", Value: json.RawMessage(`{"name":"home","persistentVolumeClaim":{"claimName":"home"}}`)},
				{Step: 1, Op: "add", Path: "/metadata/labels/team", Value: json.RawMessage(`"` + item.Namespace + `"`)},
				{Op: "add", Path: "/metadata/annotations/amp.txn2.com~1event", Value: json.RawMessage(`"` + id + `"`)}}}
		raw, err := json.Marshal(map[string]any{"specversion": "1.0", "id": id, "source": item.Source, "type": item.Type, "time": item.Time, "subject": item.Namespace + "/" + store.PodKey(item),
			"datacontenttype": "application/json", "dataschema": "https://amp.txn2.com/schemas/events.v1.json", "namespace": item.Namespace, "outcome": item.Outcome, "data": d})
		if err != nil {
			l.t.Fatal(err)
		}
		text, err := json.Marshal(item)
		if err != nil {
			l.t.Fatal(err)
		}
		r := &row{event: &store.Event{Item: item, Raw: raw}}
		r.item, r.raw = packed.Pack(text, raw)
		l.body = append(l.body, r)
	}
}

func uuid(rng *rand.Rand) string {
	a, b := rng.Uint64(), rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}

// item returns what filters and charts see of the n-th event.
func (l *loader) item(n int, at time.Time) *store.Item {
	rng := l.rng
	team := 0 // a third of all
	if rng.IntN(3) > 0 {
		team = rng.IntN(scaleTeams)
	}
	ns := "team-" + strconv.Itoa(team)
	i := &store.Item{Source: "https://amp.example/cluster-" + strconv.Itoa(team%50), Time: at, Outcome: outcome.Mutated, Namespace: ns, DurationMS: 1 + rng.ExpFloat64()*8,
		Endpoints: []store.Call{{URL: fmt.Sprintf("http://hook-%d.platform.svc/mutate", 2*rng.IntN(10)+team%2), DurationMS: 1 + rng.ExpFloat64()*5}}}
	switch r := rng.IntN(1000); {
	case r < 3:
		i.Outcome = outcome.Rejected
	case r < 8:
		i.Outcome = outcome.FailedOpen
	case r < 150:
		i.Outcome = outcome.Unchanged
	}
	switch kind := n % 10; {
	case kind < 4:
		i.Name, i.User = "jupyter-user-"+strconv.Itoa(rng.IntN(50_000)), "system:serviceaccount:"+ns+":hub"
	case kind < 8 && kind%2 == 0:
		i.GenerateName, i.User = fmt.Sprintf("web-%010x-", uint32(rng.IntN(20_000))*2654435761), "system:serviceaccount:kube-system:replicaset-controller"
	case kind < 8:
		i.Name = fmt.Sprintf("web-%010x-%s", uint32(rng.IntN(20_000))*2654435761, strconv.FormatInt(int64(60466176/36+rng.IntN(58000000)), 36)[:5])
		i.User, i.Outcome, i.Mutation = "system:serviceaccount:kube-system:replicaset-controller", outcome.Validated, uuid(rng)
	default:
		i.Name, i.User = "batch-"+strconv.Itoa(n), "system:serviceaccount:kube-system:job-controller"
	}
	return i
}

// day loads one more day, as the partition of it. PostgreSQL makes its indexes when it is attached.
func (l *loader) day() {
	ctx := l.t.Context()
	from := l.now.AddDate(0, 0, -1-l.days)
	name := partPrefix + from.Format(partLayout)
	sums := store.NewSums()
	var sample []*row
	n := 0
	step := day / time.Duration(l.perDay)
	source := pgx.CopyFromFunc(func() ([]any, error) {
		if n == l.perDay {
			return nil, nil
		}
		at := from.Add(time.Duration(n) * step).Truncate(time.Microsecond)
		item := l.item(l.days*l.perDay+n, at)
		item.ID = uuid(l.rng)
		sums.Add(item, func(i int) int64 { return hash(kindEndpoint, item.Endpoints[i].URL) })
		b := l.body[l.rng.IntN(len(l.body))]
		if n%1000 == 0 {
			sample = append(sample, &row{event: &store.Event{Item: item}, at: at})
			l.ids = append(l.ids, item.ID)
		}
		var mutation, uid any
		if item.Mutation != "" {
			mutation, uid = hash(kindID, item.Mutation), uuid(l.rng)
		}
		n++
		l.seq++
		return []any{at, l.seq, hash(kindID, item.ID), hash(kindSource, item.Source), item.Outcome, false, store.PodKey(item), mutation, uid, wordsOf(item), b.item, b.raw}, nil
	})
	err := pgx.BeginFunc(ctx, l.s.write, func(tx pgx.Tx) error {
		make := fmt.Sprintf("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; CREATE TABLE %s (LIKE audit_events) WITH (toast_tuple_target = 1024)", name)
		if _, err := tx.Exec(ctx, make); err != nil {
			return err
		}
		columns := []string{"at", "seq", "id", "source", "outcome", "superseded", "pod", "mutation", "uid", "words", "item", "event"}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{name}, columns, source); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, fmt.Sprintf("ALTER TABLE audit_events ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')", name, from.Format(time.RFC3339), from.AddDate(0, 0, 1).Format(time.RFC3339))); err != nil {
			return err
		}
		before, err := readSums(ctx, tx, sums)
		if err != nil {
			return err
		}
		batch := new(pgx.Batch)
		l.s.queueTerms(batch, sample)
		queueSums(batch, sums, before)
		batch.Queue("UPDATE audit_meta SET seq = $1", l.seq)
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.days++
	l.t.Logf("%s: day %d", time.Now().Format(time.TimeOnly), l.days)
}

// analyse does what autovacuum does by and by.
func (l *loader) analyse() {
	conn, err := l.s.write.Acquire(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Release()
	for _, statement := range []string{"SET statement_timeout = 0", "VACUUM ANALYZE", "RESET statement_timeout", "CHECKPOINT"} {
		if _, err := conn.Exec(l.t.Context(), statement); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *loader) measure(rounds int) figure {
	f := figure{Events: l.seq, P50: map[string]float64{}, P99: map[string]float64{}}
	load, _ := os.ReadFile("/proc/loadavg") // for a person
	f.Load = strings.TrimSpace(string(load))
	err := l.s.write.QueryRow(l.t.Context(), `SELECT sum(pg_total_relation_size(oid))::bigint, sum(pg_table_size(oid))::bigint, sum(pg_indexes_size(oid))::bigint
		FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace`).Scan(&f.Bytes, &f.Rows, &f.Indexes)
	if err != nil {
		l.t.Fatal(err)
	}
	for name, do := range l.questions() {
		var all []float64
		for range rounds {
			began := time.Now()
			if err := do(l.t.Context()); err != nil {
				l.t.Errorf("%s: %v", name, err)
			}
			all = append(all, float64(time.Since(began).Microseconds())/1000)
		}
		slices.Sort(all)
		f.P50[name], f.P99[name] = all[len(all)/2], all[len(all)*99/100]
		l.t.Logf("%-50s p50 %8.2f ms  p99 %8.2f ms", name, f.P50[name], f.P99[name])
	}
	f.Single, f.Batch = l.rate(1, rounds), l.rate(100, (rounds+9)/10)
	l.t.Logf("Add: %.0f events/s one by one, %.0f events/s in batches of 100", f.Single, f.Batch)
	return f
}

// questions are what readers ask, each time for other values where there are.
func (l *loader) questions() map[string]func(context.Context) error {
	rng := rand.New(rand.NewPCG(3, 4))
	list := func(filter func() store.Filter) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := l.s.List(ctx, store.Query{Filter: filter(), Limit: 50})
			return err
		}
	}
	team := func() string { return "team-" + strconv.Itoa(1+rng.IntN(scaleTeams-1)) }
	charts := func(filter func() store.Filter) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := l.s.Charts(ctx, filter())
			return err
		}
	}
	first := l.now.AddDate(0, 0, -l.days)
	return map[string]func(context.Context) error{
		"list, first view":             list(func() store.Filter { return store.Filter{} }),
		"list, a namespace":            list(func() store.Filter { return store.Filter{Namespace: team()} }),
		"list, the largest namespace":  list(func() store.Filter { return store.Filter{Namespace: "team-0"} }),
		"list, a whole Pod's name":     list(func() store.Filter { return store.Filter{Pod: "jupyter-user-" + strconv.Itoa(rng.IntN(50_000))} }),
		"list, a part of a Pod's name": list(func() store.Filter { return store.Filter{Pod: "user-" + strconv.Itoa(1000+rng.IntN(4000))} }),
		"list, a Pod that never was":   list(func() store.Filter { return store.Filter{Pod: "nothing-" + strconv.Itoa(rng.IntN(1000))} }),
		"list, a user":                 list(func() store.Filter { return store.Filter{User: "system:serviceaccount:" + team() + ":hub"} }),
		"list, a part of a user":       list(func() store.Filter { return store.Filter{User: "replicaset"} }),
		"list, a rare outcome":         list(func() store.Filter { return store.Filter{Outcomes: []string{outcome.Rejected}} }),
		"list, an endpoint": list(func() store.Filter {
			return store.Filter{Endpoint: fmt.Sprintf("http://hook-%d.platform.svc/mutate", rng.IntN(20))}
		}),
		"list, an hour": list(func() store.Filter {
			at := first.Add(time.Duration(rng.IntN(24*l.days)) * time.Hour)
			return store.Filter{From: at, To: at.Add(time.Hour)}
		}),
		"list, namespace and outcome": list(func() store.Filter { return store.Filter{Namespace: team(), Outcomes: []string{outcome.Rejected}} }),
		"list, namespace and endpoint, never met": list(func() store.Filter {
			return store.Filter{Namespace: "team-1", Endpoint: "http://hook-2.platform.svc/mutate"}
		}),
		"charts, an hour":          charts(func() store.Filter { return store.Filter{From: l.now.Add(-time.Hour), To: l.now} }),
		"charts, a day":            charts(func() store.Filter { return store.Filter{From: l.now.Add(-day), To: l.now} }),
		"charts, all":              charts(func() store.Filter { return store.Filter{From: first, To: l.now} }),
		"charts, a namespace, all": charts(func() store.Filter { return store.Filter{Namespace: team(), From: first, To: l.now} }),
		"values":                   func(ctx context.Context) error { _, err := l.s.Values(ctx); return err },
		"one event": func(ctx context.Context) error {
			_, err := l.s.Detail(ctx, l.ids[rng.IntN(len(l.ids))], "")
			return err
		},
	}
}

// rate returns how many events a second Add takes from 32 callers, batch events each.
func (l *loader) rate(batch, rounds int) float64 {
	const callers = 32
	errs := make(chan error, callers)
	now := time.Now()
	n := 0
	var all [][][]*store.Event
	for range callers {
		var calls [][]*store.Event
		for range rounds {
			var call []*store.Event
			for range batch {
				item := l.item(n, now.Add(time.Duration(n)*time.Microsecond))
				item.ID = uuid(l.rng)
				call = append(call, &store.Event{Item: item, Raw: l.body[n%len(l.body)].event.Raw})
				n++
			}
			calls = append(calls, call)
		}
		all = append(all, calls)
	}
	began := time.Now()
	for _, calls := range all {
		go func() {
			for _, call := range calls {
				if err := l.s.Add(l.t.Context(), call); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range callers {
		if err := <-errs; err != nil {
			l.t.Error(err)
		}
	}
	took := time.Since(began)
	if err := l.s.write.QueryRow(l.t.Context(), "SELECT seq FROM audit_meta").Scan(&l.seq); err != nil {
		l.t.Fatal(err)
	}
	return float64(n) / took.Seconds()
}
