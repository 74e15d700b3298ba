// Package sqlite keeps the audit function's events in SQLite, for one process: a second one on the same file is refused.
package sqlite

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite", without cgo

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/group"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

// Config says where a [Store] keeps events.
type Config struct {
	// Path is the database's file, made if it does not exist. Empty: in memory.
	Path string
	// MaxMemory bounds a database in memory, in bytes: the oldest events make room for the newest. 0: 256 MiB.
	MaxMemory int64
	// Log gets what goes wrong while no caller waits for it. nil: slog.Default().
	Log *slog.Logger
}

const defaultMaxMemory = 256 << 20

// A Store is a [store.Store] in an SQLite database. One goroutine does all writing, and its transactions hold
// what came in meanwhile: SQLite has one writer, and an fsync costs as much for one event as for a thousand.
type Store struct {
	readers *sql.DB
	writer  *sql.DB
	// memory guards a database in memory, which has no WAL to read from while it is written.
	memory    *sync.RWMutex
	maxMemory int64
	path      string // of the file; empty: in memory
	lock      *os.File
	log       *slog.Logger
	epoch     string // tells one database's order of arrival from another's

	writes *group.Writer

	closeOnce sync.Once
	closeErr  error

	mu      sync.Mutex
	changed chan struct{} // closed when events were stored

	// The writer's own.
	tx     *transaction
	seq    int64
	terms  map[termKey]termEntry
	packer packed.Packer
}

var _ store.Store = (*Store)(nil)

// Open opens the database, or makes it. The caller closes the Store.
func Open(config Config) (*Store, error) {
	s := &Store{
		log: config.Log, maxMemory: config.MaxMemory, path: config.Path,
		changed: make(chan struct{}), terms: map[termKey]termEntry{},
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.maxMemory == 0 {
		s.maxMemory = defaultMaxMemory
	}
	// FULL: with NORMAL, the last transactions of a WAL do not survive a loss of power. Their events were
	// answered with 2xx, so no sender would send them again.
	dsn := "file:" + config.Path + "?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=busy_timeout(5000)"
	if config.Path == "" {
		s.memory = new(sync.RWMutex)
		dsn = "file:/amp-audit-" + rand.Text() + "?vfs=memdb&_pragma=journal_mode(memory)&_pragma=busy_timeout(5000)"
	}
	var err error
	if s.lock, err = lock(config.Path); err != errInUse {
		err = cmp.Or(s.open(dsn), err) // if the file cannot be used, SQLite's error says more
	}
	if err != nil {
		if s.tx != nil {
			_ = s.tx.conn.Close()
		}
		if s.writer != nil {
			_ = s.writer.Close()
		}
		unlock(s.lock)
		return nil, fmt.Errorf("opening the database %q: %w", config.Path, trouble(config.Path, err, true))
	}
	s.readers.SetMaxOpenConns(8)
	s.readers.SetMaxIdleConns(8)
	s.writes = group.New(s.commit)
	return s, nil
}

func (s *Store) open(dsn string) (err error) {
	if s.writer, err = sql.Open("sqlite", dsn+"&_pragma=cache_size(-65536)"); err != nil {
		return err
	}
	// One connection, kept: a database in memory lives as long as it does.
	conn, err := s.writer.Conn(context.Background())
	if err != nil {
		return err
	}
	s.tx = &transaction{conn, map[string]*sql.Stmt{}}
	if err := s.inTransaction(s.prepare); err != nil {
		return err
	}
	s.readers, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)&_pragma=cache_size(-16384)")
	return err
}

// prepare makes the tables, or checks that they are the ones this program knows.
func (s *Store) prepare(tx *transaction) error {
	version, _, err := tx.number("PRAGMA user_version")
	if err != nil {
		return err
	}
	var tables, ours int
	err = tx.conn.QueryRowContext(context.Background(), "SELECT count(*), count(*) FILTER (WHERE name = 'meta') FROM sqlite_schema").Scan(&tables, &ours)
	if err != nil {
		return err
	}
	if tables > 0 && ours == 0 {
		return errors.New("it is the database of another program: name another file in AMP_AUDIT_DB")
	}
	switch version {
	case 0:
		tables := schema
		if s.memory != nil {
			tables += memoryIndexes
		}
		if _, err := tx.conn.ExecContext(context.Background(), tables+"PRAGMA user_version = "+strconv.Itoa(schemaVersion)); err != nil {
			return err
		}
		if err := tx.exec("INSERT INTO meta VALUES ('seq', 0), ('epoch', ?)", rand.Text()[:8]); err != nil {
			return err
		}
	case 2, schemaVersion:
		// SQLite opens a file that may not be written, too. Say so now, and not with the first event.
		if err := tx.exec("UPDATE meta SET v = v WHERE k = 'seq'"); err != nil {
			return err
		}
		// Nothing is rewritten. A program that does not know what comes now refuses the database.
		if _, err := tx.conn.ExecContext(context.Background(), "PRAGMA user_version = "+strconv.Itoa(schemaVersion)); err != nil {
			return err
		}
	default:
		return fmt.Errorf("its schema is version %d, this amp knows %d: use the amp that made it, or another file", version, schemaVersion)
	}
	if _, err := tx.conn.ExecContext(context.Background(), indexes); err != nil {
		return err
	}
	return tx.scan("SELECT (SELECT v FROM meta WHERE k = 'seq'), (SELECT v FROM meta WHERE k = 'epoch')", nil, &s.seq, &s.epoch)
}

// Close implements [store.Store].
func (s *Store) Close() error {
	s.writes.Close()
	s.closeOnce.Do(func() {
		s.closeErr = errors.Join(s.readers.Close(), s.tx.close(), s.writer.Close())
		unlock(s.lock)
	})
	return s.closeErr
}

// read gives do a consistent view of the database.
func (s *Store) read(ctx context.Context, do func(*sql.Tx) error) error {
	if s.memory != nil {
		s.memory.RLock()
		defer s.memory.RUnlock()
	}
	tx, err := s.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("reading events: %w", err)
	}
	defer tx.Rollback()
	return do(tx)
}

// collect reads all rows.
func collect[T any](rows *sql.Rows, one func(scan func(...any) error) (T, error)) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := one(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// each calls do for every row.
func each(rows *sql.Rows, do func(scan func(...any) error) error) error {
	_, err := collect(rows, func(scan func(...any) error) (struct{}, error) { return struct{}{}, do(scan) })
	return err
}

// single reads a row of one column.
func single[T any](scan func(...any) error) (v T, err error) {
	err = scan(&v)
	return v, err
}
