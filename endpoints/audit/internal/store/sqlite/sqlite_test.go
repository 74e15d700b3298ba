package sqlite

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, config Config) *Store {
	t.Helper()
	config.Log = slog.New(slog.DiscardHandler)
	s, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// event is a mutation of a Pod with a name of its own, some seconds after start. change may make it another one.
func event(id string, seconds float64, change ...func(*store.Item)) *store.Event {
	item := &store.Item{
		ID: id, Source: "urn:test", Type: "t", Time: start.Add(time.Duration(seconds * float64(time.Second))), Outcome: outcome.Mutated,
		Namespace: "jhub", Name: "pod-" + id, User: "alice", Endpoints: []store.Call{{URL: "http://hook.jhub.svc/mutate", DurationMS: 3}},
	}
	for _, c := range change {
		c(item)
	}
	return &store.Event{Item: item, Raw: json.RawMessage(`{"id":"` + id + `"}`)}
}

func add(t testing.TB, s *Store, events ...*store.Event) {
	t.Helper()
	if err := s.Add(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

func ids(t testing.TB, s *Store, f store.Filter) string {
	t.Helper()
	page, err := s.List(t.Context(), store.Query{Filter: f, Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, item := range page.Items {
		all = append(all, item.ID)
	}
	return strings.Join(all, " ")
}

// noise is a text of which n bytes are left when it is compressed.
func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // there is no error
	return base64.StdEncoding.EncodeToString(b)
}

func pragma(s *Store, name string, into any) error {
	return s.tx.conn.QueryRowContext(context.Background(), "PRAGMA "+name).Scan(into)
}

func TestWhatIsStoredSurvivesALossOfPower(t *testing.T) {
	t.Parallel()
	s := open(t, Config{Path: filepath.Join(t.TempDir(), "events.db")})
	var mode, synchronous string
	if err := pragma(s, "journal_mode", &mode); err != nil || mode != "wal" {
		t.Errorf("journal %q, %v", mode, err)
	}
	if err := pragma(s, "synchronous", &synchronous); err != nil || synchronous != "2" {
		t.Errorf("synchronous %q, %v: an event that was answered with 2xx must survive a loss of power", synchronous, err)
	}
}

func TestAFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, Config{})
	add(t, s, event("a", 0))
	var n int
	if err := pragma(s, "page_count", &n); err != nil {
		t.Fatal(err)
	}
	if err := pragma(s, fmt.Sprintf("max_page_count = %d", n), &n); err != nil {
		t.Fatal(err)
	}
	big := event("big", 1)
	big.Raw = json.RawMessage(`"` + noise(1<<20) + `"`)
	if err := s.Add(t.Context(), []*store.Event{big, event("small", 2)}); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("adding to a full disk: %v", err)
	}
	if err := pragma(s, "max_page_count = 100000", &n); err != nil {
		t.Fatal(err)
	}
	// Sent again they are taken, and nothing is half there.
	if got := ids(t, s, store.Filter{}); got != "a" {
		t.Errorf("before, there is %q", got)
	}
	add(t, s, big, event("small", 2))
	if got := ids(t, s, store.Filter{Pod: "pod-big"}); got != "big" {
		t.Errorf("there is %q", got)
	}
	if got := ids(t, s, store.Filter{}); got != "small big a" {
		t.Errorf("there is %q", got)
	}
}

func TestALaterSchemaIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "later.db")
	future, err := Open(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	var n int
	_ = pragma(future, "user_version = 99", &n)
	_ = future.Close()
	if _, err := Open(Config{Path: path}); err == nil || !strings.Contains(err.Error(), "its schema is version 99") {
		t.Errorf("a later schema: %v", err)
	}
}

func TestADatabaseInMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s := open(t, Config{MaxMemory: 4 << 20})
	for i := range 80 {
		e := event(fmt.Sprint(i), float64(i))
		e.Raw = json.RawMessage(`"` + noise(100<<10) + `"`)
		add(t, s, e)
	}
	left := strings.Fields(ids(t, s, store.Filter{}))
	if len(left) < 10 || len(left) > 45 || left[0] != "79" {
		t.Errorf("%d are left: %q", len(left), left)
	}
}

func TestDeleteBeforeLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := open(t, Config{})
	var all []*store.Event
	for i := range deleteChunk/10 + 3 {
		all = append(all, event(fmt.Sprint(i), float64(i)))
	}
	add(t, s, append(all, event("0"+store.Final, 4), event("young", 7300))...)
	if err := s.DeleteBefore(t.Context(), start.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, s, store.Filter{}); got != "young" {
		t.Errorf("there is %q", got)
	}
	if err := s.DeleteBefore(t.Context(), start.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"events", "bodies", "idx", "terms", "words", "counts", "latencies"} {
		var n int
		if err := s.tx.conn.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s still has %d rows, %v", table, n, err)
		}
	}
}

// TestOutcomesKeepTheirNumbers holds what databases of earlier releases hold.
func TestOutcomesKeepTheirNumbers(t *testing.T) {
	for i, name := range []string{"mutated", "unchanged", "shadowed", "rejected", "failedopen", "validated", "denied"} {
		if outcomeNumbers[name] != i || outcomeNames[i] != name {
			t.Errorf("%s is number %d, and number %d is %s", name, outcomeNumbers[name], i, outcomeNames[i])
		}
	}
	for _, name := range outcome.All {
		if _, ok := outcomeNumbers[name]; !ok {
			t.Errorf("%s has no number: give it the next one", name)
		}
	}
	if len(outcomeNames) != len(outcomeNumbers) {
		t.Error("two outcomes have the same number")
	}
	s := open(t, Config{})
	if err := s.Add(t.Context(), []*store.Event{event("a", 0, func(i *store.Item) { i.Outcome = "other" })}); err == nil {
		t.Error("an unknown outcome is stored")
	}
}
