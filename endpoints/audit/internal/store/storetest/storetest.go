// Package storetest is the contract of [store.Store] as tests. Each store passes all of them.
package storetest

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// An Opener opens an empty store, which the test closes at its end.
type Opener func(t testing.TB, log *slog.Logger) store.Store

// Run runs the tests.
func Run(t *testing.T, open Opener) {
	for name, test := range map[string]func(*testing.T, func(testing.TB) store.Store){
		"an event sent again is stored once":               sentAgain,
		"an id that comes with another time hides nothing": sameIDFarAway,
		"an id of many sources hides nothing":              sameIDOfManySources,
		"a final verdict marks, in any order":              finalVerdict,
		"an event that cannot be stored stops none":        unknownOutcome,
		"texts of any kind are stored and found":           hostileTexts,
		"lists go from page to page":                       pages,
		"a short page says how far back it goes":           reach,
		"filters find what matches":                        model,
		"filters that fit too many values say so":          tooMany,
		"one event and what belongs to it":                 details,
		"arrivals come in their order":                     arrivals,
		"readers are told of what arrives":                 changed,
		"exports go along the arrivals":                    exported,
		"exports are bounded":                              exportedLarge,
		"the longest event is read again":                  longest,
		"charts count what there is":                       charts,
		"charts say that they leave endpoints out":         manyEndpoints,
		"values are the ones seen last first":              values,
		"what is old is deleted":                           deleted,
		"many writers at once":                             manyWriters,
		"a store that is closed says so":                   closed,
		"cursors and positions of others":                  foreign,
		"a Pod is found by the name it got at last":        joined,
		"forged validations do not fill the memory":        forged,
		"names that begin alike, more than a search":       manyNames,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(t testing.TB) store.Store { return open(t, slog.New(slog.DiscardHandler)) })
		})
	}
	t.Run("another event with the same id is logged", func(t *testing.T) {
		t.Parallel()
		sameID(t, open)
	})
}

// Start is when the tests' events happen, counted in seconds from there.
var Start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Event is a mutation of a Pod with a name of its own, some seconds after Start. change may make it another one.
func Event(id string, seconds float64, change ...func(*store.Item)) *store.Event {
	item := &store.Item{
		ID: id, Source: "urn:test", Type: "t", Time: Start.Add(time.Duration(seconds * float64(time.Second))), Outcome: outcome.Mutated,
		Namespace: "jhub", Name: "pod-" + id, User: "alice", Endpoints: []store.Call{{URL: "http://hook.jhub.svc/mutate", DurationMS: 3}},
	}
	for _, c := range change {
		c(item)
	}
	raw, err := json.Marshal(map[string]string{"id": id})
	if err != nil {
		panic(err) // a map of strings is JSON
	}
	return &store.Event{Item: item, Raw: raw}
}

// Add stores events, at most some hundred at a time: a store has so many seconds for one call, and the machine may be busy.
func Add(t testing.TB, s store.Store, events ...*store.Event) {
	t.Helper()
	for some := range slices.Chunk(events, 250) {
		if err := s.Add(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
}

// List returns all items that fit, page by page.
func List(t testing.TB, s store.Store, f store.Filter) []*store.Item {
	t.Helper()
	var all []*store.Item
	for cursor, n := store.Cursor(""), 0; ; n++ {
		page, err := s.List(t.Context(), store.Query{Filter: f, Limit: 150, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Items...)
		if cursor = page.Next; cursor == "" {
			return all
		}
		if n > 1000 {
			t.Fatal("the pages have no end")
		}
	}
}

// IDs returns the ids of all events that fit, newest first.
func IDs(t testing.TB, s store.Store, f store.Filter) string {
	t.Helper()
	return ids(List(t, s, f))
}

func ids(items []*store.Item) string {
	var all []string
	for _, item := range items {
		all = append(all, item.ID)
	}
	return strings.Join(all, " ")
}

// Stream returns the ids of what has arrived since a position, and the position after it.
func Stream(t testing.TB, s store.Store, f store.Filter, after store.Position) (string, store.Position) {
	t.Helper()
	var all []*store.Item
	for {
		a, err := s.Arrived(t.Context(), f, after, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, arrival := range a.Events {
			all = append(all, arrival.Item)
		}
		if after = a.Next; !a.More {
			return ids(all), after
		}
	}
}

// Now returns the present position.
func Now(t testing.TB, s store.Store) store.Position {
	t.Helper()
	a, err := s.Arrived(t.Context(), store.Filter{}, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	return a.Next
}
