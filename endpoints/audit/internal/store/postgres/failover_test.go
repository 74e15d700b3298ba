package postgres_test

import (
	"errors"
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres/postgrestest"
	"github.com/txn2/amp/endpoints/audit/internal/store/storetest"
)

// TestAFailoverLosesNothing: the primary crashes, and the standby that it waited for takes over.
func TestAFailoverLosesNothing(t *testing.T) {
	t.Parallel()
	primary := postgrestest.Start(t, "wal_level=replica")
	url := primary.URL(t)
	standby := primary.Standby(t)
	both := primary.Either(standby, url)
	s, other := open(t, postgres.Config{URL: both}), open(t, postgres.Config{URL: both})
	since := storetest.Now(t, other)
	sending := send(t, s)
	sending.more(primary)
	primary.Stop(t, "QUIT")
	if _, err := other.List(t.Context(), store.Query{Limit: 1}); !errors.Is(err, store.ErrUnreachable) {
		t.Errorf("before the standby has taken over: %v", err)
	}
	standby.Promote(t)
	sending.more(standby)
	onceEach(t, other, since, sending.end())
}
