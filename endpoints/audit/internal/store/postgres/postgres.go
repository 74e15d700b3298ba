// Package postgres keeps the audit function's events in PostgreSQL, for any number of processes that share a database.
//
// START HERE: insert.go says how events get in, in one order for all processes; search.go how they are found again.
// schema.go and partitions.go keep the tables, listen.go brings the news of other processes.
package postgres

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/group"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

// Config says where a [Store] keeps events.
type Config struct {
	// URL is the database's, postgres://user@host/database with libpq's parameters. The user owns the tables, and makes them.
	URL string
	// PasswordFile holds the password of URL's user. It is read again with each connection. Empty: the URL, its passfile or
	// PGPASSWORD has it, or none is needed.
	PasswordFile string
	// ReadURL is for reading: of the same database, by a user who may do no more. Empty: URL.
	ReadURL string
	// ReadPasswordFile holds the password of ReadURL's user, as PasswordFile does.
	ReadPasswordFile string
	// Log gets what goes wrong while no caller waits for it. nil: slog.Default().
	Log *slog.Logger
}

const (
	// readPatience and writePatience bound one call, the way to the database included. A sender waits that long for its
	// answer, so writing has to end before senders give up (amp: 10 s).
	readPatience, writePatience = 10 * time.Second, 8 * time.Second
	// pause is how long a database that could not be prepared is left alone. Calls in the meantime fail at once.
	pause = time.Second
)

// A Store is a [store.Store] in a PostgreSQL database. It needs no database to be opened: each call tries anew.
type Store struct {
	write, read *pgxpool.Pool // read is write if there is no other user for reading
	connect     *connector
	log         *slog.Logger
	writer      *group.Writer

	preparing chan struct{} // holds a value while one call prepares the database
	mu        sync.Mutex    // guards what follows
	prepared  bool
	failed    error // of the last attempt to prepare the database
	failedAt  time.Time
	epoch     string
	changed   chan struct{} // closed when events were stored

	stop       context.CancelFunc // of the listener
	background sync.WaitGroup
	closeOnce  sync.Once

	// The writer's own.
	terms  map[termKey]time.Time
	days   map[time.Time]bool // that have a partition
	packer packed.Packer
}

var _ store.Store = (*Store)(nil)

// Open checks the configuration. It does not wait for the database. The caller closes the Store.
func Open(config Config) (*Store, error) {
	s := &Store{log: config.Log, preparing: make(chan struct{}, 1), changed: make(chan struct{}), terms: map[termKey]time.Time{}, days: map[time.Time]bool{}}
	if s.log == nil {
		s.log = slog.Default()
	}
	var err error
	if s.connect, err = newConnector("AMP_AUDIT_DB", config.URL, config.PasswordFile, false); err != nil {
		return nil, err
	}
	reader := s.connect
	if config.ReadURL != "" {
		if reader, err = newConnector("AMP_AUDIT_DB_READ", config.ReadURL, config.ReadPasswordFile, true); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	if s.write, err = s.connect.pool(ctx); err == nil {
		s.read = s.write
		if config.ReadURL != "" {
			s.read, err = reader.pool(ctx)
		}
	}
	if err != nil {
		cancel()
		if s.write != nil {
			s.write.Close()
		}
		return nil, err
	}
	s.stop = cancel
	s.writer = group.New(s.commit)
	s.background.Go(func() { s.listen(ctx) })
	return s, nil
}

// Close implements [store.Store].
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.writer.Close()
		s.stop()
		s.background.Wait()
		s.read.Close()
		s.write.Close()
	})
	return nil
}

// Add implements [store.Store].
func (s *Store) Add(ctx context.Context, events []*store.Event) error {
	return s.writer.Add(ctx, events)
}

// Changed implements [store.Store].
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// wake tells who waits for Changed.
func (s *Store) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// ready prepares the database with the first call, and again after each failure.
func (s *Store) ready(ctx context.Context) error {
	s.mu.Lock()
	prepared := s.prepared
	s.mu.Unlock()
	if prepared {
		return nil
	}
	select {
	case s.preparing <- struct{}{}:
		defer func() { <-s.preparing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	prepared, failed, at := s.prepared, s.failed, s.failedAt // another call may have prepared it meanwhile
	s.mu.Unlock()
	switch {
	case prepared:
		return nil
	case failed != nil && time.Since(at) < pause:
		return failed
	}
	epoch, err := s.prepare(ctx)
	err = trouble(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prepared, s.epoch, s.failed, s.failedAt = err == nil, epoch, err, time.Now()
	if ctx.Err() != nil {
		s.failed = nil // the caller's patience has ended, and not the next one's
	}
	return err
}

// meta is what a reader has to know of the whole.
type meta struct {
	seq    int64
	epoch  string
	cutoff time.Time
}

// reading gives do a consistent view of the database. It may call do twice.
func (s *Store) reading(ctx context.Context, do func(ctx context.Context, tx pgx.Tx, m meta) error) error {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	if err := s.ready(ctx); err != nil {
		return err
	}
	err := s.readOnce(ctx, do)
	if lost(err) && ctx.Err() == nil {
		// A restart of the server leaves connections in the pool that the new server does not know.
		s.read.Reset()
		err = s.readOnce(ctx, do)
	}
	return trouble(err)
}

func (s *Store) readOnce(ctx context.Context, do func(ctx context.Context, tx pgx.Tx, m meta) error) error {
	tx, err := s.read.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // it has changed nothing
	var m meta
	if err := tx.QueryRow(ctx, "SELECT seq, epoch, cutoff FROM audit_meta").Scan(&m.seq, &m.epoch, &m.cutoff); err != nil {
		return err
	}
	return do(ctx, tx, m)
}

// collect reads all rows of a query.
func collect[T any](ctx context.Context, tx pgx.Tx, query string, args []any, one pgx.RowToFunc[T]) ([]T, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, one)
}
