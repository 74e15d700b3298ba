package postgres

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// listenPatience is how long the listener waits for a notification before it looks for itself. So a lost connection is
	// found, and a proxy that swallows notifications makes the page slower, but not wrong.
	listenPatience = 5 * time.Second
	// listenPause is how long it waits before it connects again.
	listenPause = 500 * time.Millisecond
)

// channel is where the writers of a database notify, with the newest seq and no more: PostgreSQL takes 8,000 bytes.
func channel(epoch string) string { return "amp_audit_" + epoch }

// listen tells this process what others have stored, until ctx ends. It says that something arrived and not what: readers
// ask by their position (Arrived), so a notification that is lost or comes twice loses and doubles nothing.
func (s *Store) listen(ctx context.Context) {
	lost := false
	for ctx.Err() == nil {
		err := s.listenOnce(ctx, func() {
			if lost {
				s.log.Info("audit is told again what other replicas store")
			}
			lost = false
		})
		if ctx.Err() != nil {
			return
		}
		if !lost {
			s.log.Warn("audit is not told what other replicas store, and tries again", "err", trouble(err))
		}
		lost = true
		s.wake() // readers shall see for themselves
		select {
		case <-ctx.Done():
		case <-time.After(listenPause):
		}
	}
}

// listenOnce listens until the connection fails.
func (s *Store) listenOnce(ctx context.Context, listening func()) error {
	short, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	if err := s.ready(short); err != nil {
		return err
	}
	s.mu.Lock()
	epoch := s.epoch
	s.mu.Unlock()
	conn, err := s.connect.single(short)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx) // it is of no use any more
	}()
	if _, err := conn.Exec(short, "LISTEN "+pgx.Identifier{channel(epoch)}.Sanitize()); err != nil {
		return err
	}
	listening()
	var told int64
	for {
		// What was stored before LISTEN, or without a notification.
		seq, err := s.newest(ctx, conn)
		if err != nil {
			return err
		}
		if seq != told {
			told = seq
			s.wake()
		}
		for waiting := true; waiting; {
			wait, cancel := context.WithTimeout(ctx, listenPatience)
			n, err := conn.WaitForNotification(wait)
			timedOut := wait.Err() != nil && ctx.Err() == nil
			cancel()
			switch {
			case err == nil:
				if seq, err := strconv.ParseInt(n.Payload, 10, 64); err == nil && seq != told {
					told = seq
					s.wake()
				}
			case timedOut && !conn.IsClosed():
				waiting = false
			default:
				return err
			}
		}
	}
}

func (s *Store) newest(ctx context.Context, conn *pgx.Conn) (seq int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	err = conn.QueryRow(ctx, "SELECT seq FROM audit_meta").Scan(&seq)
	return seq, err
}
