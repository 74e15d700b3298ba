package storetest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// exportAll returns everything that was stored after a position, limit events at a time.
func exportAll(t testing.TB, s store.Store, after store.Position, limit int) (all []store.Record, last store.Position) {
	t.Helper()
	for {
		e, err := s.Export(t.Context(), after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Records) > limit {
			t.Errorf("%d events at once", len(e.Records))
		}
		all = append(all, e.Records...)
		if after = e.Next; !e.More {
			return all, after
		}
	}
}

func exported(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	if all, _ := exportAll(t, s, "", 2); len(all) != 0 {
		t.Errorf("of nothing: %v", all)
	}
	fine := 123456789 * time.Nanosecond // a store keeps microseconds of it for its own order
	Add(t, s, Event("b", 2, func(i *store.Item) { i.Time = i.Time.Add(fine) }))
	Add(t, s, Event("late", -3*86400), Event("b"+store.Final, 5), Event("c", 1))
	all, last := exportAll(t, s, "", 2)
	var got []string
	for _, r := range all {
		got = append(got, fmt.Sprintf("%s %v %s", r.Event, r.Superseded, r.Time.Sub(Start)))
	}
	want := `{"id":"b"} true 2.123456789s, {"id":"late"} false -72h0m0s, {"id":"c"} false 1s, {"id":"b/final"} false 5s`
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
	if last != all[len(all)-1].Position || last != Now(t, s) {
		t.Errorf("it ends at %s, and the last event is at %s", last, all[len(all)-1].Position)
	}
	Add(t, s, Event("d", 3), Event("c", 1))
	if rest, _ := exportAll(t, s, last, 10); len(rest) != 1 || string(rest[0].Event) != `{"id":"d"}` {
		t.Errorf("behind it: %v", rest)
	}
	if rest, _ := exportAll(t, s, all[1].Position, 10); len(rest) != 3 {
		t.Errorf("behind the second one: %v", rest)
	}
	if _, err := s.Export(t.Context(), "other-1", 1); !errors.Is(err, store.ErrPosition) {
		t.Errorf("another store's position: %v", err)
	}
	if err := s.DeleteBefore(t.Context(), Start); err != nil {
		t.Fatal(err)
	}
	if rest, _ := exportAll(t, s, "", 1); len(rest) != 4 {
		t.Errorf("after the retention: %v", rest)
	}
}

// exportedLarge: one part of an export is bounded, whatever is stored.
func exportedLarge(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	const events, size = 6, store.MaxRaw / 2
	for i := range events {
		e := Event(fmt.Sprint(i), float64(i))
		e.Raw = []byte(`{"x":"` + strings.Repeat("x", size) + `"}`)
		Add(t, s, e)
	}
	e, err := s.Export(t.Context(), "", 100)
	if err != nil || len(e.Records) == 0 || len(e.Records) > 3 || !e.More {
		t.Fatalf("%d at once, %v", len(e.Records), err)
	}
	if all, _ := exportAll(t, s, "", 100); len(all) != events {
		t.Errorf("%d in all", len(all))
	}
}

// longest: the longest event that there can be is read again. One MiB of it cannot be compressed. With more of that, the race
// detector makes packing take longer than a store may.
func longest(t *testing.T, open func(testing.TB) store.Store) {
	s := open(t)
	e := Event("a", 0)
	text := noise(1<<20) + strings.Repeat("<", store.MaxEvent)
	e.Raw = []byte(`{"x":"` + text[:store.MaxEvent-len(`{"x":""}`)] + `"}`)
	Add(t, s, e)
	if all, _ := exportAll(t, s, "", 100); len(all) != 1 || !bytes.Equal(all[0].Event, e.Raw) {
		t.Errorf("%d are exported, or another", len(all))
	}
	if page, err := s.List(t.Context(), store.Query{Limit: 1, Raw: true}); err != nil || len(page.Raw) != 1 || !bytes.Equal(page.Raw[0], e.Raw) {
		t.Errorf("in a list, it is another, or %v", err)
	}
	if d, err := s.Detail(t.Context(), "a", ""); err != nil || !bytes.Equal(d.Raw, e.Raw) {
		t.Errorf("in full, it is another, or %v", err)
	}
}

// noise returns letters that do not repeat.
func noise(n int) string {
	b := make([]byte, n/2)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // it has no errors
	return hex.EncodeToString(b)
}
