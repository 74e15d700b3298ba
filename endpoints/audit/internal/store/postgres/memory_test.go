package postgres_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres/postgrestest"
	"github.com/txn2/amp/endpoints/audit/internal/store/storetest"
)

// held returns how many bytes are in use at most while do runs. No other test may run meanwhile. Garbage does not count, except
// for what is made while the collector runs: about a fifth of what is in use. By default that is much, on a slow machine above all.
func held(do func()) (most uint64) {
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	measure := func() uint64 {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		runtime.GC()
		metrics.Read(live)
		return live[0].Value.Uint64()
	}
	before, done := measure(), make(chan struct{})
	most = before
	go func() {
		defer close(done)
		do()
	}()
	for pause := 20 * time.Millisecond; ; {
		select {
		case <-done:
			return most - before
		case <-time.After(pause):
			began := time.Now()
			most = max(most, measure())
			pause = max(pause, 3*time.Since(began)) // do has to get on, too: its questions have a time limit
		}
	}
}

// TestAQuestionHoldsFewItems: the items of large events are many bytes together, so they are looked at one by one. The test is
// not parallel to others, because it measures.
func TestAQuestionHoldsFewItems(t *testing.T) {
	// An item is 64 KiB, or 32 KiB packed. All of them are 2.5 MiB, or 1.25 MiB packed. More of them would not help: the race detector
	// makes it slow to read them, and a statement has a time limit.
	const events, calls, size = 40, 32, 2 << 10
	s := open(t, postgres.Config{URL: postgrestest.URL(t)})
	urls := make([]string, 2*calls)
	for i := range urls {
		random := make([]byte, size/2)
		_, _ = rand.Read(random) // it does not fail
		urls[i] = "http://" + hex.EncodeToString(random)
	}
	var all []*store.Event
	for i := range events {
		all = append(all, storetest.Event(fmt.Sprint(i), float64(i), func(item *store.Item) {
			item.Outcome, item.Mutation, item.Endpoints = outcome.Validated, fmt.Sprint("m", i), nil
			for n := range calls {
				item.Endpoints = append(item.Endpoints, store.Call{URL: urls[(i+n)%len(urls)], DurationMS: 3})
			}
		}))
	}
	for some := range slices.Chunk(append(all, storetest.Event("m0", 0, func(item *store.Item) { item.Name, item.GenerateName = "", "pod-" })), 20) {
		storetest.Add(t, s, some...)
	}
	to := storetest.Start.AddDate(0, 0, 1)
	for name, question := range map[string]struct {
		most uint64 // bytes
		ask  func() (int, error)
	}{
		"charts by an outcome": {3 << 19, func() (int, error) {
			c, err := s.Charts(t.Context(), store.Filter{Outcomes: []string{outcome.Validated}, To: to})
			if err != nil {
				return 0, err
			}
			return int(c.Buckets[0].Counts[outcome.Validated]), nil
		}},
		"charts by a Pod": {3 << 19, func() (int, error) {
			c, err := s.Charts(t.Context(), store.Filter{Pod: "pod-", To: to})
			if err != nil {
				return 0, err
			}
			return len(c.Buckets), nil
		}},
		// A page is 1 MiB at most. It is held as it came and as it goes out.
		"a list by a Pod": {7 << 19, func() (int, error) {
			p, err := s.List(t.Context(), store.Query{Filter: store.Filter{Pod: "pod-"}, Limit: 200})
			if err != nil {
				return 0, err
			}
			return len(p.Items), nil
		}},
	} {
		var n int
		var err error
		if bytes := held(func() { n, err = question.ask() }); err != nil || n == 0 || bytes > question.most {
			t.Errorf("%s: %d found, %d KiB held, want %d at most, %v", name, n, bytes>>10, question.most>>10, err)
		} else {
			t.Logf("%s: %d KiB", name, bytes>>10)
		}
	}
}
