package storetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
)

func sentAgain(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	empty := Now(t, s)
	Add(t, s, Event("a", 1), Event("a", 1))
	Add(t, s, Event("a", 1))
	for _, later := range []float64{2, 86000, -86000} { // up to a day
		Add(t, s, Event("a", later), Event(fmt.Sprint("with", later), later))
	}
	// A sender without a clock gets the time of the receiver, another one with each attempt, on another day perhaps.
	again := Event("a", 40*86400)
	again.Undated = true
	Add(t, s, again, Event("with40days", 40*86400))
	// Another source may have the same id.
	Add(t, s, Event("a", 1, func(i *store.Item) { i.Source = "urn:other" }))
	f := store.Filter{From: Start, To: Start.Add(time.Hour)}
	if got := IDs(t, s, f); got != "with2 a a" {
		t.Errorf("there is %q", got)
	}
	if got, _ := Stream(t, s, store.Filter{}, empty); got != "a with2 with86000 with-86000 with40days a" {
		t.Errorf("streamed: %q", got)
	}
}

// A forger posts an id again, with a time that is far away. Whether that is stored or not, the first remains.
func sameIDFarAway(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	forged := func(i *store.Item) { i.User = "mallory" }
	Add(t, s, Event("a", 0), Event("a", 0, func(i *store.Item) { i.Source = "urn:other" }))
	Add(t, s, Event("a", -5*86400, forged), Event("a", 5*86400, forged), Event("a/final", 5*86400, forged))
	for _, source := range []string{"urn:test", "urn:other"} {
		d, err := s.Detail(t.Context(), "a", source)
		if err != nil || d.Item.User != "alice" || d.Item.Source != source || !d.Item.Time.Equal(Start) {
			t.Errorf("%s: %+v, %v", source, d, err)
		}
	}
	var several *store.SeveralSourcesError
	if _, err := s.Detail(t.Context(), "a", ""); !errors.As(err, &several) || len(several.Sources) != 2 {
		t.Errorf("of whichever source: %v", err)
	}
}

// A forger posts an id under more sources than are looked at, some of which the store knows from before. The event, its final
// verdict and what its stamp leads to remain.
func sameIDOfManySources(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	forge := func(id string) {
		for i := range store.MaxSources + 1 {
			Add(t, s, Event(id, 0, func(item *store.Item) { item.Source, item.User = fmt.Sprint("urn:forged:", i), "mallory" }))
		}
	}
	forge("before")
	validated := Event("v", 2, func(i *store.Item) { i.Outcome, i.Name, i.Mutation = outcome.Validated, "pod-a", "a" })
	Add(t, s, Event("a", 0), Event("a/final", 1), validated)
	forge("a")
	forge("a/final")
	d, err := s.Detail(t.Context(), "a", "urn:test")
	if err != nil || d.Item.User != "alice" || len(d.Verdicts) != 1 || d.Verdicts[0].User != "alice" {
		t.Errorf("the event and its final verdict: %+v, %v", d, err)
	}
	d, err = s.Detail(t.Context(), "v", "urn:test")
	if err != nil || len(d.Stamped) != 1 || !store.Joins(d.Item, d.Stamped[0]) {
		t.Errorf("the stamp does not lead to the event alone: %v", err)
	}
	var several *store.SeveralSourcesError
	if _, err := s.Detail(t.Context(), "a", ""); !errors.As(err, &several) || len(several.Sources) != store.MaxSources {
		t.Errorf("of whichever source: %v", err)
	}
}

func sameID(t *testing.T, open Opener) {
	var log bytes.Buffer
	s := open(t, slog.New(slog.NewTextHandler(&log, nil)))
	before := log.Len()
	Add(t, s, Event("a/final", 0))
	Add(t, s, Event("a/final", 0))
	if log.Len() > before {
		t.Errorf("sent again: %s", log.String())
	}
	Add(t, s, Event("a/final", 0, func(i *store.Item) { i.User = "mallory" }))
	if got := log.String(); strings.Count(got, "keeps the first") != 1 || !strings.Contains(got, "id=a/final") || strings.Contains(got, "mallory") {
		t.Errorf("log: %s", got)
	}
	if all := List(t, s, store.Filter{}); len(all) != 1 || all[0].User != "alice" {
		t.Errorf("%+v", all)
	}
}

func finalVerdict(t *testing.T, open func(testing.TB) store.Store) {
	base, verdict := Event("u", 1), Event("u"+store.Final, 2, func(i *store.Item) { i.Outcome = outcome.Rejected })
	other := Event("u", 0, func(i *store.Item) { i.Source = "urn:other" })
	for name, batches := range map[string][][]*store.Event{
		"in order": {{base}, {verdict}}, "in the other order": {{verdict}, {base}}, "together": {{base, verdict}}, "together, in the other order": {{verdict, base}},
	} {
		s := open(t)
		Add(t, s, other)
		for _, batch := range batches {
			Add(t, s, batch...)
			Add(t, s, batch...)
		}
		all := List(t, s, store.Filter{})
		if ids(all) != "u/final u u" || all[0].Superseded || !all[1].Superseded || all[2].Superseded {
			t.Errorf("%s: %q %v", name, ids(all), all)
		}
		d, err := s.Detail(t.Context(), "u", "urn:test")
		if err != nil || !d.Superseded || len(d.Verdicts) != 1 || d.Verdicts[0].ID != "u/final" {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

func unknownOutcome(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	bad := Event("bad", 1, func(i *store.Item) { i.Outcome = "other" })
	if err := s.Add(t.Context(), []*store.Event{Event("with", 1), bad}); err == nil || errors.Is(err, store.ErrUnreachable) {
		t.Errorf("an unknown outcome: %v", err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if i%4 == 0 {
				if s.Add(t.Context(), []*store.Event{bad}) == nil {
					t.Error("an unknown outcome is stored")
				}
			} else if err := s.Add(t.Context(), []*store.Event{Event(fmt.Sprint(i), float64(i))}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if all := List(t, s, store.Filter{}); len(all) != 15 {
		t.Errorf("there is %q", ids(all))
	}
}

func hostileTexts(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	texts := map[string]string{
		"long": strings.Repeat("x", 4096), "long, too": strings.Repeat("x", 4095) + "y", "quotes": `'"\%_`, "SQL": "'; DROP TABLE events; --",
		"zero": "a\x00b", "not UTF-8": "a\xffb", "emoji": "😀 é", "array": "{1,2}",
	}
	for name, v := range texts {
		e := Event(v, 1, func(i *store.Item) {
			i.Namespace, i.User, i.Endpoints = v[:min(len(v), 2048)], v[:min(len(v), 2048)], []store.Call{{URL: v[:min(len(v), 2048)]}}
			i.Name, i.Mutation = v[:min(len(v), 2048)], v[:min(len(v), 2048)]
			i.Outcome = outcome.Validated
		})
		e.Raw = json.RawMessage(`{"id":"` + "a\xffb" + `","x":"\u0000"}`)
		if err := s.Add(t.Context(), []*store.Event{e}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		d, err := s.Detail(t.Context(), v, "")
		if err != nil || !bytes.Equal(d.Raw, e.Raw) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(List(t, s, store.Filter{})); n != len(texts) {
		t.Errorf("%d of %d", n, len(texts))
	}
	for _, name := range []string{"quotes", "SQL", "emoji", "array"} {
		v := texts[name]
		for field, f := range map[string]store.Filter{"namespace": {Namespace: v}, "user": {User: v}, "a part of the user": {User: v[1:]}, "endpoint": {Endpoint: v}, "Pod": {Pod: strings.ToLower(v)}} {
			if name == "emoji" && field == "a part of the user" {
				f.User = "é"
			}
			if got := List(t, s, f); len(got) != 1 || got[0].ID != v {
				t.Errorf("%s by %s: %q", name, field, ids(got))
			}
		}
	}
}

func manyWriters(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	empty := Now(t, s)
	const writers, each = 12, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each { // each event is sent by two of them
				if err := s.Add(t.Context(), []*store.Event{Event(fmt.Sprintf("%d-%d", w/2, i), float64(i*60))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	const want = writers / 2 * each
	if n := len(List(t, s, store.Filter{})); n != want {
		t.Errorf("%d events, want %d", n, want)
	}
	streamed, _ := Stream(t, s, store.Filter{}, empty)
	if n := len(strings.Fields(streamed)); n != want {
		t.Errorf("%d are streamed", n)
	}
	c, err := s.Charts(t.Context(), store.Filter{From: Start, To: Start.Add(time.Hour)})
	if err != nil || total(c) != want {
		t.Errorf("the charts count %d, %v", total(c), err)
	}
}

func deleted(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	var all []*store.Event
	for i := range 60 { // over three days
		all = append(all, Event(fmt.Sprint(i), float64(i)*3600, func(i *store.Item) { i.User, i.Namespace = "early", "early" }))
	}
	Add(t, s, append(all, Event("0"+store.Final, 4), Event("young", 70*3600))...)
	position := Now(t, s)
	before := func(hours int) {
		t.Helper()
		if err := s.DeleteBefore(t.Context(), Start.Add(time.Duration(hours)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	before(58)
	if got := IDs(t, s, store.Filter{}); got != "young 59 58" {
		t.Errorf("there is %q", got)
	}
	before(3) // earlier than the last time: nothing comes back
	if _, err := s.Detail(t.Context(), "7", ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("one that was deleted: %v", err)
	}
	before(62)
	if got := IDs(t, s, store.Filter{}); got != "young" {
		t.Errorf("there is %q", got)
	}
	for _, f := range []store.Filter{{}, {User: "alice"}} {
		f.From, f.To = Start, Start.Add(71*time.Hour)
		if c, err := s.Charts(t.Context(), f); err != nil || total(c) != 1 {
			t.Errorf("the charts count %d, %v", total(c), err)
		}
	}
	if v, err := s.Values(t.Context()); err != nil || strings.Join(v.Users, " ") != "alice" || strings.Join(v.Namespaces, " ") != "jhub" {
		t.Errorf("values: %+v, %v", v, err)
	}
	// The order of arrival goes on, and the same values come again.
	Add(t, s, Event("again", 72*3600, func(i *store.Item) { i.User = "early" }))
	if got, _ := Stream(t, s, store.Filter{}, position); got != "again" {
		t.Errorf("streamed: %q", got)
	}
	if got := IDs(t, s, store.Filter{User: "ear"}); got != "again" {
		t.Errorf("there is %q", got)
	}
	before(100)
	if got := IDs(t, s, store.Filter{}); got != "" {
		t.Errorf("at last there is %q", got)
	}
}

func closed(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	Add(t, s, Event("a", 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Add(t.Context(), []*store.Event{Event("b", 2)}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("adding: %v", err)
	}
}
