package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
)

func pages(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	var want []string
	var all []*store.Event
	for i := range 305 { // of one moment: more than SQLite has keys for
		all = append(all, Event(fmt.Sprint(i), 1))
		want = append(want, fmt.Sprint(i))
	}
	Add(t, s, all...)
	slices.Reverse(want)
	for _, f := range []store.Filter{{}, {User: "alice"}, {Pod: "pod-"}} {
		var got, raw []string
		for q := (store.Query{Filter: f, Limit: 50}); ; {
			page, err := s.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.Fields(ids(page.Items))...)
			q.Raw = true
			if page, err = s.List(t.Context(), q); err != nil || len(page.Items) != 0 {
				t.Fatal(err)
			}
			for _, r := range page.Raw {
				raw = append(raw, string(r))
			}
			q.Raw = false
			// Newer ones come in meanwhile.
			Add(t, s, Event(fmt.Sprint("new", f.User, f.Pod, len(got)), 100))
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		got = slices.DeleteFunc(got, func(id string) bool { return strings.HasPrefix(id, "new") })
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%+v: %s", f, d)
		}
		if len(raw) < len(want) || raw[len(raw)-1] != `{"id":"0"}` {
			t.Errorf("%+v: %d as they came", f, len(raw))
		}
	}
}

// reach reads pages that are short because their events are large. Each says how far back it goes.
func reach(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	for i := range 5 {
		Add(t, s, Event(fmt.Sprint(i), float64(i), func(item *store.Item) { item.Gist = strings.Repeat("x", 400_000) }))
	}
	n := 0
	for q := (store.Query{Limit: 50}); ; n++ {
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			if !page.Since.IsZero() {
				t.Errorf("the last page goes back to %s", page.Since)
			}
			break
		}
		if last := page.Items[len(page.Items)-1]; !page.Since.Equal(last.Time) {
			t.Errorf("%q goes back to %s, want %s", ids(page.Items), page.Since, last.Time)
		}
	}
	if n == 0 {
		t.Error("all events are on one page")
	}
}

// model compares what a store finds with what [store.Filter.Match] says of each event.
func model(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	empty := Now(t, s)
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 1))
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	namespaces, users := []string{"jhub", "web", "jhub2"}, []string{"alice", "system:serviceaccount:jhub:hub", "system:serviceaccount:web:hub", "Alice", "Éva"}
	urls := []string{"http://a.svc/x", "http://b.svc/x", "https://A.svc"}
	names := []string{"jupyter-alice", "jupyter-alice-2", "web-6d4cf56db6-x8k2p", "a.b-c", "web"}
	var all []*store.Event // in the order of their arrival
	for i := range 400 {
		all = append(all, Event(fmt.Sprint(i), float64(rng.IntN(3*86400)), func(i *store.Item) {
			i.Namespace, i.User, i.Outcome = pick(namespaces...), pick(users...), pick(outcome.All...)
			if i.Name = pick(names...); rng.IntN(3) == 0 {
				i.Name, i.GenerateName = "", pick("web-6d4cf56db6-", "web-", "jupyter-")
			}
			i.Endpoints = []store.Call{}
			for range rng.IntN(3) {
				i.Endpoints = append(i.Endpoints, store.Call{URL: pick(urls...), DurationMS: 1 + float64(rng.IntN(50)), Failed: rng.IntN(5) == 0})
			}
		}))
	}
	for batch := range slices.Chunk(all, 37) {
		// What comes together is stored in the order of its time.
		slices.SortStableFunc(batch, func(a, b *store.Event) int { return a.Item.Time.Compare(b.Item.Time) })
		Add(t, s, slices.Concat(batch[1:], batch[:1])...)
	}
	has := func(value string, of func(*store.Item) []string) bool {
		return value != "" && slices.ContainsFunc(all, func(e *store.Event) bool { return slices.Contains(of(e.Item), value) })
	}
	for range 150 {
		var f store.Filter
		maybe := func(into *string, of ...string) {
			if rng.IntN(3) == 0 {
				*into = pick(of...)
			}
		}
		maybe(&f.Namespace, append(namespaces, "JH", "eb", "none")...)
		maybe(&f.User, append(users, "serviceaccount", "ALICE", "ÉVA", "éva", "hub", "none")...)
		maybe(&f.Endpoint, append(urls, "svc", "A.SVC", "https", "none")...)
		maybe(&f.Pod, "jupyter", "alice", "web-6d4cf56db6-x8k2p", "web-6d4cf56db6-zz", "web-6d4cf", "b", "c", "web", "jupyter-alice-2x", "lice", "yter-ali", "eb-6d", "li", "none")
		if rng.IntN(3) == 0 {
			f.Outcomes = outcome.All[:1+rng.IntN(4)]
		}
		if rng.IntN(3) == 0 {
			f.From = Start.Add(time.Duration(rng.IntN(86400)) * time.Second)
		}
		if rng.IntN(3) == 0 {
			f.To = Start.Add(time.Duration(86400+rng.IntN(86400)) * time.Second)
		}
		whole := store.Whole{}
		whole.Namespace = has(f.Namespace, func(i *store.Item) []string { return []string{i.Namespace} })
		whole.Endpoint = has(f.Endpoint, func(i *store.Item) (all []string) {
			for _, c := range i.Endpoints {
				all = append(all, c.URL)
			}
			return all
		})
		whole.User = has(f.User, func(i *store.Item) []string { return []string{i.User} })
		var fit []*store.Item
		for _, e := range all {
			if f.Match(e.Item, whole) {
				fit = append(fit, e.Item)
			}
		}
		if got, _ := Stream(t, s, f, empty); got != ids(fit) {
			t.Errorf("seed %d, %+v: streamed %q, want %q", seed, f, got, ids(fit))
		}
		if f.To.IsZero() {
			f.To = Start.AddDate(0, 0, 4)
		}
		if f.From.IsZero() {
			f.From = Start
		}
		c, err := s.Charts(t.Context(), f)
		if err != nil || !f.All() && (total(c) != int64(len(fit)) || !c.Complete) {
			t.Errorf("seed %d, %+v: the charts count %d, %v, want %d", seed, f, total(c), err, len(fit))
		}
		slices.Reverse(fit)
		slices.SortStableFunc(fit, func(a, b *store.Item) int { return b.Time.Compare(a.Time) })
		if got := IDs(t, s, f); got != ids(fit) {
			t.Errorf("seed %d, %+v:\nlisted %q\nwant   %q", seed, f, got, ids(fit))
		}
	}
}

func total(c *store.Charts) (n int64) {
	if c == nil {
		return -1
	}
	for _, b := range c.Buckets {
		for _, of := range b.Counts {
			n += of
		}
	}
	return n
}

func tooMany(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	var all []*store.Event
	for i := range 300 {
		all = append(all, Event(fmt.Sprint(i), float64(i), func(item *store.Item) { item.User = fmt.Sprintf("user-%d", i) }))
	}
	Add(t, s, all...)
	for _, list := range []func(store.Filter) error{
		func(f store.Filter) error {
			_, err := s.List(t.Context(), store.Query{Filter: f, Limit: 10})
			return err
		},
		func(f store.Filter) error {
			f.To = Start.Add(time.Hour)
			_, err := s.Charts(t.Context(), f)
			return err
		},
	} {
		var many *store.TooManyError
		if err := list(store.Filter{User: "USER"}); !errors.As(err, &many) || many.Parameter != "user" || many.Value != "USER" || many.Most != 256 {
			t.Errorf("a part of 300: %v", err)
		}
		if err := list(store.Filter{User: "user-1"}); err != nil {
			t.Errorf("a whole one: %v", err)
		}
	}
	if got := len(List(t, s, store.Filter{User: "R-29"})); got != 11 {
		t.Errorf("%d by a part of 11", got)
	}
}

func manyNames(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	var all []*store.Event
	for i := range 2600 {
		all = append(all, Event(fmt.Sprint(i), float64(i), func(item *store.Item) {
			item.Name = fmt.Sprintf("job-%d", i)
			if i%100 == 7 {
				item.Name = fmt.Sprintf("rare-%d", i)
			}
		}))
	}
	Add(t, s, all...)
	for _, pod := range []string{"job-", "rare", "job-2", "nowhere", "rare-7"} {
		want := 0
		for _, e := range all {
			if strings.HasPrefix(e.Item.Name, pod) {
				want++
			}
		}
		if got := len(List(t, s, store.Filter{Pod: pod, Namespace: "jhub"})); got != want {
			t.Errorf("%s finds %d, want %d", pod, got, want)
		}
	}
}

// deployment are the events of a Deployment's Pods, and forged ones.
func deployment(t *testing.T, s store.Store) {
	t.Helper()
	generated := func(i *store.Item) { i.Name, i.GenerateName, i.Namespace = "", "web-6d4cf56db6-", "web" }
	validated := func(name, ns string) func(*store.Item) {
		return func(i *store.Item) {
			i.Outcome, i.Name, i.Namespace, i.Mutation = outcome.Validated, name, ns, "w1"
		}
	}
	v1 := Event("v1", 4, validated("web-6d4cf56db6-x8k2p", "web"))
	v1.Raw = []byte(`{"id":"v1","data":{"pod":{"uid":"u1"}}}`)
	Add(t, s, Event("w1", 1, generated), Event("w2", 2, generated), Event("a", 3, func(i *store.Item) { i.Name = "jupyter-alice" }), v1,
		Event("v2", 5, validated("web-6d4cf56db6-zzzzz", "jhub")), Event("v3", 6, validated("other", "web")))
}

func joined(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	deployment(t, s)
	for pod, want := range map[string]string{
		"web-6d4cf56db6-x8k2p": "v1 w2 w1", "web-6d4cf56db6-k9m3q": "w2 w1", "web-6d4cf56db6-x8": "v1 w2 w1", "x8k2p": "v1 w1",
		"zzzzz": "v2", "web-6d4cf56db6-x8k2pqq": "", "oth": "v3", "lice": "a", "pyter-al": "a", "li": "", "al": "a", "6d4cf56db6-x8k2p": "v1 w2 w1",
	} {
		if got := IDs(t, s, store.Filter{Pod: pod}); got != want {
			t.Errorf("%s finds %q, want %q", pod, got, want)
		}
	}
	for _, item := range List(t, s, store.Filter{Outcomes: []string{outcome.Mutated}}) {
		if want := map[string]int{"w1": 1}[item.ID]; len(item.Seen) != want {
			t.Errorf("%s was seen as %q", item.ID, item.Seen)
		}
	}
}

func details(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	deployment(t, s)
	d, err := s.Detail(t.Context(), "w1", "")
	if err != nil || len(d.Seen) != 1 || d.Seen[0].UID != "u1" || d.Seen[0].Item.ID != "v1" || string(d.Raw) != `{"id":"w1"}` || d.Superseded || len(d.Verdicts) != 0 {
		t.Fatalf("%+v, %v", d, err)
	}
	if !cmp.Equal(d.Item.Seen, []string{"web-6d4cf56db6-x8k2p"}) || d.Item.User != "alice" || !d.Item.Time.Equal(Start.Add(time.Second)) {
		t.Errorf("%+v", d.Item)
	}
	for _, id := range []string{"v1", "v2"} {
		if d, err := s.Detail(t.Context(), id, ""); err != nil || len(d.Stamped) != 1 || d.Stamped[0].ID != "w1" {
			t.Errorf("%s: %+v, %v", id, d, err)
		}
	}
	if _, err := s.Detail(t.Context(), "none", ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("none: %v", err)
	}
	Add(t, s, Event("w1", 86400, func(i *store.Item) { i.Source = "urn:other" }))
	var several *store.SeveralSourcesError
	if _, err := s.Detail(t.Context(), "w1", ""); !errors.As(err, &several) || len(several.Sources) != 2 {
		t.Errorf("an id of two sources: %v", err)
	}
	if d, err := s.Detail(t.Context(), "w1", "urn:other"); err != nil || d.Item.Source != "urn:other" || len(d.Seen) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := s.Detail(t.Context(), "w1", "urn:third"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of a third: %v", err)
	}
	// More claims than are shown.
	for i := range store.MaxSeen + 4 {
		Add(t, s, Event(fmt.Sprint("claim", i), float64(10+i), func(item *store.Item) {
			item.Outcome, item.Namespace, item.Mutation, item.Name = outcome.Validated, "web", "w2", fmt.Sprintf("web-6d4cf56db6-%05d", i)
		}))
	}
	if d, err := s.Detail(t.Context(), "w2", ""); err != nil || len(d.Seen) != store.MaxSeen || d.Seen[0].Item.ID != "claim8" {
		t.Errorf("%+v, %v", d, err)
	}
}

// forged is a page of which each event is named by large validations. They are read up to a bound.
func forged(t *testing.T, open func(testing.TB) store.Store) {
	const events, claims, size = 20, 4, 400_000
	s := open(t)
	for i := range events {
		id := fmt.Sprint("m", i)
		Add(t, s, Event(id, float64(i), func(item *store.Item) { item.Name, item.GenerateName = "", "web-" }))
		for j := range claims {
			Add(t, s, Event(fmt.Sprint(id, "claim", j), float64(100+i), func(item *store.Item) {
				item.Outcome, item.Mutation, item.Name, item.Gist = outcome.Validated, id, fmt.Sprintf("web-%05d", j), strings.Repeat("x", size)
			}))
		}
	}
	seen := 0
	for _, item := range List(t, s, store.Filter{Outcomes: []string{outcome.Mutated}}) {
		seen += len(item.Seen)
	}
	// One event's may be read beyond the bound.
	if least, most := 1, store.MaxValidations/size+claims; seen < least || seen > most {
		t.Errorf("%d validations of %d bytes were read, want %d to %d", seen, size, least, most)
	}
}
