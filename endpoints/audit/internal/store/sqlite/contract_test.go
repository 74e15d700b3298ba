package sqlite

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/storetest"
)

func TestTheContract(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]func(testing.TB) string{
		"in a file": func(t testing.TB) string { return filepath.Join(t.TempDir(), "events.db") },
		"in memory": func(testing.TB) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t testing.TB, log *slog.Logger) store.Store {
				s, err := Open(Config{Path: path(t), Log: log})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				})
				return s
			})
		})
	}
}
