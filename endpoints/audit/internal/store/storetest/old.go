package storetest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// Old returns the events of the databases in the folders testdata, which programs of earlier schemas made.
func Old() []*store.Event {
	prefix := func(i *store.Item) { i.Name, i.GenerateName, i.Namespace = "", "web-6d4cf56db6-", "web" }
	validated := Event("v", 3, func(i *store.Item) {
		i.Outcome, i.Name, i.Namespace, i.Mutation = outcome.Validated, "web-6d4cf56db6-x8k2p", "web", "w"
	})
	validated.Raw = json.RawMessage(`{"id":"v","data":{"pod":{"uid":"u1"}}}`)
	return []*store.Event{
		Event("a", 0), Event("a"+store.Final, 1, func(i *store.Item) { i.Outcome = outcome.Rejected }), Event("w", 2, prefix), validated,
	}
}

// CheckOld checks that a store still reads the events of an earlier schema, which it holds and nothing else, and that it stores
// more beside them.
func CheckOld(t *testing.T, s store.Store) {
	for name, tc := range map[string]struct {
		filter store.Filter
		want   string
	}{
		"all":                              {store.Filter{}, "v w a/final a"},
		"by namespace":                     {store.Filter{Namespace: "web"}, "v w"},
		"by a part of a user":              {store.Filter{User: "ali"}, "v w a/final a"},
		"by endpoint":                      {store.Filter{Endpoint: "http://hook.jhub.svc/mutate"}, "v w a/final a"},
		"by outcome":                       {store.Filter{Outcomes: []string{outcome.Rejected}}, "a/final"},
		"by a part of a Pod's name":        {store.Filter{Pod: "od-a"}, "a/final a"},
		"by the name it got at last":       {store.Filter{Pod: "web-6d4cf56db6-x8k2p"}, "v w"},
		"by a time and a Pod's whole name": {store.Filter{Pod: "pod-a", To: Start.Add(time.Second)}, "a"},
	} {
		if got := IDs(t, s, tc.filter); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	d, err := s.Detail(t.Context(), "w", "")
	if err != nil || string(d.Raw) != `{"id":"w"}` || len(d.Seen) != 1 || d.Seen[0].UID != "u1" || d.Seen[0].Item.Name != "web-6d4cf56db6-x8k2p" {
		t.Errorf("one event: %+v, %v", d, err)
	}
	if c, err := s.Charts(t.Context(), store.Filter{To: Start.AddDate(0, 0, 1), Namespace: "web"}); err != nil || total(c) != 2 {
		t.Errorf("charts: %d, %v", total(c), err)
	}
	page, err := s.List(t.Context(), store.Query{Limit: 10, Raw: true})
	if err != nil || len(page.Raw) != 4 || string(page.Raw[3]) != `{"id":"a"}` {
		t.Errorf("as they came: %s, %v", page.Raw, err)
	}

	Add(t, s, Old()...) // what is sent again is still known
	Add(t, s, Event("new", 9))
	all, _ := exportAll(t, s, "", 2)
	var got []string
	for _, r := range all {
		got = append(got, string(r.Event))
	}
	if want := `{"id":"a"} {"id":"a/final"} {"id":"w"} {"id":"v","data":{"pod":{"uid":"u1"}}} {"id":"new"}`; strings.Join(got, " ") != want {
		t.Errorf("exported %s\nwant     %s", strings.Join(got, " "), want)
	}
	if got := IDs(t, s, store.Filter{}); got != "new v w a/final a" {
		t.Errorf("with a new one: %q", got)
	}
	if err := s.DeleteBefore(t.Context(), Start.AddDate(0, 1, 0)); err != nil {
		t.Fatal(err)
	}
	if got := IDs(t, s, store.Filter{}); got != "" {
		t.Errorf("after the retention: %q", got)
	}
}
