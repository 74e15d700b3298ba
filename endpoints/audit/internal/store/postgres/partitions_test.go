package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres/postgrestest"
	"github.com/txn2/amp/endpoints/audit/internal/store/storetest"
)

// column asks the database at url for texts.
func column(t testing.TB, url, query string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const partitionNames = "SELECT relname::text FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'audit_events'::regclass ORDER BY 1"

// A present is when a test begins. It stays, also where midnight comes before the test ends.
type present time.Time

func now() present { return present(time.Now().UTC()) }

func (p present) less(days int) time.Time { return time.Time(p).AddDate(0, 0, -days) }

// ago is an event of some days ago.
func (p present) ago(id string, days int) *store.Event {
	return storetest.Event(id, 0, func(i *store.Item) { i.Time = p.less(days) })
}

// name is that of the partition of some days ago.
func (p present) name(days int) string { return "audit_events_" + p.less(days).Format("20060102") }

func TestPartitionsAreMadeAndDropped(t *testing.T) {
	t.Parallel()
	today := now()
	url := postgrestest.URL(t)
	s := open(t, postgres.Config{URL: url})
	storetest.Now(t, s)
	made := column(t, url, partitionNames)
	for days := range 4 {
		if !slices.Contains(made, today.name(-days)) {
			t.Errorf("there is none for the day after %d, only %q", days, made)
		}
	}
	// Late ones get a partition of their day. A sender that lies about the time does not make thousands.
	var all []*store.Event
	for days := 395; days < 430; days++ {
		all = append(all, today.ago(fmt.Sprint(days), days))
	}
	storetest.Add(t, s, append(all, today.ago("two", 2), today.ago("nine", 9), storetest.Event("future", 0, func(i *store.Item) { i.Time = today.less(-50 * 365) }))...)
	made = column(t, url, partitionNames)
	for _, days := range []int{2, 9, 398} {
		if !slices.Contains(made, today.name(days)) {
			t.Errorf("there is none for %d days ago, only %q", days, made)
		}
	}
	if slices.Contains(made, today.name(405)) || len(column(t, url, "SELECT seq::text FROM audit_events_default")) < 25 {
		t.Errorf("the default one does not take what is too old: %q", made)
	}
	if got := strings.Fields(storetest.IDs(t, s, store.Filter{})); len(got) != 38 || got[0] != "future" || got[1] != "two" || got[37] != "429" {
		t.Errorf("there is %q", got)
	}

	if err := s.DeleteBefore(t.Context(), today.less(5)); err != nil {
		t.Fatal(err)
	}
	made = column(t, url, partitionNames)
	if slices.Contains(made, today.name(9)) || slices.Contains(made, today.name(398)) || !slices.Contains(made, today.name(2)) {
		t.Errorf("after the retention there is %q", made)
	}
	if left := column(t, url, "SELECT seq::text FROM audit_events_default"); len(left) != 1 {
		t.Errorf("the default one still has %q", left)
	}
	// What is older than the retention makes no partition any more, and is not shown.
	storetest.Add(t, s, today.ago("older", 9))
	if slices.Contains(column(t, url, partitionNames), today.name(9)) || storetest.IDs(t, s, store.Filter{}) != "future two" {
		t.Errorf("there is %q", storetest.IDs(t, s, store.Filter{}))
	}
}

// TestOneConnectionIsEnough: no call holds a connection of the pool while it waits for another one. An event of a day without a
// partition makes one on the way.
func TestOneConnectionIsEnough(t *testing.T) {
	t.Parallel()
	today := now()
	url := postgrestest.URL(t)
	s := open(t, postgres.Config{URL: url + "&pool_max_conns=1"})
	storetest.Add(t, s, today.ago("two", 2))
	if made := column(t, url, partitionNames); !slices.Contains(made, today.name(2)) {
		t.Errorf("there is no partition for two days ago, only %q", made)
	}
	storetest.Add(t, s, today.ago("three", 3)) // with other events stored, too
	if got := storetest.IDs(t, s, store.Filter{}); got != "two three" {
		t.Errorf("there is %q", got)
	}
}

// TestTheDefaultPartitionIsEmptied: what it took while a day had no partition moves when that is made.
func TestTheDefaultPartitionIsEmptied(t *testing.T) {
	t.Parallel()
	today := now()
	url := postgrestest.URL(t)
	s := open(t, postgres.Config{URL: url})
	storetest.Now(t, s)
	postgrestest.Shared(t).Exec(t, url, "DROP TABLE "+today.name(0)+", "+today.name(-1))
	// This process takes it that the partition exists: it goes by what it made.
	postgrestest.Shared(t).Exec(t, url, fmt.Sprintf("INSERT INTO audit_events SELECT '%s', 1000, 1, 1, 'mutated', false, 'x', NULL, NULL, '{}', '%s', '{}'", today.less(0).Format(time.RFC3339), `{"id":"moved"}`))
	if err := s.DeleteBefore(t.Context(), today.less(5)); err != nil {
		t.Fatal(err)
	}
	if got := column(t, url, "SELECT seq::text FROM "+today.name(0)); len(got) != 1 || storetest.IDs(t, s, store.Filter{}) != "moved" {
		t.Errorf("the partition has %q", got)
	}
}

// onlySlow is what replicas may log on a slow machine: making a partition or listening took too long, and is tried again.
var onlySlow = regexp.MustCompile(`^time=\S+ level=WARN msg="audit (cannot make a partition ahead|cannot make a partition, so the default one takes the events|is not told what other replicas store, and tries again)" .*(a lock was not to be had in time|a statement took too long|deadline exceeded)`)

func TestReplicasThatStartAtOnceMakeOneSchema(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	var all []*postgres.Store
	for range 5 {
		all = append(all, open(t, postgres.Config{URL: url, Log: logger}))
	}
	var wg sync.WaitGroup
	for i, s := range all {
		wg.Go(func() {
			storetest.Add(t, s, storetest.Event(fmt.Sprint(i), float64(i)))
			if err := s.DeleteBefore(t.Context(), storetest.Start.AddDate(0, 0, -1)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, s := range all {
		if got := storetest.IDs(t, s, store.Filter{}); got != "4 3 2 1 0" {
			t.Errorf("there is %q", got)
		}
	}
	if got := column(t, url, "SELECT version::text FROM audit_schema"); !slices.Equal(got, []string{"2"}) {
		t.Errorf("versions %q", got)
	}
	for _, s := range all { // nothing is logged any more
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for line := range strings.Lines(log.String()) {
		if !onlySlow.MatchString(line) {
			t.Errorf("log: %s", line)
		}
	}
}

// TestACommitWaitsForTheDisk also where the server's default is not to wait.
func TestACommitWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	server := postgrestest.Shared(t)
	url := server.URL(t)
	server.Exec(t, url, `CREATE TABLE seen (setting text); SET search_path = '`+url[strings.LastIndex(url, "=")+1:]+`'`)
	s := open(t, postgres.Config{URL: url + "&synchronous_commit=off"})
	storetest.Now(t, s)
	server.Exec(t, url, `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES (current_setting(''synchronous_commit'')); RETURN NULL; END';
		CREATE TRIGGER note AFTER UPDATE ON audit_meta FOR EACH ROW EXECUTE FUNCTION note()`)
	storetest.Add(t, s, storetest.Event("a", 1))
	if got := column(t, url, "SELECT setting FROM seen"); !slices.Equal(got, []string{"on"}) {
		t.Errorf("synchronous_commit is %q", got)
	}
}

// TestOtherProcessesAreTold: by a notification, long before the listener looks for itself.
func TestOtherProcessesAreTold(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	writer, reader := open(t, postgres.Config{URL: url}), open(t, postgres.Config{URL: url})
	position := storetest.Now(t, reader)
	for i := range 10 {
		storetest.Add(t, writer, storetest.Event(fmt.Sprint(i), float64(i)))
		for deadline, got := time.Now().Add(30*time.Second), ""; got == ""; {
			changed := reader.Changed()
			if got, position = storetest.Stream(t, reader, store.Filter{}, position); got != "" {
				break
			}
			select {
			case <-changed:
			case <-time.After(time.Until(deadline)):
				t.Fatal("the other process was not told")
			}
		}
	}
}
