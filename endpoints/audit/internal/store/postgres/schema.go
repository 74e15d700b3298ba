package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// migrations are the steps from an empty database to the schema of this program, by number. A step that was released is
// never changed. One may be applied while processes of the release before are running, so it may only add.
//
//go:embed migrations
var migrations embed.FS

// schemaVersion is the number of the last migration.
const schemaVersion = 2

// errSchema is trouble with the database that another attempt does not end.
var errSchema = errors.New("the database cannot be used")

// prepare checks the database and brings its schema up to date. Replicas that start at the same time wait for each other.
func (s *Store) prepare(ctx context.Context) (epoch string, err error) {
	var version, encoding string
	if err := s.write.QueryRow(ctx, "SELECT current_setting('server_version_num'), current_setting('server_encoding')").Scan(&version, &encoding); err != nil {
		return "", err
	}
	if n, _ := strconv.Atoi(version); n < 150000 {
		return "", fmt.Errorf("%w: it is PostgreSQL %d, want 15 or later", errSchema, n/10000)
	}
	if encoding != "UTF8" {
		return "", fmt.Errorf("%w: its encoding is %s: create one with ENCODING 'UTF8'", errSchema, encoding)
	}
	err = pgx.BeginFunc(ctx, s.write, func(tx pgx.Tx) error {
		if err := lockSchema(ctx, tx); err != nil {
			return err
		}
		if err := migrate(ctx, tx); err != nil {
			return err
		}
		if err := s.allowReader(ctx, tx); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT epoch FROM audit_meta").Scan(&epoch)
	})
	if err != nil {
		return "", err
	}
	if s.read != s.write {
		var standby bool
		if err := s.read.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby); err != nil {
			return "", fmt.Errorf("AMP_AUDIT_DB_READ: %w", err)
		}
		if standby {
			return "", fmt.Errorf("%w: AMP_AUDIT_DB_READ leads to a standby, which lags behind what the page is told: want the server of AMP_AUDIT_DB", errSchema)
		}
	}
	s.ahead(ctx)
	return epoch, nil
}

// lockSchema lets one replica at a time change tables.
func lockSchema(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('amp audit ' || current_schema(), 0))")
	return err
}

// tableExists asks the catalog. to_regclass would ask a cache, which does not know what another session has made while this
// one waited for lockSchema.
const tableExists = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1 AND relnamespace = current_schema()::regnamespace)"

// migrate applies the migrations that are missing.
func migrate(ctx context.Context, tx pgx.Tx) error {
	var exists bool
	if err := tx.QueryRow(ctx, tableExists, "audit_schema").Scan(&exists); err != nil {
		return err
	}
	if !exists {
		if _, err := tx.Exec(ctx, "CREATE TABLE audit_schema (version integer NOT NULL); INSERT INTO audit_schema VALUES (0)"); err != nil {
			return err
		}
	}
	var version int
	if err := tx.QueryRow(ctx, "SELECT version FROM audit_schema").Scan(&version); err != nil {
		return err
	}
	if version > schemaVersion {
		return fmt.Errorf("%w: its schema is version %d, this amp knows %d: use the amp that made it, or another database", errSchema, version, schemaVersion)
	}
	for version++; version <= schemaVersion; version++ {
		step, err := migrations.ReadFile(fmt.Sprintf("migrations/%d.sql", version))
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, string(step)); err != nil {
			return fmt.Errorf("migration %d: %w", version, err)
		}
		if _, err := tx.Exec(ctx, "UPDATE audit_schema SET version = $1", version); err != nil {
			return err
		}
	}
	return nil
}

// allowReader lets the user for reading read the tables. Partitions are read by way of their table.
func (s *Store) allowReader(ctx context.Context, tx pgx.Tx) error {
	if s.read == s.write {
		return nil
	}
	user := s.read.Config().ConnConfig.User
	for _, table := range []string{"audit_meta", "audit_events", "audit_terms", "audit_counts", "audit_latencies"} {
		var allowed bool
		if err := tx.QueryRow(ctx, "SELECT has_table_privilege($1, $2, 'SELECT')", user, table).Scan(&allowed); err != nil {
			return fmt.Errorf("AMP_AUDIT_DB_READ: %w", err)
		}
		if !allowed {
			if _, err := tx.Exec(ctx, "GRANT SELECT ON "+table+" TO "+pgx.Identifier{user}.Sanitize()); err != nil {
				return fmt.Errorf("AMP_AUDIT_DB_READ: %w", err)
			}
		}
	}
	return nil
}
