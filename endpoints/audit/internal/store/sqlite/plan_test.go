package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// TestEachQueryGoesByAnIndex has SQLite explain every query of this package. Without ANALYZE a plan does not depend
// on the data, so what holds for a few events holds for a million: no query walks along a table that grows, and the
// newest events that match come out of the index in their order, without being sorted. How long that takes,
// TestFilterTimes of package audit measures.
func TestEachQueryGoesByAnIndex(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	s := open(t, Config{Path: path})
	var asked queries
	recorded := sql.OpenDB(&recorder{s.readers.Driver(), "file:" + path, &asked})
	t.Cleanup(func() { recorded.Close() })
	if err := s.readers.Close(); err != nil {
		t.Fatal(err)
	}
	s.readers = recorded
	useEverything(t, s)

	statements := asked.all
	for query := range s.tx.prepared {
		statements = append(statements, query)
	}
	if statements = checkPlans(t, s, statements); len(statements) < 40 {
		t.Errorf("only %d statements were recorded", len(statements))
	}
}

// TestEachQueryThatMakesRoomGoesByAnIndex is the same for a database in memory: while it makes room, readers wait.
func TestEachQueryThatMakesRoomGoesByAnIndex(t *testing.T) {
	t.Parallel()
	s := open(t, Config{MaxMemory: 1})
	add(t, s, event("a", 0, func(i *store.Item) { i.Name, i.GenerateName = "", "web-6d4cf56db6-" }))
	add(t, s, event("b", 7200))
	var statements []string
	for query := range s.tx.prepared {
		statements = append(statements, query)
	}
	statements = checkPlans(t, s, statements)
	for _, table := range []string{"events", "bodies", "idx", "terms", "words", "counts", "latencies"} {
		if !slices.ContainsFunc(statements, func(query string) bool { return strings.HasPrefix(query, "DELETE FROM "+table) }) {
			t.Errorf("nothing was deleted from %s", table)
		}
		if n := rowsOf(t, s, table); n > 0 {
			t.Errorf("%s still has %d rows", table, n)
		}
	}
}

// checkPlans checks the plan of each statement, and returns the statements without those that there are twice.
func checkPlans(t *testing.T, s *Store, statements []string) []string {
	t.Helper()
	slices.Sort(statements)
	statements = slices.Compact(statements)
	for _, query := range statements {
		if strings.HasPrefix(query, "PRAGMA") || strings.HasPrefix(query, "BEGIN") || strings.Contains(query, "FROM pragma_") {
			continue
		}
		plan := explain(t, s, query)
		for _, line := range plan {
			if walks(line) && !slices.Contains(mayScan, query) {
				t.Errorf("%s\n\twalks along a table: %q", query, plan)
			}
			if strings.Contains(line, "TEMP B-TREE FOR ORDER BY") {
				t.Errorf("%s\n\tsorts what it found: %q", query, plan)
			}
			if strings.Contains(query, "idx.rowid < ?") && strings.Contains(line, "VIRTUAL TABLE INDEX") && !strings.Contains(line, ":M1<>") {
				t.Errorf("%s\n\tdoes not match by the index: %q", query, plan)
			}
		}
	}
	return statements
}

// walks reports whether a line of a plan says that a whole table is read. What the index and a subquery find is not
// one: t is the name of a subquery.
func walks(line string) bool {
	table, ok := strings.CutPrefix(line, "SCAN ")
	return ok && !strings.Contains(line, "VIRTUAL TABLE INDEX") && !strings.HasPrefix(table, "(subquery") && !slices.Contains([]string{"t", "CONSTANT ROW", "2-ROW VALUES CLAUSE"}, table)
}

// mayScan are the statements that walk along the charts' sums, which have a row for each minute and endpoint: they
// run once a minute.
var mayScan = []string{"DELETE FROM counts WHERE bucket < ?1 - res", "DELETE FROM latencies WHERE bucket < ?1 - res"}

// useEverything makes the store use each of its queries.
func useEverything(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	all := []*store.Event{
		event("w1", 0, func(i *store.Item) { i.Name, i.GenerateName = "", "web-6d4cf56db6-" }),
		event("v1", 1, func(i *store.Item) {
			i.Outcome, i.Name, i.Mutation = outcome.Validated, "web-6d4cf56db6-x8k2p", "w1"
		}),
		event("b", 2), event("b"+store.Final, 3), event("late", 7200),
	}
	for i := range maxAlternatives + 1 {
		all = append(all, event(fmt.Sprintf("job-%d", i), 4))
	}
	add(t, s, all...)
	many := store.Filter{Pod: "pod-job-"}
	for _, f := range []store.Filter{
		{}, many, {Namespace: "jhub"}, {Namespace: "jhub", Pod: "web"}, {Pod: "web-6d4cf56db6-x8k2p"}, {Outcomes: outcome.All}, {User: "alice"}, {User: "ali"},
		{Endpoint: "hook"}, {From: start, To: start.AddDate(0, 1, 0)}, {Namespace: "jhub", Pod: "pod", Outcomes: outcome.All[:1], User: "a", Endpoint: "http"},
	} {
		for _, raw := range []bool{false, true} {
			page, err := s.List(ctx, store.Query{Filter: f, Limit: 2, Raw: raw})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.List(ctx, store.Query{Filter: f, Limit: 2, Raw: raw, Cursor: page.Next}); err != nil {
				t.Fatal(err)
			}
		}
		if f.To.IsZero() {
			f.To = start.AddDate(0, 0, 1)
		}
		if _, err := s.Charts(ctx, f); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Arrived(ctx, f, s.position(0), 10); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"w1", "v1", "b", "b" + store.Final} {
		if _, err := s.Detail(ctx, id, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Values(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteBefore(ctx, start.Add(1)); err != nil {
		t.Fatal(err)
	}
}

func explain(t *testing.T, s *Store, query string) []string {
	t.Helper()
	args := make([]any, strings.Count(query, "?"))
	if strings.Contains(query, "?1") {
		args = args[:1]
	}
	rows, err := s.readers.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	plan, err := collect(rows, func(scan func(...any) error) (line string, err error) {
		var id, parent, unused int
		err = scan(&id, &parent, &unused, &line)
		return line, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

type queries struct {
	mu  sync.Mutex
	all []string
}

// A recorder connects to a database and notes what it is asked.
type recorder struct {
	driver driver.Driver
	dsn    string
	asked  *queries
}

func (r *recorder) Driver() driver.Driver { return r.driver }

func (r *recorder) Connect(context.Context) (driver.Conn, error) {
	conn, err := r.driver.Open(r.dsn)
	return &recordedConn{conn, r.asked}, err
}

type recordedConn struct {
	driver.Conn
	asked *queries
}

func (c *recordedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
}

func (c *recordedConn) note(query string) {
	if !strings.HasPrefix(query, "EXPLAIN") {
		c.asked.mu.Lock()
		c.asked.all = append(c.asked.all, query)
		c.asked.mu.Unlock()
	}
}

func (c *recordedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.note(query)
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
}

func (c *recordedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.note(query)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}
