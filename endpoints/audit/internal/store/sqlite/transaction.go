package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

// transaction is the writer's. Its statements are prepared once: most transactions are of one event.
type transaction struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt
}

// inTransaction does something as a whole or not at all. Only the writer calls it.
func (s *Store) inTransaction(do func(*transaction) error) error {
	if s.memory != nil {
		s.memory.Lock()
		defer s.memory.Unlock()
	}
	ctx := context.Background() // a transaction that has begun is brought to its end
	if _, err := s.tx.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := do(s.tx)
	if err == nil {
		_, err = s.tx.conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		// SQLite may have rolled back by itself, then this fails.
		_, _ = s.tx.conn.ExecContext(ctx, "ROLLBACK")
	}
	return err
}

func (tx *transaction) close() error {
	var errs []error
	for _, statement := range tx.prepared {
		errs = append(errs, statement.Close())
	}
	return errors.Join(append(errs, tx.conn.Close())...)
}

func (tx *transaction) statement(query string) (*sql.Stmt, error) {
	statement := tx.prepared[query]
	if statement == nil {
		var err error
		if statement, err = tx.conn.PrepareContext(context.Background(), query); err != nil {
			return nil, err
		}
		tx.prepared[query] = statement
	}
	return statement, nil
}

func (tx *transaction) exec(query string, args ...any) error {
	statement, err := tx.statement(query)
	if err == nil {
		_, err = statement.Exec(args...)
	}
	return err
}

// scan reads the one row that a query finds.
func (tx *transaction) scan(query string, args []any, into ...any) error {
	statement, err := tx.statement(query)
	if err == nil {
		err = statement.QueryRow(args...).Scan(into...)
	}
	return err
}

// number returns the one number that a query finds.
func (tx *transaction) number(query string, args ...any) (n int64, found bool, err error) {
	err = tx.scan(query, args, &n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return n, err == nil, err
}
