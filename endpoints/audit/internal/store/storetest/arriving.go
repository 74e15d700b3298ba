package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
)

func arrivals(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	empty := Now(t, s)
	Add(t, s, Event("b", 2), Event("a", 1), Event("c", 3, func(i *store.Item) { i.Namespace = "web" }))
	Add(t, s, Event("late", -3*86400))
	first, err := s.Arrived(t.Context(), store.Filter{}, empty, 2)
	if err != nil || len(first.Events) != 2 || !first.More || first.Events[1].Position != first.Next {
		t.Fatalf("%+v, %v", first, err)
	}
	rest, position := Stream(t, s, store.Filter{}, first.Next)
	if got := first.Events[0].Item.ID + " " + first.Events[1].Item.ID + " " + rest; got != "a b c late" {
		t.Errorf("streamed %q", got)
	}
	if got, _ := Stream(t, s, store.Filter{Namespace: "web"}, empty); got != "c" {
		t.Errorf("the filtered one streamed %q", got)
	}
	if got, next := Stream(t, s, store.Filter{Namespace: "none"}, empty); got != "" || next != position {
		t.Errorf("nothing that fits: %q, at %s", got, next)
	}
	// A list says where it stands: what is on it does not arrive after it.
	page, err := s.List(t.Context(), store.Query{Limit: 1})
	if err != nil || page.After != position {
		t.Errorf("%+v, %v", page, err)
	}
	Add(t, s, Event("next", 9))
	if got, _ := Stream(t, s, store.Filter{}, page.After); got != "next" {
		t.Errorf("streamed %q", got)
	}
}

func changed(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	for i := range 5 {
		position, channel := Now(t, s), s.Changed()
		Add(t, s, Event(fmt.Sprint(i), float64(i)))
		for got := ""; got == ""; got, position = Stream(t, s, store.Filter{}, position) {
			select {
			case <-channel:
				channel = s.Changed()
			case <-time.After(30 * time.Second):
				t.Fatal("no reader was told")
			}
		}
	}
}

func charts(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	for batch := range 4 {
		var all []*store.Event
		for i := range 25 {
			n := batch*25 + i
			all = append(all, Event(fmt.Sprint(n), float64(n*30), func(item *store.Item) {
				item.Endpoints = []store.Call{{URL: "http://a.svc", DurationMS: 10}}
				if n >= 98 {
					item.Endpoints[0].DurationMS, item.Endpoints[0].Failed = 400, true
				}
			}))
		}
		Add(t, s, all...)
	}
	Add(t, s, Event("r", 0, func(i *store.Item) {
		i.Outcome, i.Namespace, i.Endpoints = outcome.Rejected, "web", []store.Call{{URL: "http://b.svc", DurationMS: 2}}
	}))
	to := Start.Add(time.Hour)
	for name, f := range map[string]store.Filter{
		"by minutes": {From: to.Add(-2 * time.Hour)}, "by hours": {From: to.AddDate(0, 0, -7)}, "without a beginning": {},
		"filtered": {From: to.Add(-2 * time.Hour), Outcomes: []string{outcome.Mutated, outcome.Rejected}},
	} {
		f.To = to
		c, err := s.Charts(t.Context(), f)
		if err != nil || total(c) != 101 || !c.Complete {
			t.Errorf("%s: %d, %v", name, total(c), err)
			continue
		}
		e := c.Endpoints[0]
		if len(c.Endpoints) != 2 || e.URL != "http://a.svc" || e.Calls != 100 || e.Errors != 2 || e.P50 < 9.7 || e.P50 > 10.3 || e.P99 < 390 || e.P99 > 410 {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if c, err := s.Charts(t.Context(), store.Filter{To: Start.Add(-time.Hour)}); err != nil || total(c) != 0 {
		t.Errorf("before all: %d, %v", total(c), err)
	}
}

// manyEndpoints has an endpoint with many calls, and some hours later as many others as charts have room for.
func manyEndpoints(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	called := func(id, url string, seconds float64) *store.Event {
		return Event(id, seconds, func(i *store.Item) { i.Endpoints = []store.Call{{URL: url, DurationMS: 3}} })
	}
	var all []*store.Event
	for i := range 5 {
		all = append(all, called(fmt.Sprint("busy", i), "http://busy.svc", float64(i)))
	}
	for i := range store.MaxEndpoints {
		all = append(all, called(fmt.Sprint(i), fmt.Sprintf("http://%d.svc", i), 4*3600+float64(i)))
	}
	Add(t, s, all...)
	for name, tc := range map[string]struct {
		filter store.Filter
		busy   bool // the endpoint with many calls is the first one
		more   bool
	}{
		"the ones seen last":                   {store.Filter{From: Start.Add(-time.Hour)}, false, true},
		"by hours, the ones seen last":         {store.Filter{From: Start.Add(-24 * time.Hour)}, false, true},
		"no other one was called in that time": {store.Filter{From: Start.Add(3 * time.Hour)}, false, false},
		"with a filter, those with most calls": {store.Filter{From: Start.Add(-time.Hour), Outcomes: []string{outcome.Mutated}}, true, true},
		"a filter that only 50 fit":            {store.Filter{From: Start.Add(3 * time.Hour), Outcomes: []string{outcome.Mutated}}, false, false},
	} {
		tc.filter.To = Start.Add(5 * time.Hour)
		c, err := s.Charts(t.Context(), tc.filter)
		if err != nil || len(c.Endpoints) != store.MaxEndpoints || c.MoreEndpoints != tc.more {
			t.Errorf("%s: %+v, %v", name, c, err)
			continue
		}
		if e := c.Endpoints[0]; (e.URL == "http://busy.svc") != tc.busy {
			t.Errorf("%s: the first one is %s", name, e.URL)
		}
	}
}

func values(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	if v, err := s.Values(t.Context()); err != nil || v.Namespaces == nil || v.Endpoints == nil || v.Users == nil {
		t.Errorf("of nothing: %+v, %v", v, err)
	}
	for i, user := range []string{"alice", "bob", "alice", "carol"} { // hours apart: a store need not be exact
		Add(t, s, Event(fmt.Sprint(i), float64(i*7200), func(item *store.Item) { item.User = user }))
	}
	Add(t, s, Event("late", 60, func(item *store.Item) { item.User = "bob" }))
	v, err := s.Values(t.Context())
	if err != nil || strings.Join(v.Users, " ") != "carol alice bob" || strings.Join(v.Namespaces, " ") != "jhub" || strings.Join(v.Endpoints, " ") != "http://hook.jhub.svc/mutate" {
		t.Errorf("%+v, %v", v, err)
	}
}

func foreign(t *testing.T, open func(testing.TB) store.Store) {
	s, other := open(t), open(t)
	Add(t, s, Event("a", 1))
	Add(t, other, Event("a", 1), Event("b", 2))
	for _, cursor := range []store.Cursor{"xyz", "!", "AAAA", store.Cursor(strings.Repeat("9", 100))} {
		if _, err := s.List(t.Context(), store.Query{Limit: 1, Cursor: cursor}); !errors.Is(err, store.ErrCursor) {
			t.Errorf("cursor %s: %v", cursor, err)
		}
	}
	present := Now(t, s)
	ahead, _, _ := strings.Cut(string(present), "-")
	for _, position := range []store.Position{"x", "-", "other-1", Now(t, other), store.Position(ahead + "-99"), store.Position(ahead + "--1")} {
		if _, err := s.Arrived(t.Context(), store.Filter{}, position, 1); !errors.Is(err, store.ErrPosition) {
			t.Errorf("position %s: %v", position, err)
		}
	}
}
