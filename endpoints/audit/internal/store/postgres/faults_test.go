package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres/postgrestest"
	"github.com/txn2/amp/endpoints/audit/internal/store/storetest"
)

// insist sends an event as amp does: again, until it is acknowledged. It returns how often that failed.
func insist(t testing.TB, s store.Store, e *store.Event) (failures int) {
	for deadline := time.Now().Add(time.Minute); ; failures++ {
		err := s.Add(t.Context(), []*store.Event{e})
		if err == nil {
			return failures
		}
		if !errors.Is(err, store.ErrUnreachable) {
			t.Errorf("%s: %v", e.Item.ID, err)
		}
		if time.Now().After(deadline) {
			t.Errorf("%s was never taken", e.Item.ID)
			return failures
		}
		time.Sleep(5 * time.Millisecond) // a sender's pause
	}
}

// onceEach checks that each of the events that were acknowledged is stored once, and was streamed once.
func onceEach(t testing.TB, s store.Store, since store.Position, acknowledged []string) {
	t.Helper()
	streamed, _ := storetest.Stream(t, s, store.Filter{}, since)
	for what, ids := range map[string]string{"listed": storetest.IDs(t, s, store.Filter{}), "streamed": streamed} {
		times := map[string]int{}
		for id := range strings.FieldsSeq(ids) {
			times[id]++
		}
		for _, id := range acknowledged {
			if times[id] != 1 {
				t.Errorf("%s was acknowledged, and is %s %d times", id, what, times[id])
			}
		}
		if len(times) != len(acknowledged) {
			t.Errorf("%d are %s, %d were acknowledged", len(times), what, len(acknowledged))
		}
	}
}

// sending is four senders that send events until it ends.
type sending struct {
	t       testing.TB
	senders sync.WaitGroup
	stop    chan struct{}

	mu           sync.Mutex
	acknowledged []string
	failures     int
}

func send(t testing.TB, s store.Store) *sending {
	x := &sending{t: t, stop: make(chan struct{})}
	for sender := range 4 {
		x.senders.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-x.stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", sender, n)
				failures := insist(t, s, storetest.Event(id, float64(n)))
				x.mu.Lock()
				x.failures += failures
				x.acknowledged = append(x.acknowledged, id)
				x.mu.Unlock()
			}
		})
	}
	return x
}

func (x *sending) counts() (acknowledged, failures int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.acknowledged), x.failures
}

// more waits until 50 more events were taken.
func (x *sending) more(server *postgrestest.Server) {
	x.t.Helper()
	before, _ := x.counts()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if n, _ := x.counts(); n >= before+50 {
			return
		}
		if time.Now().After(deadline) {
			x.t.Errorf("no more events are taken; the server says:\n%s", server.Log())
			return
		}
	}
}

// end ends it, and returns the ids of the events that were acknowledged. Some must have failed at first.
func (x *sending) end() []string {
	x.t.Helper()
	close(x.stop)
	x.senders.Wait()
	if x.failures == 0 {
		x.t.Error("no event failed: there was no fault")
	}
	x.t.Logf("%d events, %d failures", len(x.acknowledged), x.failures)
	return x.acknowledged
}

func TestARestartOfTheServerLosesNothing(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	url := server.URL(t)
	s, other := open(t, postgres.Config{URL: url}), open(t, postgres.Config{URL: url})
	since := storetest.Now(t, other)
	sending := send(t, s)
	for _, signal := range []string{"INT", "QUIT"} { // an orderly stop, and a crash
		sending.more(server)
		server.Stop(t, signal)
		if _, err := other.List(t.Context(), store.Query{Limit: 1}); !errors.Is(err, store.ErrUnreachable) {
			t.Errorf("reading from a server that is not there: %v", err)
		}
		server.Start(t)
	}
	sending.more(server)
	acknowledged := sending.end()
	// The readers of another process are told again.
	for position, changed := storetest.Now(t, other), other.Changed(); ; changed = other.Changed() {
		if position == storetest.Now(t, other) {
			insist(t, s, storetest.Event("last", 1))
			acknowledged = append(acknowledged, "last")
		}
		select {
		case <-changed:
		case <-time.After(30 * time.Second):
			t.Error("the other process is not told any more")
		}
		if got, _ := storetest.Stream(t, other, store.Filter{}, position); got != "" {
			break
		}
		if t.Failed() {
			break
		}
	}
	onceEach(t, other, since, acknowledged)
}

// A cutter hands connections on, and cuts some of them in the middle of a commit.
type cutter struct {
	to      string
	commits atomic.Int64
	cut     atomic.Int64 // after the commit was handed on
	before  atomic.Int64 // instead of handing it on
}

func (c *cutter) serve(t testing.TB) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", c.to)
			if err != nil {
				client.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(client, server)
				client.Close()
			}()
			go c.forward(client, server)
		}
	}()
	return listener.Addr().String()
}

// forward hands on what the client says. Of five commits, one is handed on and its answer is not, and one is not handed on.
func (c *cutter) forward(client, server net.Conn) {
	defer client.Close()
	defer server.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := client.Read(b)
		if err != nil {
			return
		}
		commit := bytes.Contains(b[:n], []byte("commit\x00"))
		turn := int64(0)
		if commit {
			turn = c.commits.Add(1) % 5
		}
		if turn == 2 {
			c.before.Add(1)
			return
		}
		if turn == 4 {
			client.Close() // first, so that the answer cannot get there
		}
		if _, err := server.Write(b[:n]); err != nil {
			return
		}
		if turn == 4 {
			c.cut.Add(1)
			_, _ = io.Copy(io.Discard, server) // the commit goes on to its end
			return
		}
	}
}

func TestAConnectionThatIsCutInTheCommitLosesNothing(t *testing.T) {
	t.Parallel()
	server := postgrestest.Shared(t)
	url := server.URL(t)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(postgrestest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	direct := open(t, postgres.Config{URL: url})
	since := storetest.Now(t, direct)
	c := &cutter{to: server.Address()}
	s := open(t, postgres.Config{URL: server.Over(c.serve(t), url, postgrestest.User), PasswordFile: password})
	var acknowledged []string
	failures, stored := 0, 0
	for n := range 60 {
		e := storetest.Event(fmt.Sprint(n), float64(n))
		if err := s.Add(t.Context(), []*store.Event{e}); err != nil {
			if !errors.Is(err, store.ErrUnreachable) {
				t.Errorf("event %d: %v", n, err)
			}
			failures++
			for range 100 { // the commit of a connection that was cut may still be under way
				if _, err := direct.Detail(t.Context(), e.Item.ID, ""); err == nil {
					stored++
					break
				}
				time.Sleep(time.Millisecond)
			}
			insist(t, s, e)
		}
		acknowledged = append(acknowledged, e.Item.ID)
	}
	onceEach(t, direct, since, acknowledged)
	if failures == 0 || stored == 0 || stored == failures {
		t.Errorf("%d of %d commits that failed had stored their event, want some", stored, failures)
	}
	t.Logf("%d commits, %d cut before the server had them, %d after; of %d that failed, %d had stored their event", c.commits.Load(), c.before.Load(), c.cut.Load(), failures, stored)
}

// TestTheWayToTheDatabase: a database that is not there at first, a password that is rotated, a reader who may only read.
func TestTheWayToTheDatabase(t *testing.T) {
	t.Parallel()
	server := postgrestest.Shared(t)
	url := server.URL(t)
	_, schema, _ := strings.Cut(url, "search_path=")
	writer, reader := "w"+schema, "r"+schema
	server.Exec(t, url, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'old'; CREATE ROLE %s LOGIN PASSWORD 'only'; GRANT USAGE ON SCHEMA %s TO %[2]s; GRANT CREATE, USAGE ON SCHEMA %[3]s TO %[1]s", writer, reader, schema))
	folder := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s := open(t, postgres.Config{
		URL: server.Over(server.Address(), url, writer) + "&pool_max_conn_idle_time=1ms&pool_health_check_period=5ms", PasswordFile: file("write", "wrong"),
		ReadURL: server.Over(server.Address(), url, reader), ReadPasswordFile: file("read", "only\n"),
	})
	err := s.Add(t.Context(), []*store.Event{storetest.Event("a", 1)})
	if !errors.Is(err, store.ErrUnreachable) || !strings.Contains(err.Error(), "refuses the user or the password") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong password: %v", err)
	}
	file("write", "old\n")
	insist(t, s, storetest.Event("a", 1))
	if got := storetest.IDs(t, s, store.Filter{User: "alice"}); got != "a" {
		t.Errorf("the reader sees %q", got)
	}
	server.Exec(t, url, fmt.Sprintf("ALTER ROLE %s PASSWORD 'new'", writer))
	file("write", "new")
	insist(t, s, storetest.Event("b", 2))
	if got := storetest.IDs(t, s, store.Filter{}); got != "b a" {
		t.Errorf("the reader sees %q", got)
	}
	// A schema of a later release.
	server.Exec(t, url, "UPDATE audit_schema SET version = 99")
	later := open(t, postgres.Config{URL: url})
	if _, err := later.Values(context.Background()); err == nil || !strings.Contains(err.Error(), "its schema is version 99") {
		t.Errorf("a later schema: %v", err)
	}
}
