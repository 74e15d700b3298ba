package postgres_test

import (
	"log/slog"
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres/postgrestest"
	"github.com/txn2/amp/endpoints/audit/internal/store/storetest"
)

func open(t testing.TB, config postgres.Config) *postgres.Store {
	t.Helper()
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	s, err := postgres.Open(config)
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

func TestTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB, log *slog.Logger) store.Store {
		return open(t, postgres.Config{URL: postgrestest.URL(t), Log: log})
	})
}

// TestTheContractOnOneConnection: the smallest pool there is serves everything.
func TestTheContractOnOneConnection(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB, log *slog.Logger) store.Store {
		return open(t, postgres.Config{URL: postgrestest.URL(t) + "&pool_max_conns=1", Log: log})
	})
}
