package postgres_test

import (
	"os"
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/store/postgres"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres/postgrestest"
	"github.com/txn2/amp/endpoints/audit/internal/store/storetest"
)

// TestADatabaseOfTheSchemaBeforeIsRead: a program of schema 1 made the rows.
func TestADatabaseOfTheSchemaBeforeIsRead(t *testing.T) {
	t.Parallel()
	url, server := postgrestest.URL(t), postgrestest.Shared(t)
	for _, path := range []string{"migrations/1.sql", "testdata/schema-1.sql"} {
		statements, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		server.Exec(t, url, string(statements))
	}
	server.Exec(t, url, "CREATE TABLE audit_schema (version integer NOT NULL); INSERT INTO audit_schema VALUES (1)")
	storetest.CheckOld(t, open(t, postgres.Config{URL: url}))
}
