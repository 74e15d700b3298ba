package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// measure asks everything rounds times.
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
	batch := min(100, l.perDay/200) // few where the test only sees that it works
	f.Single, f.Batch = l.rate(1, rounds), l.rate(batch, (rounds+9)/10)
	l.t.Logf("Add: %.0f events/s one by one, %.0f events/s in batches of %d", f.Single, f.Batch, batch)
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
