package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres/postgrestest"
	"github.com/txn2/amp/endpoints/audit/internal/store/storetest"
)

// TestAFullDiskLosesNothing: the error says what to do, and when there is room again, all goes on.
func TestAFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	server, disk := postgrestest.StartOnDisk(t, 250<<20)
	url := server.URL(t)
	// Room in the log, which PostgreSQL cannot do without.
	for range 3 {
		server.Exec(t, url, "SELECT pg_switch_wal()")
		server.Exec(t, url, "CHECKPOINT")
	}
	s, other := open(t, postgres.Config{URL: url}), open(t, postgres.Config{URL: url})
	since := storetest.Now(t, other)
	sending := send(t, s)
	sending.more(server)
	disk.Fill(t)
	var stored []string
	var full error
	for n := 0; full == nil && n < 10_000; n++ {
		large := storetest.Event(fmt.Sprintf("large-%d", n), 1, func(i *store.Item) { i.Name = strings.Repeat("x", 4000) })
		if full = s.Add(t.Context(), []*store.Event{large}); full == nil {
			stored = append(stored, large.Item.ID)
		}
	}
	if !errors.Is(full, store.ErrUnreachable) || !strings.Contains(full.Error(), "its disk is full: make it larger") {
		t.Errorf("storing on a full disk: %v", full)
	}
	if _, err := other.List(t.Context(), store.Query{Limit: 1}); err != nil {
		t.Errorf("reading from a full disk: %v", err)
	}
	disk.Free(t)
	sending.more(server)
	onceEach(t, other, since, append(sending.end(), stored...))
}
