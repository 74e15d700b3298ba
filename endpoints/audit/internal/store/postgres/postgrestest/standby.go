package postgrestest

import (
	"fmt"
	"testing"
)

// Standby starts a server that follows s. From now on, a commit on s waits until the standby has it on its disk.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	standby, err := launch(func(n *Server, run program) error {
		return run("pg_basebackup", "-D", n.data(), "-h", s.folder, "-p", s.port, "-U", User, "-c", "fast", "-R", "--no-sync")
	})
	standby = fit(t, standby, err)
	s.Exec(t, s.socket(), "ALTER SYSTEM SET synchronous_standby_names = '*'")
	s.Exec(t, s.socket(), "SELECT pg_reload_conf()")
	return standby
}

// Promote makes a standby the primary. It waits until that is done.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	s.Exec(t, s.socket(), "ALTER SYSTEM RESET synchronous_standby_names") // of the former primary
	s.Exec(t, s.socket(), "SELECT pg_reload_conf()")
	s.Exec(t, s.socket(), "SELECT pg_promote()")
}

// Either returns the address of the database at url on whichever of s and another server takes writes.
func (s *Server) Either(other *Server, url string) string {
	return fmt.Sprintf("postgres://%s@/postgres?host=%s,%s&port=%s,%s&target_session_attrs=read-write&search_path=%s", User, s.folder, other.folder, s.port, other.port, schemaOf(url))
}
